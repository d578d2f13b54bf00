"""Ranks and comparison: pure functions of values.

rank     ranks of one contest, ties by significance, what counts as reproduced
compare  two results side by side
"""
