"""Which tasks `_references` runs, and how long a run of each kind takes.

The reference results are what other people's are held against. The seconds are for the estimate before work starts;
as soon as one task is done, the machine's own pace corrects them.
"""

from collections.abc import Mapping
from typing import Any

# data set -> what each task asks for beyond the defaults. What the others are compared with has five draws of labels.
REFERENCES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "mnist": (
        {"seeds": 5},
        {"seeds": 5, "method": "m2"},
        {"seeds": 5, "recipe": "open"},
        {"supervision": "supervised"},
        {"labels": 600},
        {"labels": 1000},
        {"labels": 3000},
    ),
    "fashion-mnist": ({}, {"supervision": "supervised"}, {"labels": 600}, {"labels": 1000}, {"labels": 3000}),
    "glyphs": ({}, {"supervision": "supervised"}),
}

# (method, supervision, recipe) -> CPU seconds of one epoch on MNIST, on an AMD EPYC: those of the reference results
EPOCH_SECONDS = {
    ("equivae", "semi-supervised", "closed"): 23.0,
    ("m2", "semi-supervised", "closed"): 22.0,
    ("equivae", "semi-supervised", "open"): 33.0,
    ("equivae", "supervised", "closed"): 14.0,
}
REST_SECONDS = 42.0  # control, evaluation and figures of a run there
SIZES: Mapping[str, float] = {"mnist": 1.0, "fashion-mnist": 1.0, "glyphs": 0.3}  # by their numbers of images


def seconds(method: str, dataset: str, supervision: str, recipe: str, epochs: int) -> float | None:
    """About how long one run takes on a core; None where nobody has measured it."""
    epoch = EPOCH_SECONDS.get((method, supervision, recipe))
    return (epochs * epoch + REST_SECONDS) * SIZES[dataset] if epoch is not None and dataset in SIZES else None
