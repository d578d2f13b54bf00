"""Checks the flags before any dependency runs, then runs the sweep as one child process."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import front_end
    from ie_recipes.sweep import from_cm

    return front_end.predeps(i, from_cm.check)


def preprocess(i):
    from ie_recipes import front_end
    from ie_recipes.sweep import from_cm

    return front_end.preprocess(i, from_cm.run)
