"""Sets CM_IE_DATA_SVHN to the folder of the verified files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "detect-ie-device"))
import ie_recipe


def predeps(i):
    return ie_recipe.check(i)


def preprocess(i):
    return ie_recipe.dataset(i["env"], "svhn")
