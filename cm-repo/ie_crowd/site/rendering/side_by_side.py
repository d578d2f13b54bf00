"""Results side by side, for the page and the API: the best of each metric, and how far the others lie from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ie_crowd.challenge.model import Metric
from ie_crowd.evidence import image_intervals
from ie_crowd.ranking import compare
from ie_crowd.ranking.image_bootstrap import Interval

MOST = 6  # results at once
TASK = ("challenge", "dataset", "supervision", "labels")


class Together(NamedTuple):
    """``metrics``: lines of ``compare.best_of``. ``over_images``: by metric and place of a result, it minus the best,
    over draws and test images, where both were recomputed here on the same images."""

    same_task: bool
    metrics: list[compare.Several]
    over_images: dict[tuple[str, int], Interval]


def together(state: Any, rows: Sequence[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> Together:
    """Of results (rows of ``query.one``, and their documents); of different tasks nothing is the best."""
    same_task = len({tuple(row[key] for key in TASK) for row in rows}) == 1
    rules = state.content.challenges.get(rows[0]["challenge"])
    distance = {name: _distance(one) for name, one in rules.metrics.items()} if rules is not None and same_task else {}
    lines = compare.best_of(documents, distance)
    pairs: dict[tuple[int, int], dict[str, Interval]] = {}
    over_images = {}
    for line in lines:
        best = next((place for place, cell in enumerate(line.cells) if cell.best), None)
        for place, cell in enumerate(line.cells):
            if best is None or place == best or not cell.aggregate:
                continue
            if (place, best) not in pairs:
                pairs[place, best] = image_intervals.between(state.store, documents[place], documents[best])
            if line.name in pairs[place, best]:
                over_images[line.name, place] = pairs[place, best][line.name]
    return Together(same_task, lines, over_images)


def _distance(metric: Metric) -> Callable[[float], float]:
    """A function of a metric's value that is less for what is better."""
    if metric.direction == "toward-chance":
        chance = metric.chance or 0.0
        return lambda value: abs(value - chance)
    return (lambda value: -value) if metric.direction == "higher" else (lambda value: value)
