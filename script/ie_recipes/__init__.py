"""What the recipes share. CM passes this folder by, since it holds no _cm.yaml.

bridge          CM's raw input: unknown flags and stray words
flags           what `reproduce` was asked for, as one validated Request
setup           what detect-ie-device, get-ie-deps and get-dataset-* share
install         missing packages, with the torch build that fits the device
crowd_commands  the recipes evaluate, submit and serve
workflow        one task: train, evaluate, draw, assemble
tasks           several tasks in one command, and their index page
references      the tasks of `_references`, and how long they take
results_folder  the folder of a run under way: marker and lock
processes       child processes, ended with their parent
progress        what a person sees of several runs at once
cost            time, memory and energy of the steps
label_curve     error against the number of labels
own_code        find ie_model and ie_crowd, and nothing else, on the path; refuse the recipe of another copy
minimum_python  refuse a Python that is too old
"""

from ie_recipes import minimum_python as minimum_python  # before anything that an older Python cannot read
