"""Predictions of a run: the class that each test image was taken for, by metric, and the class that it is.

A safetensors file of whole numbers, read strictly: it may come from anyone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ie_crowd.formats import safetensors_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "predictions.safetensors"
TRUTH = "truth"  # the tensor with the classes that images are; files of older runs have none


def classes(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The tensors of those names, (images,); without those that the file does not hold or that cannot be read."""
    import numpy as np

    found = {}
    try:
        safetensors_header.read_header(path)  # strictly, first
        raw = path.read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:start])
        for name in names:
            told = header.get(name)
            if told is not None and told["dtype"] == "I16":
                begin, end = told["data_offsets"]
                found[name] = np.frombuffer(raw[start + begin : start + end], "<i2")
    except (ValueError, KeyError, OSError, TypeError):
        return {}
    return found


def wrong(paths: Sequence[Path], names: Sequence[str]) -> tuple[dict[str, NDArray[Any]], NDArray[Any] | None]:
    """By metric which image each run takes for another class than it is, (runs, images); and the classes that they are.

    Nothing where a file is missing or says nothing of the truth, or where the truth is not one; without metrics that
    not every run has.
    """
    import numpy as np

    runs = [classes(path, (*names, TRUTH)) for path in paths]
    if not runs or any(TRUTH not in run for run in runs):
        return {}, None
    truth = runs[0][TRUTH]
    if not len(truth) or any(not np.array_equal(run[TRUTH], truth) for run in runs):
        return {}, None
    found = {}
    for name in names:
        if all(name in run and len(run[name]) == len(truth) for run in runs):
            found[name] = np.stack([run[name] != truth for run in runs])
    return found, truth
