"""What the steps of a run cost, as the process that starts them can measure it: time, CPU time, memory, energy.

Training counts its own time, so that a run that was killed and goes on loses none of it; here the other steps are
measured, and the energy of all.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ie_crowd import energy

LINUX_KIB = 1024  # ru_maxrss is in KiB on Linux, in bytes on macOS


@contextmanager
def measured(device: str) -> Iterator[dict[str, Any]]:
    """A dict that at its end holds wall_seconds, cpu_seconds, peak_rss_bytes and joules of the children that ran in it.

    What the system does not tell is None. The peak is that of the largest child so far.
    """
    spent: dict[str, Any] = {}
    began, before = time.perf_counter(), _children()
    meter = energy.Meter(energy.counters(device))
    try:
        with meter:
            yield spent
    finally:
        after = _children()
        spent["wall_seconds"] = time.perf_counter() - began
        spent["cpu_seconds"] = after["cpu_seconds"] - before["cpu_seconds"] if after else None
        spent["peak_rss_bytes"] = after.get("peak_rss_bytes")
        spent["joules"] = meter.joules


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


def unknown() -> dict[str, Any]:
    """The measurement of a step that was killed together with whoever measured it."""
    return {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_rss_bytes": None, "joules": None}


def _children() -> dict[str, Any]:
    try:
        import resource
    except ImportError:  # not on Windows
        return {}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else LINUX_KIB
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_rss_bytes": used.ru_maxrss * unit}
