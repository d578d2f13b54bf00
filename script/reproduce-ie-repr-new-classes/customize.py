"""Checks the flags (only the recipe that was called sees them) before any dependency runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import flags, own_code

    return own_code.refuse_another() or flags.check(i)
