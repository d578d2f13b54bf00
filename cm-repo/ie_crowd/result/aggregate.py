"""Mean, standard deviation and 95 % confidence interval of a metric over runs. Pure functions."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ie_crowd.challenge.model import Metric

# scipy.special.stdtrit(freedom, 0.975) for 1, 2, 3, … degrees of freedom, to the last bit.
_T95 = (
    12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.7764451051977934, 2.5705818356363146,
    2.4469118511449786, 2.364624251592784, 2.306004135204166, 2.262157162798205, 2.228138851986274,
    2.200985160091639, 2.1788128296672284, 2.1603686564627913, 2.144786687917804, 2.131449545559776,
    2.1199052992212546, 2.1098155778333156, 2.1009220402410382, 2.0930240544083087, 2.085963447265864,
    2.0796138447276795, 2.0738730679040254, 2.0686576104190486, 2.0638985616280245, 2.0595385527532972,
    2.0555294386428735, 2.0518305164802846, 2.0484071417952454, 2.045229642132703, 2.0422724563012378,
)  # fmt: skip


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
    sd = math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (n - 1))
    return mean, sd, t_quantile(n - 1) * sd / math.sqrt(n)


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    return _T95[freedom - 1] if freedom <= len(_T95) else _computed(freedom)


@functools.cache
def _computed(freedom: int) -> float:
    from scipy.special import stdtrit  # 0.4 s to import: for hardly anybody has so many runs

    return float(stdtrit(freedom, 0.975))
