"""Sweeps: a grid of tasks, settings and draws, done by an engine, that ends in ordinary results folders.

grid        what was asked for: axes, filter, budget, each value checked
plan        the cells (one results folder each) and runs of a grid, how long they take and what they need
works       one run as a unit of work: its commands, wherever it is done
engine      what does the works: the interface, and the processes of this machine
cluster     the other one: workers of dask.distributed on many machines
journal     what is done and what is missing, from the folders alone
page        what a person sees: the table in the terminal and index.html
sbatch      the same commands as a job array of Slurm
connection  to a scheduler of dask, or the reason why there is none
worker      what a worker does: its facts, and one run
parcel      a run's files as they travel
join        the program that makes a machine a worker
words       its command line
search      of a grid's settings those that do best on validation images
command     the program
from_cm     CM's flags as its words, and its end as CM's answer
"""
