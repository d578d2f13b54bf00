"""The points of two axes, told apart by data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import humanize, moments
from ie_crowd.site.charts import svg
from ie_crowd.site.rendering import present
from ie_crowd.store.chart_data import AXES, BYTES, DAY

WIDTH, HEIGHT = 900, 480
LEFT, RIGHT, TOP, BOTTOM = 76, 22, 16, 56


class Points(NamedTuple):
    """The chart, its legend (series, text), and how many points it shows of how many."""

    svg: str
    legend: list[tuple[int, str]]
    shown: int


def says(axis: str, challenge: Challenge) -> str:
    """What an axis shows, with its unit."""
    if axis in AXES:
        return AXES[axis].text
    unit = present.in_unit(challenge.metrics[axis].unit) if axis in challenge.metrics else ""
    return f"{axis} ({unit})" if unit else axis


def draw(
    points: Sequence[Mapping[str, Any]],
    x: str,
    y: str,
    by: str,
    challenge: Challenge,
    best: Mapping[str, Sequence[tuple[str, float]]] | None = None,
) -> Points | None:
    """The chart of ``chart_data.points``; ``by``: the column that tells series apart. None without points.

    ``best``: of each series the days on which its best value became better (``chart_data.best_so_far``): a step line.
    """
    found = [
        (point, across, up)
        for point in points
        if (across := number(point["x"], x)) is not None and (up := number(point["y"], y)) is not None
    ]
    if not found:
        return None
    lines = {
        name: [(float(date.fromisoformat(day).toordinal()), value) for day, value in steps]
        for name, steps in (best or {}).items()
        if steps
    }
    days = [day for line in lines.values() for day, _ in line]
    axes = [
        _axis([across for _, across, _ in found] + days, x, LEFT, WIDTH - RIGHT),
        _axis(
            [up for _, _, up in found] + [one for line in lines.values() for _, one in line], y, HEIGHT - BOTTOM, TOP
        ),
    ]
    names = sorted({str(point[by]) for point, _, _ in found} | set(lines))
    parts = svg.frame(axes[0], axes[1], says(x, challenge), says(y, challenge), WIDTH, HEIGHT)
    for name, line in lines.items():
        series = names.index(name)
        steps = "".join(f"H{axes[0].at(day):.1f}V{axes[1].at(value):.1f}" for day, value in line[1:])
        start = f"M{axes[0].at(line[0][0]):.1f} {axes[1].at(line[0][1]):.1f}"
        dashes = svg.DASHES[series % svg.SERIES]
        shape = f'class="line s{series % svg.SERIES}" stroke-dasharray="{dashes}"'
        parts.append(f'<path {shape} d="{start}{steps}H{axes[0].end:.1f}"/>')
    faint = len(found) > 150
    for point, across, up in found:
        series = names.index(str(point[by]))
        kind = f"bar faint s{series % svg.SERIES}"
        place = axes[0].at(across), axes[1].at(up)
        if not faint and point["y_ci95"] is not None:
            half = point["y_ci95"]
            parts.append(svg.upright(place[0], axes[1].at(up - half), axes[1].at(up + half), kind))
        if not faint and point["x_ci95"] is not None:
            half = point["x_ci95"]
            parts.append(svg.lying(place[1], axes[0].at(across - half), axes[0].at(across + half), kind))
    size = 4.0 if faint else 5.0
    parts += [
        svg.marker(names.index(str(point[by])), axes[0].at(across), axes[1].at(up), size, " dot")
        for point, across, up in found
    ]
    told = f"{len(found):,} results. " + "; ".join(
        f"{name}: {sum(str(point[by]) == name for point, _, _ in found):,}"
        + (f", best {humanize.short(lines[name][-1][1])}" if name in lines else "")
        for name in names[:12]
    )
    title = f"{says(y, challenge)} against {says(x, challenge)}"
    drawn = svg.image("points", title, told, parts, WIDTH, HEIGHT, "chart")
    return Points(drawn, list(enumerate(names)), len(found))


def number(value: Any, axis: str) -> float | None:
    """A value as a place on its axis; None for one that has none ("all" labels)."""
    if value is None or value == "all":
        return None
    unit = AXES[axis].unit if axis in AXES else ""
    if unit == DAY:
        day = moments.day(value)
        return None if day is None else float(day.toordinal())
    return float(value) / 2**30 if unit == BYTES else float(value)


def _axis(values: list[float], name: str, start: float, end: float) -> svg.Axis:
    """The axis of a chart: days, or numbers on a linear or a logarithmic scale, whichever spreads them."""
    if name not in AXES or AXES[name].unit != DAY:
        return svg.logarithmic(values, start, end) if svg.spread_out(values) else svg.linear(values, start, end)
    low, high = min(values), max(values)
    days = dict.fromkeys(round(low + (high - low) * step / 4) for step in range(5))
    room = max((high - low) * 0.02, 1)
    return svg.Axis(
        low - room, high + room, start, end, tuple((day, date.fromordinal(day).isoformat()) for day in days)
    )
