"""Summarise repeated measurements: medians with their spread, rates, and ratios of neighbours in time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """One repeat: how much work was done, in what the form counts, and the seconds that it took."""

    work: float
    wall: float
    cpu: float  # of all threads of this process


def of(values: Sequence[float]) -> dict[str, float]:
    """Median, least and largest of some repeats, and how many there are."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "n": len(values)}


def rates(measured: Sequence[Measured]) -> dict[str, Any]:
    """Work per second of the clock, and per second of the processor, over the repeats."""
    return {
        "per_second": of([one.work / one.wall for one in measured]),
        "per_cpu_second": of([one.work / one.cpu for one in measured]),
    }


def ratios(ours: Sequence[Measured], theirs: Sequence[Measured]) -> dict[str, Any]:
    """Our work over that of ``theirs`` in the same time, round by round: by the clock, and in CPU time."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "wall": of([(one.work / one.wall) / (other.work / other.wall) for one, other in pairs]),
        "cpu": of([(one.work / one.cpu) / (other.work / other.cpu) for one, other in pairs]),
    }
