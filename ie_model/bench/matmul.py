"""The machine's own limit: how fast it multiplies square matrices of fp32 (and, where asked, of bf16)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ie_model.bench import spread, timing
from ie_model.config import Config
from ie_model.device.runtime import prepare

SIZES = (512, 1024, 2048)
PRODUCTS_PER_REPEAT = 2e10  # operations: a tenth of a second on two cores
SLOW = 0.2  # seconds of one product, after which no larger one is tried: on some CPUs bf16 is ninety times slower


def forms(
    sizes: Sequence[int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    operations: float | None = None,
) -> dict[str, Callable[[], float]]:
    """One form for each size; it multiplies for about ``operations`` (None: enough to time) and returns how many.

    The last size is the first whose product takes long, and it is multiplied no longer than it must be.
    """
    wanted = PRODUCTS_PER_REPEAT if operations is None else operations
    found = {}
    for size in sizes:
        found[f"{size} × {size}"], seconds = _form(size, device, dtype, wanted)
        if seconds > SLOW:
            break
    return found


def _form(size: int, device: torch.device, dtype: torch.dtype, operations: float) -> tuple[Callable[[], float], float]:
    """The form, and the seconds of one product."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    each = 2.0 * size**3
    torch.mm(left, right, out=out)  # the first product sets things up
    timing.finish(device)
    began = time.perf_counter()
    torch.mm(left, right, out=out)
    timing.finish(device)
    seconds = time.perf_counter() - began
    times = 1 if seconds > SLOW else max(1, round(operations / each))

    def run() -> float:
        for _ in range(times):
            torch.mm(left, right, out=out)
        return times * each

    return run, seconds


def measure(
    config: Config, threads: Sequence[int], repeats: int, report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rates in fp32 and bf16, one row for each number of threads."""
    rows = []
    for count in threads:
        device = prepare(dataclasses.replace(config, threads=count))
        for dtype in (torch.float32, torch.bfloat16):
            kind = str(dtype).removeprefix("torch.")
            found = timing.alternate(
                forms(SIZES, device, dtype), repeats, device, lambda what: report(f"matmul, {what}")
            )
            rows.append({"threads": count, "type": kind, **summary(found)})
    return rows


def summary(found: Mapping[str, Sequence[spread.Measured]]) -> dict[str, Any]:
    """Operations per second by size, and the size with the best median as the machine's rate."""
    by_size = {name: spread.rates(measured)["per_second"] for name, measured in found.items()}
    best = max(by_size, key=lambda name: float(by_size[name]["median"]))
    return {"by_size": by_size, "best": best, "operations_per_second": by_size[best]}
