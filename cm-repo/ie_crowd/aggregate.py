"""From the values of single runs to one number with its uncertainty. Pure functions; anyone can recompute them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ie_crowd.challenge import Metric


def aggregate(runs: Iterable[Mapping[str, Any]], metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """``metrics`` of a result: for each metric that a completed run has, in the order of the rules.

    value: mean; sd: sample standard deviation (n - 1); ci95: half-width of the 95 % t interval of the mean; sd and
    ci95 are null for n = 1. All in the metric's unit. Failed runs are not averaged. Raises ValueError for a metric
    without rules.
    """
    completed = [run["metrics"] for run in runs if run["status"] == "completed"]
    unknown = sorted({name for values in completed for name in values} - set(metrics))
    if unknown:
        raise ValueError(f"metric {unknown[0]!r:.80} is not in the rules; known: {', '.join(metrics)}")
    aggregates = {}
    for name, metric in metrics.items():
        values = [run[name] for run in completed if name in run]
        if values:
            mean, sd, ci95 = mean_sd_ci95(values)
            numbers = {"value": mean, "sd": sd, "n": len(values), "ci95": ci95}
            aggregates[name] = {**numbers, "unit": metric.unit, "direction": metric.direction}
    return aggregates


def mean_sd_ci95(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean, sample deviation, half-width of the mean's 95 % t interval; the last two are None for one value."""
    n = len(values)
    mean = math.fsum(values) / n  # fsum rounds once: the order of the runs does not matter
    if n < 2:
        return mean, None, None
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, sd, _t95(n - 1) * sd / math.sqrt(n)


@functools.cache
def _t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit  # 0.1 s to import, and needed for several runs only

    return float(stdtrit(freedom, 0.975))
