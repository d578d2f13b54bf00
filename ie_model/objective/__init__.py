"""The paper's objective, as pure functions of tensors: what a training step minimises. From the bottom up:

representations  r_y of the images of a step, from labelled images or from all
class_sums       the terms of the sum over classes of an unlabelled image's bound
bounds           both bounds, and the loss of a step
schedules        what changes from step to step: step size and weights
"""
