"""What an upload is held against beyond its own document.

commitments  code and settings that an account committed to, and the label draws that were issued for them
keys         public keys of accounts
signatures   signatures of uploaded results
held_back    why the policy ranks nothing of a result
"""
