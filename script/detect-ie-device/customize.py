"""Sets CM_IE_DEVICE and what is known of it; says the reason."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import front_end, setup

    return front_end.predeps(i, setup.check)


def preprocess(i):
    from ie_recipes import front_end, setup

    return front_end.preprocess(i, setup.device)
