"""A search: of a grid's settings those that do best on validation images, tried a few at a time by Optuna.

command  the search in its folder: its trials, then an ordinary sweep of what was found
space    a grid's axes as what Optuna may suggest
study    the trials in their storage: what was tried, what it gave, what counts
trials   the program that does one trial after another
"""
