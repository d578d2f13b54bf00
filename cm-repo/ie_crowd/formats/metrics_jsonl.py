"""The learning history of runs, from runs/<n>/metrics.jsonl: one JSON object a line, with ``epoch`` and numbers.

The files may come from anyone: bounded, read strictly, and a file that is wrong costs its own curves only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ie_crowd.formats import strict

METRICS = "metrics.jsonl"
LINE = strict.Limits(size=16 * 2**10, depth=2, values=64, string=200)
MOST_BYTES = 4 * 2**20
MOST_LINES = 20_000
MOST_SERIES = 16
LARGEST = 1e15  # of a value that is drawn
_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")


@dataclass
class History:
    """``series``: from a name to (run, [(epoch, value), …]) of each run that has it. ``problems``: one line each."""

    series: dict[str, list[tuple[int, list[tuple[float, float]]]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def runs(self) -> list[int]:
        """The runs that have any series, in order."""
        return sorted({run for lines in self.series.values() for run, _ in lines})


def read(source: Callable[[str, int], bytes], runs: Iterable[int]) -> History:
    """The history of those runs from the files of a result; what is missing or wrong is a line in ``problems``.

    ``source``: the content of a file by its path there, of at most so many bytes; raises ValueError.
    """
    history = History()
    for run in runs:
        place = f"runs/{run}/{METRICS}"
        try:
            found = parse(source(place, MOST_BYTES), place)
        except ValueError as error:
            history.problems.append(str(error))
            continue
        for name, points in found.items():
            if name in history.series or len(history.series) < MOST_SERIES:
                history.series.setdefault(name, []).append((run, points))
    return history


def parse(content: bytes, place: str = METRICS) -> dict[str, list[tuple[float, float]]]:
    """From a name to its (epoch, value) points, in the order of the lines.

    Raises ValueError that names the line: not a strict JSON object, no ``epoch`` that grows, a name that is none, or a
    value beyond 1e15. Texts, booleans and nulls are passed over.
    """
    lines = content.splitlines()
    if len(lines) > MOST_LINES:
        raise ValueError(f"{place}: holds more than {MOST_LINES:,} lines")
    series: dict[str, list[tuple[float, float]]] = {}
    last = float("-inf")
    for number, line in enumerate(lines, 1):
        here = f"{place} line {number}"
        row = strict.parse_json(line, LINE, here)
        epoch = _number(row.get("epoch")) if isinstance(row, dict) else None
        if epoch is None or epoch <= last:
            raise ValueError(f"{here}: expected an object whose epoch is a number that grows")
        last = epoch
        for name, value in row.items():
            if len(name) > 64 or not _NAME.fullmatch(name):
                raise ValueError(f"{here}: {name!r:.80} is not a name of lower-case letters, digits and single - _ .")
            if name != "epoch" and (value := _number(value)) is not None:
                if abs(value) > LARGEST:
                    raise ValueError(f"{here}: {name} is {value:.3g}, beyond {LARGEST:.0e}")
                series.setdefault(name, []).append((epoch, value))
    return series


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
