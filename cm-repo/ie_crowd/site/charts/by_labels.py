"""A metric against the number of labels: means over submitters with 95 % intervals, and what others published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any, NamedTuple

from ie_crowd.challenge.model import Metric
from ie_crowd.challenge.paper_pages import Published
from ie_crowd.formats import humanize
from ie_crowd.site.charts import svg
from ie_crowd.site.rendering import present

WIDTH, HEIGHT = 560, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 14, 52
SPREAD = 8.0  # the largest value over the least, from which on equal ratios are drawn as equal steps
CHARACTER = 5.6  # pixels of a name


class Chart(NamedTuple):
    """One data set's chart: its legend is (series, dashes or None for a marker alone, text)."""

    dataset: str
    svg: str
    legend: list[tuple[int, str | None, str]]
    rows: list[dict[str, Any]]
    published: list[Published]


def charts(rows: Sequence[Mapping[str, Any]], name: str, metric: Metric, published: Sequence[Published]) -> list[Chart]:
    """One chart for each data set of the rows of ``store.charts.by_labels``, in their order."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    return [
        _chart(
            index,
            dataset,
            [dict(row) for row in rows if row["dataset"] == dataset],
            name,
            metric,
            [one for one in published if one.dataset == dataset],
        )
        for index, dataset in enumerate(datasets)
    ]


def _chart(
    index: int, dataset: str, rows: list[dict[str, Any]], name: str, metric: Metric, published: list[Published]
) -> Chart:
    lines: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(tuple(filter(None, (row["method"], row["supervision"], row["division"]))), []).append(row)
    counts = sorted(
        {int(row["labels"]) for row in rows if row["labels"] != "all"}
        | {int(one.labels) for one in published if one.labels != "all"}
    )
    has_all = any(row["labels"] == "all" for row in rows) or any(one.labels == "all" for one in published)
    x, places = _across(counts, has_all)
    ends = [row["mean"] for row in rows]
    ends += [
        end for row in rows if row["ci95"] is not None for end in (row["mean"] - row["ci95"], row["mean"] + row["ci95"])
    ]
    ends += [end for one in published for end in (one.value - (one.spread or 0), one.value + (one.spread or 0))]
    if metric.low == 0 and min(ends) < 0 <= min(row["mean"] for row in rows):
        ends = [max(end, 0.0) for end in ends]  # an interval may reach below what is possible; the axis need not
    scale = svg.logarithmic if svg.spread_out(ends, SPREAD) else partial(svg.linear, zero=True)
    y = scale(ends, HEIGHT - BOTTOM, TOP)
    unit = present.in_unit(metric.unit)
    says = f"{name} ({unit})" if unit else name
    parts = svg.frame(x, y, "labelled examples", says, WIDTH, HEIGHT)
    legend: list[tuple[int, str | None, str]] = []
    for series, (name_of_line, line) in enumerate(lines.items()):
        said = ", ".join(name_of_line)
        kind = f"s{series % svg.SERIES}"
        line.sort(key=lambda row: places[row["labels"]])
        shift = 5.0 * (series - (len(lines) - 1) / 2)  # so that intervals of the same labels do not cover each other
        points = [(x.at(places[row["labels"]]) + shift, y.at(row["mean"]), row) for row in line]
        if len(points) > 1:
            path = "L".join(f"{across:.1f} {up:.1f}" for across, up, _ in points)
            parts.append(
                f'<path class="line {kind}" stroke-dasharray="{svg.DASHES[series % svg.SERIES]}" d="M{path}"/>'
            )
        for across, up, row in points:
            if row["ci95"] is not None:
                low, high = y.at(row["mean"] - row["ci95"]), y.at(row["mean"] + row["ci95"])
                parts.append(svg.upright(across, low, high, f"bar {kind}"))
            told = f"{said}, {present.labels(row['labels'])}: {_told(row['mean'], row['ci95'], unit)}"
            parts.append(svg.marker(series, across, up, 5.5, "", told))
        legend.append((series, svg.DASHES[series % svg.SERIES], f"{said} division, measured"))
    parts += _others(published, x, y, places)
    if published:
        legend.append((-1, None, "published by others"))
    told = "; ".join(
        f"{row['method']} {row['supervision']}, {row['division']}, {present.labels(row['labels'])}: ".lstrip()
        + _told(row["mean"], row["ci95"], unit)
        for row in rows[:24]
    )
    drawn = svg.image(f"labels{index}", f"{dataset}: {says} by number of labels", told, parts, WIDTH, HEIGHT, "chart")
    return Chart(dataset, drawn, legend, rows, published)


def _told(mean: float, ci95: float | None, unit: str) -> str:
    return f"{humanize.short(mean)}{'' if ci95 is None else f' ± {humanize.short(ci95)}'} {unit}".strip()


def _across(counts: list[int], has_all: bool) -> tuple[svg.Axis, dict[int | str, float]]:
    """The x axis: label counts by their ratio, "all" a step behind the last. And where each count lies on it."""
    places: dict[int | str, float] = {count: float(count) for count in counts}
    ratio = 3.0
    if has_all:
        places["all"] = (counts[-1] if counts else 1) * ratio
    low, high = min(places.values()) / 1.6, max(places.values()) * 2.2  # room for names at the right
    texts = tuple((value, "all" if key == "all" else f"{key:,}") for key, value in places.items())
    return svg.Axis(low, high, LEFT, WIDTH - RIGHT, texts, True), places


def _room(x: svg.Axis, places: Mapping[int | str, float], labels: int | str) -> float:
    """The pixels beside a published marker, up to what is drawn for the next label count."""
    here = x.at(places[labels])
    right = [x.at(place) for place in places.values() if x.at(place) > here]
    return (min(right) - 12 if right else x.end) - (here + 14 + 9)


def _others(published: list[Published], x: svg.Axis, y: svg.Axis, places: Mapping[int | str, float]) -> list[str]:
    """Published numbers: hollow diamonds, with the method's name beside them where there is room."""
    parts = []
    free: dict[int | str, float] = {}  # from which pixel on a name fits below those that are there
    for one in sorted(published, key=lambda one: (places[one.labels], -one.value)):
        across, up = x.at(places[one.labels]) + 14, y.at(one.value)
        if one.spread is not None:
            parts.append(svg.upright(across, y.at(one.value - one.spread), y.at(one.value + one.spread), "bar other"))
        title = f"{one.method}, {present.labels(one.labels)}: {one.value:g} ({one.source})"
        parts.append(svg.marker(3, across, up, 4.5, " other", title))
        line = max(up + 4, free.get(one.labels, 0.0))
        if line > y.start + 2 or len(one.method) * CHARACTER > _room(x, places, one.labels):
            continue  # no room for its name: the table has it
        free[one.labels] = line + 11
        where = f'x="{across + 9:.1f}" y="{line:.1f}"'
        parts.append(f'<text class="name" {where}>{escape(one.method)}</text>')
    return parts
