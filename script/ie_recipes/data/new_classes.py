"""The recipe `new-classes` and the data sets that it runs: those whose unseen classes are asked about."""

from collections.abc import Mapping
from typing import Any

TAG = "new-classes"
DATASETS = ("strokes", "omniglot-small")


def tag(dataset: str) -> str:
    """The tag of the recipe that runs a data set: the data set's own name, or TAG."""
    return TAG if dataset in DATASETS else dataset


def dataset(env: Mapping[str, Any]) -> str:
    """The data set that CM's env names."""
    named = env.get("CM_IE_DATASET", "")
    return (env.get("CM_IE_CLASSES") or DATASETS[0]) if named == TAG else named


def supervision(env: Mapping[str, Any]) -> str:
    """How the classes that are trained on are supervised: of TAG every image has its label."""
    return "supervised" if env.get("CM_IE_DATASET") == TAG else env.get("CM_IE_SUPERVISION", "")
