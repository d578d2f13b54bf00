"""Data sets that a recipe names otherwise than by their name.

new_classes  those whose unseen classes are asked about
own_data     a user's own pictures
"""
