"""What the recipes share. CM passes this folder by, since it holds no _cm.yaml.

front_end       what started the recipe, CM or mlcflow: env, exit codes, what is typed
bridge          the raw input of either: unknown flags and stray words
flags           what `reproduce` was asked for, as one validated Request
setup           what detect-ie-device, get-ie-deps and get-dataset-* share
install         missing packages, with the torch build that fits the device
crowd_commands  the recipes evaluate, submit and serve
sweep           a grid of tasks and settings, on this machine or many
program         the command line of the next three
workflow        one task: train, evaluate, draw, assemble
dry_run         what a request would do
tasks           several tasks in one command, and their index page
both_recipes    the paper's recipe and this project's at once
comparison      what several results gave, as tables, pages and a curve
data            data sets that a recipe names otherwise than by their name
references      the tasks of `_references`, and how long they take
run             what a run under way needs: folder, processes, progress, cost
own_code        find ie_model and ie_crowd, and nothing else, on the path; refuse the recipe of another copy
minimum_python  refuse a Python that is too old
"""

from ie_recipes import minimum_python as minimum_python  # before anything that an older Python cannot read
