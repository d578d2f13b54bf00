"""Reading the reference bands of a challenge's rules; `bands` judges by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ie_crowd.challenge.fields import Reader


@dataclass(frozen=True)
class Band:
    """The ends of a band, in the metric's unit (None: open), for some label counts (empty: for all)."""

    worse: float | None
    implausible: float | None
    labels: tuple[int | str, ...] = ()


def parse(
    raw: Any, where: str, reader: Reader, directions: Mapping[str, str], labels: Sequence[int | str]
) -> dict[str, tuple[Band, ...]]:
    """The bands of one task: for each metric a mapping, a list of them by label count, or null for one not pinned yet.

    directions: "higher", "lower" or another word for each metric: which of its values are better.

    Raises ValueError naming the place for an unknown metric or label count, or ends in the wrong order.
    """
    found = {}
    for name, value in reader.names(raw, where).items():
        reader.one_of(name, where, tuple(directions))
        values = value if isinstance(value, list) else [] if value is None else [value]
        found[name] = tuple(_band(one, f"{where}.{name}", reader, directions[name], labels) for one in values)
    return found


def _band(raw: Any, where: str, reader: Reader, direction: str, labels: Sequence[int | str]) -> Band:
    value = reader.mapping(raw, where)
    if set(value) - {"worse", "implausible", "labels"} or not set(value) & {"worse", "implausible"}:
        raise reader.fail(
            where, sorted(value), "worse, implausible or both, and labels where they differ by label count"
        )
    worse, implausible = (
        reader.number(value[end], f"{where}.{end}") if value.get(end) is not None else None
        for end in ("worse", "implausible")
    )
    if worse is not None and implausible is not None:
        good = worse < implausible if direction == "higher" else worse > implausible
        if not good:
            raise reader.fail(where, [worse, implausible], f"worse and implausible in the order of {direction}")
    counts = reader.items(value["labels"], f"{where}.labels") if "labels" in value else []
    for count in counts:
        if count not in labels:
            raise reader.fail(f"{where}.labels", count, f"label counts of the task: {', '.join(map(str, labels))}")
    return Band(worse, implausible, tuple(counts))
