"""What an upload is held against beyond its own document.

commitments  code and settings that an account committed to, and the label draws that were issued for them
"""
