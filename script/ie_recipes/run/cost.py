"""What the steps of a run cost, as the process that starts them can measure it: time, CPU time, memory, energy.

Training counts its own time, so that a run that was killed and goes on loses none of it; here the other steps are
measured. Energy is that of the whole machine, so it is measured over what is done at once, not for each step.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ie_crowd.result import energy

from ie_recipes.run import processes


@contextmanager
def metered(device: str, *, alone: bool = True) -> Iterator[dict[str, Any]]:
    """A dict that at its end holds the joules that the machine took meanwhile, and else nothing. None where it does not
    tell, and where not all of it was for this (not ``alone``)."""
    spent: dict[str, Any] = {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_rss_bytes": None, "joules": None}
    meter = energy.Meter(energy.counters(device))
    try:
        with meter:
            yield spent
    finally:
        spent["joules"] = meter.joules if alone else None


def step(wall_seconds: float, ended: processes.Ended) -> dict[str, Any]:
    """What one step took; its energy is in what :func:`metered` measures."""
    used = {"cpu_seconds": ended.cpu_seconds, "peak_rss_bytes": ended.peak_rss_bytes}
    return {"wall_seconds": wall_seconds, **used, "joules": 0.0}


def added(before: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Two measurements of the same step, which was stopped and went on; what one does not know is None."""
    if before is None:
        return dict(more)
    total = {
        key: None if before[key] is None or more[key] is None else before[key] + more[key]
        for key in ("wall_seconds", "cpu_seconds", "joules")
    }
    peaks = [peak for peak in (before["peak_rss_bytes"], more["peak_rss_bytes"]) if peak is not None]
    return {**total, "peak_rss_bytes": max(peaks, default=None)}


def unknown(joules: float | None) -> dict[str, Any]:
    """The measurement of something that was killed together with whoever measured it."""
    return {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_rss_bytes": None, "joules": joules}
