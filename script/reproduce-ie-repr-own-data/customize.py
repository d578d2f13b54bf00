"""Checks the flags (only the recipe that was called sees them) before any dependency runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import flags, front_end

    return front_end.predeps(i, flags.check)
