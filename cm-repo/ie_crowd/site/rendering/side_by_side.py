"""Results side by side, for page, files and API: the best of each metric, how far others lie from it, their curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ie_crowd.artifact import learning_curves, report_html
from ie_crowd.challenge.model import Metric
from ie_crowd.evidence import files, image_intervals
from ie_crowd.formats import metrics_jsonl
from ie_crowd.ranking import compare
from ie_crowd.ranking.image_bootstrap import Interval
from ie_crowd.site.rendering import result_files

MOST = 6  # results at once
TASK = ("challenge", "dataset", "supervision", "labels")


class Curve(NamedTuple):
    """A learning curve that several results have: ``lines``, the mean over the runs of each, by its number from 1."""

    name: str
    svg: str
    lines: list[tuple[int, learning_curves.Points]]


class Together(NamedTuple):
    """``metrics``: lines of ``compare.best_of``. ``over_images``: by metric and place of a result, it minus the best,
    over draws and test images, where both were recomputed here on the same images."""

    same_task: bool
    metrics: list[compare.Several]
    over_images: dict[tuple[str, int], Interval]


def together(state: Any, rows: Sequence[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> Together:
    """Of results (rows of ``query.one``, and their documents); of different tasks nothing is the best."""
    same_task = len({tuple(row[key] for key in TASK) for row in rows}) == 1
    challenge = state.content.challenges.get(rows[0]["challenge"])
    distance = (
        {name: _distance(one) for name, one in challenge.metrics.items()} if challenge is not None and same_task else {}
    )
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


def curves(state: Any, rows: Sequence[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Each curve that more than one of the results has here, those with captions first and in their order."""
    series: dict[str, list[tuple[int, learning_curves.Points]]] = {}
    for number, (row, document) in enumerate(zip(rows, documents, strict=True), 1):
        here = files.stored(state.store, row["id"])
        source = result_files.source_of(state.store, row, state.settings.folders, here)
        completed = [place for place, run in enumerate(document["runs"]) if run["status"] == "completed"]
        history = metrics_jsonl.read(source, completed).series if source else {}
        for name, lines in history.items():
            series.setdefault(name, []).append((number, _mean([points for _, points in lines])))
    words, numbers = state.content.captions.curves, range(1, len(rows) + 1)
    found = []
    for place, name in enumerate([*words, *(name for name in series if name not in words)]):
        if len(series.get(name, [])) > 1:
            axis = report_html.axis(name, words[name].unit if name in words else None)
            found.append(Curve(name, learning_curves.svg(axis, series[name], numbers, f"several{place}"), series[name]))
    return found


def _mean(lines: Sequence[learning_curves.Points]) -> list[tuple[float, float]]:
    """The mean over lines at each place that all of them have."""
    by_place: dict[float, list[float]] = {}
    for points in lines:
        for x, y in points:
            by_place.setdefault(x, []).append(y)
    return [(x, sum(ys) / len(ys)) for x, ys in sorted(by_place.items()) if len(ys) == len(lines)]


def _distance(metric: Metric) -> Callable[[float], float]:
    """A function of a metric's value that is less for what is better."""
    if metric.direction == "toward-chance":
        chance = metric.chance or 0.0
        return lambda value: abs(value - chance)
    return (lambda value: -value) if metric.direction == "higher" else (lambda value: value)
