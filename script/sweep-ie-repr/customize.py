"""Checks the flags before any dependency runs, then runs the sweep as one child process."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import own_code
    from ie_recipes.sweep import from_cm

    return own_code.refuse_another() or from_cm.check(i)


def preprocess(i):
    from ie_recipes.sweep import from_cm

    return from_cm.run(i)
