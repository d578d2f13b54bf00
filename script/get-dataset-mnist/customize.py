"""Sets CM_IE_DATA_MNIST to the folder of the verified files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import front_end, setup

    return front_end.predeps(i, setup.check)


def preprocess(i):
    from ie_recipes import front_end, setup

    return front_end.preprocess(i, lambda i: setup.dataset(i["env"], "mnist"))
