"""`ie-model bench`: how fast this machine trains, against what a user would otherwise write, and its limit.

Nothing here is part of a run, and nothing is asserted: the parts measure, with repeats, and say how they did it.
"""
