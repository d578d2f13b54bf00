"""What an upload is held against beyond its own document.

commitments  code and settings that an account committed to, and the label draws that were issued for them
held_back    why the policy ranks nothing of a result
"""
