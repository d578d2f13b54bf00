"""Alternated measurements: every form in turn, round by round, on one device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch

from ie_model.bench.spread import Measured


def alternate(
    forms: Mapping[str, Callable[[], float]], repeats: int, device: torch.device, report: Callable[[str], None]
) -> dict[str, list[Measured]]:
    """Calls every form once in each of ``repeats`` rounds: A B C, A B C. A form does some work and returns how much.

    So whatever else the machine does meets all forms alike, and their ratios within a round say more than their times.
    """
    found: dict[str, list[Measured]] = {name: [] for name in forms}
    for round_ in range(repeats):
        for name, form in forms.items():
            report(f"{name}, {round_ + 1} of {repeats}")
            finish(device)
            wall, cpu = time.perf_counter(), time.process_time()
            work = form()
            finish(device)
            found[name].append(Measured(work, time.perf_counter() - wall, time.process_time() - cpu))
    return found


def finish(device: torch.device) -> None:
    """Waits for what an accelerator still has to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
