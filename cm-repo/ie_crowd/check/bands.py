"""Reference bands: between which values a metric of a task is believed, and what lies outside of them.

A band has two ends. ``worse``: a mean beyond it is no reproduction of the method, whatever went wrong.
``implausible``: a run beyond it is better than is believed, and somebody has to look at how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ie_crowd.check.finding import Item, judge

if TYPE_CHECKING:
    from ie_crowd.challenge.bands import Band
    from ie_crowd.challenge.model import Challenge, Metric, Task


def check(result: Mapping[str, Any], challenge: Challenge) -> list[Item]:
    """One Item for each metric that the task must have; none for a task that the rules do not know.

    The open division may be worse than any method, so there only the implausible end is looked at.
    """
    challenge = challenge.of(result)
    task = challenge.task(result["task"]["dataset"], result["task"]["supervision"])
    if task is None:
        return []
    runs = [(index, run["metrics"]) for index, run in enumerate(result["runs"]) if run["status"] == "completed"]
    closed, labels = result["challenge"]["division"] == "closed", result["task"]["labels"]
    return [_item(name, challenge.metrics[name], _band_of(task, name, labels), runs, closed) for name in task.metrics]


def _band_of(task: Task, name: str, labels: int | str) -> Band | None:
    for band in task.bands.get(name, ()):
        if not band.labels or labels in band.labels:
            return band
    return None


def _item(
    name: str, metric: Metric, band: Band | None, runs: Sequence[tuple[int, Mapping[str, float]]], closed: bool
) -> Item:
    item, pointer = f"band.{name}", f"/metrics/{name}"
    if band is None:
        return Item(item, "not evidenced", pointer, "the rules pin no reference band yet")
    values = [(index, metrics[name]) for index, metrics in runs if name in metrics]
    if not values:
        return Item(item, "not evidenced", pointer, "no completed run has it")
    sign = 1 if metric.direction == "higher" else -1
    problems = [
        f"implausibly good: /runs/{index}/metrics/{name} is {value:g}, better than {band.implausible:g} is not believed"
        for index, value in values
        if band.implausible is not None and sign * value > sign * band.implausible
    ]
    mean = sum(value for _, value in values) / len(values)
    if closed and band.worse is not None and sign * mean < sign * band.worse:
        problems.append(f"{mean:g} {metric.unit} is worse than the band, which ends at {band.worse:g}")
    ends = [f"no worse than {band.worse:g}"] if closed and band.worse is not None else []
    ends += [f"no better than {band.implausible:g}"] if band.implausible is not None else []
    if not ends:
        return Item(item, "not applicable", pointer, "the open division may be worse, and the band has no other end")
    return judge(item, pointer, problems, f"{mean:.4g} {metric.unit}: {' and '.join(ends)}")
