"""Estimated energy from the hardware's own counters: processor packages by Linux RAPL, NVIDIA accelerators by NVML.

The counters are of whole packages and boards, so idle power and other programs are in it. Nothing is guessed: where a
counter that is needed cannot be read, the energy is None. RAPL counters start again from 0 after some minutes of full
power, so they are read every half minute.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

POWERCAP = Path("/sys/class/powercap")
SECONDS = 30.0


class Counter(NamedTuple):
    """``read`` gives joules since some moment; after ``wraps`` joules (None: never) it starts again from 0."""

    read: Callable[[], float]
    wraps: float | None


class Meter:
    """Adds up what counters count, between ``with``'s begin and end; ``joules`` is None if one could not be read."""

    def __init__(self, counters: list[Counter] | None) -> None:
        self.counters = counters
        self.joules: float | None = None if counters is None else 0.0
        self._last: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        if self.counters is not None:
            self._last = self._read()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.counters is not None:
            self._end.set()
            self._thread.join()
            self.sample()

    def sample(self) -> None:
        """Add what was counted since the last sample."""
        now = self._read()
        if self.joules is None or len(now) != len(self._last):
            self.joules = None
            return
        for counter, before, after in zip(self.counters or (), self._last, now, strict=True):
            if after < before and counter.wraps is None:
                self.joules = None
                return
            self.joules += after - before if after >= before else after + (counter.wraps or 0.0) - before
        self._last = now

    def _watch(self) -> None:
        while not self._end.wait(SECONDS):
            self.sample()

    def _read(self) -> list[float]:
        """All counters; empty if one cannot be read, which ``sample`` takes as unknown."""
        try:
            return [counter.read() for counter in self.counters or ()]
        except Exception:  # NVML raises classes of its own, made at run time
            self.joules = None
            return []


def counters(device: str, powercap: Path = POWERCAP) -> list[Counter] | None:
    """The counters of the processor and, for ``device`` cuda, of the first visible GPU; None if any is missing.

    ``device`` is cpu, cuda or another kind, for which there is no counter.
    """
    found = _rapl(powercap)
    if not found or device not in ("cpu", "cuda"):
        return None
    if device == "cuda":
        board = _nvml()
        return None if board is None else [*found, board]
    return found


def _rapl(powercap: Path) -> list[Counter]:
    """The packages' counters, and their memory's where it is apart; none if any of them cannot be read."""
    found = []
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's processors are found under this name too
        try:
            name = (zone / "name").read_text().strip()
            if not name.startswith("package") and name != "dram":
                continue  # parts of a package, or a counter of the whole board that holds them again
            _joules(zone / "energy_uj")
            found.append(Counter(_reader(zone / "energy_uj"), _joules(zone / "max_energy_range_uj")))
        except (OSError, ValueError):
            return []
    return found


def _reader(path: Path) -> Callable[[], float]:
    return lambda: _joules(path)


def _joules(path: Path) -> float:
    return int(path.read_text()) / 1e6


def _nvml() -> Counter | None:
    """The counter of the first GPU that programs see here; None where the driver has none."""
    with contextlib.suppress(Exception):  # NVML raises classes of its own, made at run time
        import pynvml

        pynvml.nvmlInit()
        handle = _first_visible(pynvml, os.environ.get("CUDA_VISIBLE_DEVICES", "0"))
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return Counter(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, None)
    return None


def _first_visible(nvml: Any, visible: str) -> Any:
    first = visible.split(",")[0].strip()
    return nvml.nvmlDeviceGetHandleByIndex(int(first)) if first.isdigit() else nvml.nvmlDeviceGetHandleByUUID(first)
