"""Ranks and comparison: pure functions of values.

rank          ranks of one contest, ties by significance, what counts as reproduced
significance  tests of means: Welch, pairs, equivalence, Tukey
compare       results side by side
image_bootstrap  intervals over draws and test images
"""
