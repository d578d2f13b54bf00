"""Classes that no model has been trained on: r_y of a new class is the mean of f over a few of its images.

images      classes that are trained on, chosen by, and asked about
objective   the labelled bound on a step of a few classes, r_y from other images of the class in the step
comparators M2 with a new row of its table, a prototypical network, nearest pixels
train       all three on the same steps, resumable
episodes    which of 5 or of 20 unseen classes, from 1, 5 or 20 examples of each
evaluate    every metric of a finished run
drawing     its figures
"""
