"""What is known of data sets before they are opened.

datasets      counts of images and classes of each
new_classes   what a configuration may ask where some classes are never trained on
own_data      what a user's own folder of pictures holds
numpy_files   the header of a stored array
"""
