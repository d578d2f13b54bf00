"""`ie-model bench`: how fast this machine trains, against what a user would otherwise write, and its limit.

Nothing here is part of a run, and nothing is asserted: the parts measure, with repeats, and say how they did it.

command        the command line
step           images per second of a training step, in several variants
step_variants  the training steps that are compared
usual_m2       M2 as it is usually written
time_to_error  seconds of training until an error is reached
grid           processes and threads for several runs at once
startup        commands that compute nothing, and the time beside training
matmul         the machine's own limit
flops          floating-point operations of a step
profile        what a step spends its time on
timing         alternated measurements
spread         medians, spread and ratios
table          tables for a terminal
"""
