"""What is known of data sets before they are opened.

datasets      counts of images and classes of each
new_classes   what a configuration may ask where some classes are never trained on
"""
