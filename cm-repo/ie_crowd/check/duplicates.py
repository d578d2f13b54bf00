"""Whether two results hold the same raw values: the same result again, a copy under another name, or a coincidence.

The same seeds on the same kind of machine give the same numbers, bit for bit, so equal metrics or weights alone need a
person's look. Equal times as well are a copy: no two runs take the same time to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ie_crowd.check.finding import Item
from ie_crowd.formats import canonical_json

_TIMES = ("wall_seconds", "cpu_seconds", "images_per_second")


def compare(mine: Mapping[str, Any], other: Mapping[str, Any], name: str) -> Item:
    """The Item ``copy.<name>`` of two results that the schema accepts. ``name``: of the other, for a person to read."""
    item = f"copy.{name}"
    if mine["id"] == other["id"]:
        return Item(item, "not applicable", "/id", "is this very result", "validity")
    theirs = [run for run in other["runs"] if run["status"] == "completed"]
    who = f"{name} (submitter {other['submitter']['name'] or 'not named'})"
    same = None
    for index, run in enumerate(mine["runs"]):
        for twin in theirs if run["status"] == "completed" else []:
            if all(run[key] == twin[key] for key in _TIMES) and run["wall_seconds"] > 0:
                detail = f"the times of a run of {who} to the last digit: one was copied from the other"
                return Item(item, "fail", f"/runs/{index}", detail, "validity")
            if _values(run) == _values(twin) or run["model_sha256"] == twin["model_sha256"]:
                same = same if same is not None else index
    if same is not None:
        detail = f"the values or weights of a run of {who}: a copy, or the same computation on such a machine"
        return Item(item, "needs a person", f"/runs/{same}", detail, "validity")
    return Item(item, "pass", "/runs", f"no run has values, weights or times of a run of {who}", "validity")


def _values(run: Mapping[str, Any]) -> bytes:
    return canonical_json.canonical(run["metrics"])
