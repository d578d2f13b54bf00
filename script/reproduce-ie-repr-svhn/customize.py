"""Checks the flags (only the recipe that was called sees them) before any dependency runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import flags


def predeps(i):
    return flags.check(i)
