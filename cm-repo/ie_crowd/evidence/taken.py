"""Which of the files that a result lists are taken as its evidence. Senders ask it too, who have no store installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.check import integrity
from ie_crowd.formats import metrics_jsonl, png, safetensors_header, strict

MOST_BYTES = 64 * 2**20  # of one file
MOST_OF_RESULT = 2 * 2**30
PREDICTIONS = "predictions.safetensors"
HISTORY = re.compile(r"runs/[0-9]{1,4}/metrics\.jsonl")
PICTURE = re.compile(r"figures/[A-Za-z0-9][A-Za-z0-9_.-]{0,80}\.png")


class Asked(NamedTuple):
    """A file that a result lists and that is taken: its hash and size. ``needed``: metrics are computed from it.
    ``check``: raises ValueError for a file that is not of its kind."""

    sha256: str
    bytes: int
    needed: bool
    check: Callable[[Path], object] = safetensors_header.read_header


def asked(document: Mapping[str, Any]) -> dict[str, Asked]:
    """The files that are taken of those that a result lists, by path: weights and predictions of completed runs, then
    their histories, then pictures; of the last two only those that a page would show.

    Raises ValueError where weights or predictions are larger than what is taken.
    """
    listed = {file["path"]: file for file in document["files"]}
    found: dict[str, Asked] = {}
    for index, run in enumerate(document["runs"]):
        if run["status"] != "completed":
            continue
        weights = integrity.weights_of(dict(document), index)
        for path, needed in ((weights, True), (f"runs/{index}/{PREDICTIONS}", False)):
            if path is not None and path in listed:
                found[path] = Asked(listed[path]["sha256"], listed[path]["bytes"], needed)
    for path, one in found.items():
        if one.bytes > MOST_BYTES:
            raise ValueError(f"{path}: {one.bytes:,} bytes; at most {MOST_BYTES:,} of one file are taken")
    if (total := sum(one.bytes for one in found.values())) > MOST_OF_RESULT:
        raise ValueError(f"the evidence has {total:,} bytes; at most {MOST_OF_RESULT:,} of one result are taken")
    return found | _to_show(
        listed, [index for index, run in enumerate(document["runs"]) if run["status"] == "completed"]
    )


def _to_show(listed: Mapping[str, Mapping[str, Any]], completed: Iterable[int]) -> dict[str, Asked]:
    """The histories of runs and the first pictures, without those that are too large for a page."""
    histories = [f"runs/{index}/{metrics_jsonl.METRICS}" for index in completed]
    pictures = [path for path in listed if PICTURE.fullmatch(path)][: png.MOST_PICTURES]
    return {
        path: Asked(listed[path]["sha256"], listed[path]["bytes"], False, check_of(path))
        for path in [*histories, *pictures]
        if path in listed
        and listed[path]["bytes"] <= (png.MOST_BYTES if path in pictures else metrics_jsonl.MOST_BYTES)
    }


def to_show(path: str) -> bool:
    """Whether a file at that path of a result is for its page only: a history or a picture."""
    return HISTORY.fullmatch(path) is not None or PICTURE.fullmatch(path) is not None


def check_of(path: str) -> Callable[[Path], object]:
    """What a file at that path of a result has to be: the ``check`` of Asked."""
    if HISTORY.fullmatch(path):
        return lambda file: metrics_jsonl.parse(strict.read_bytes(file, metrics_jsonl.MOST_BYTES), path)
    if PICTURE.fullmatch(path):
        return lambda file: png.clean(strict.read_bytes(file, png.MOST_BYTES), path)
    return safetensors_header.read_header
