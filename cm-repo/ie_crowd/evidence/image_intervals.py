"""Intervals over draws and test images of results that were recomputed here: from what came out of their weights, and
never from what a submitter says was predicted, or is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from ie_crowd.evidence import files
from ie_crowd.evidence.alike import RECOMPUTED
from ie_crowd.ranking import image_bootstrap
from ie_crowd.ranking.image_bootstrap import Interval
from ie_crowd.result import predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_RUNS = 20


def of(engine: Engine, document: Mapping[str, Any]) -> dict[str, Interval]:
    """By metric, of a result's completed runs; none where a run's predictions are not here."""
    return {name: image_bootstrap.interval(found) for name, found in _wrong(engine, document)[0].items()}


def between(engine: Engine, left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Interval]:
    """By metric, of left minus right; none where they were not tested on the same images."""
    import numpy as np

    (one, truth), (other, also) = _wrong(engine, left), _wrong(engine, right)
    if truth is None or also is None or not np.array_equal(truth, also) or left["task"] != right["task"]:
        return {}
    seeds = [[(run["seed"], run["label_seed"]) for run in _completed(document).values()] for document in (left, right)]
    orders = [sorted(range(len(drawn)), key=drawn.__getitem__) for drawn in seeds]
    paired = sorted(seeds[0]) == sorted(seeds[1])
    return {
        name: image_bootstrap.difference(one[name][orders[0]], other[name][orders[1]], paired=paired)
        for name in one
        if name in other
    }


def _completed(document: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    return {index: run for index, run in enumerate(document["runs"]) if run["status"] == "completed"}


def _wrong(engine: Engine, document: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], NDArray[Any] | None]:
    runs, here = _completed(document), files.stored(engine, document["id"])
    hashes = [here.get(RECOMPUTED.format(index)) for index in runs]
    if not hashes or None in hashes or len(hashes) > MOST_RUNS:
        return {}, None
    try:
        store = files.of(engine)
        paths = [store.local(one) for one in hashes if one is not None]
    except files.Away:  # a page without them is better than none
        return {}, None
    return predictions.wrong(paths, list(document["metrics"]))
