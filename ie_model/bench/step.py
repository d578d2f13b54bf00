"""Part `step`: images per second of the training step, ours beside the plain one and M2's two, alternated."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ie_model.bench import matmul, spread, step_variants, timing
from ie_model.config import Config


def measure(
    config: Config,
    folder: Path | None,
    threads: Sequence[int],
    repeats: int,
    seconds: float,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """One row for each number of threads. ``seconds``: how long a form works in one repeat, about."""
    images = step_variants.load(config, folder)
    return [
        _with_threads(dataclasses.replace(config, threads=count), images, repeats, seconds, report) for count in threads
    ]


def _with_threads(config: Config, images: Any, repeats: int, seconds: float, report: Callable[[str], None]) -> Any:
    torch.set_num_threads(config.threads)
    device = images.unlabelled.device
    report(f"{config.threads} threads: warming up")
    built = step_variants.build(config, images)
    works = {name: _calibrated(form.run, seconds, device) for name, form in built.items()}
    products = matmul.forms(matmul.SIZES, device)
    found = timing.alternate(
        {**works, **products}, repeats, device, lambda what: report(f"{config.threads} threads: {what}")
    )
    limit = matmul.summary({name: found[name] for name in products})
    return {
        "threads": config.threads,
        "batch": {"unlabelled": config.batch_size, "labelled": config.facts.classes * config.per_class},
        "forms": {
            name: _row(form, found[name], found[step_variants.USUAL], config, {name: found[name] for name in products})
            for name, form in built.items()
        },
        "matmul": limit,
    }


def _calibrated(run: Callable[[int], int], seconds: float, device: torch.device) -> Callable[[], float]:
    """The form with the number of steps that takes about ``seconds``; what the first calls set up is done."""
    run(2)
    timing.finish(device)
    began = time.perf_counter()
    run(3)
    timing.finish(device)
    steps = max(2, round(3 * seconds / (time.perf_counter() - began)))
    return lambda: float(run(steps))


def _row(
    form: step_variants.Form,
    measured: Sequence[spread.Measured],
    usual: Sequence[spread.Measured],
    config: Config,
    products: Mapping[str, Sequence[spread.Measured]],
) -> dict[str, Any]:
    row: dict[str, Any] = {"images": spread.rates(measured), "times_usual_m2": spread.ratios(measured, usual)}
    if form.operations is not None:
        per_image = form.operations / config.batch_size
        arithmetic = [spread.Measured(one.work * per_image, one.wall, one.cpu) for one in measured]
        best = products[str(matmul.summary(products)["best"])]
        row["operations_per_step"] = form.operations
        row["operations_per_second"] = spread.rates(arithmetic)["per_second"]
        row["share_of_matmul"] = spread.ratios(arithmetic, best)
    return row
