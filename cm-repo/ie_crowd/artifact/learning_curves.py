"""Learning curves as SVG, drawn here so that a page needs no script. Every text is escaped, every number is finite.

The page's style sheet gives the colours, after the Okabe-Ito set, which colour-blind readers can tell apart, for light
and for dark; each run has its own dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ie_crowd.formats.humanize import short

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 14, 44
MOST_POINTS = 300  # of one line; more could not be seen
TOLD_APART = 7  # runs with a colour and dashes of their own
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "4 4", "1 4")
Points = Sequence[tuple[float, float]]


def svg(axis: str, lines: Sequence[tuple[int, Points]], runs: Sequence[int], identifier: str) -> str:
    """One graph of ``lines``, (run, [(epoch, value), …]); ``axis`` is what the y axis says, with its unit.

    ``runs``: all runs of the page, so that each looks the same in every graph. ``identifier`` is unique in the page.
    Empty lines are left out; no lines give an empty string.
    """
    lines = [(run, _thinned(points)) for run, points in lines if points]
    if not lines:
        return ""
    xs = ticks(*span([x for _, points in lines for x, _ in points]), whole=True)
    ys = ticks(*span([y for _, points in lines for _, y in points]))

    def place(x: float, y: float) -> str:
        across = LEFT + (x - xs[0]) / (xs[-1] - xs[0]) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - ys[0]) / (ys[-1] - ys[0]) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg class="curve" role="img" viewBox="0 0 {WIDTH} {HEIGHT}"',
        f' aria-labelledby="{identifier}-t {identifier}-d">',
        f'<title id="{identifier}-t">{escape(axis)} by epoch</title>',
        f'<desc id="{identifier}-d">{escape(_told(lines))}</desc>',
    ]
    for y in ys:
        at = place(xs[0], y).partition(",")[2]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at}" dy="4" text-anchor="end">{tick(y, ys)}</text>')
    for x in xs:
        at = place(x, ys[0]).partition(",")[0]
        parts.append(f'<line class="axis" x1="{at}" x2="{at}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 4}"/>')
        parts.append(
            f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{tick(x, xs)}</text>'
        )
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">epoch</text>'
    )
    parts.append(
        f'<text class="label" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(axis)}</text>'
    )
    for run, points in lines:
        kind, dashes = line_style(runs.index(run), len(runs))
        places = [place(x, y) for x, y in points]
        if len(places) > 1:
            parts.append(f'<polyline class="{kind}" stroke-dasharray="{dashes}" points="{" ".join(places)}"/>')
        if len(places) <= 30 and len(runs) <= TOLD_APART:
            pairs = (point.split(",") for point in places)
            parts += [f'<circle class="{kind}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in pairs]
    return "".join([*parts, "</svg>"])


def line_style(index: int, count: int) -> tuple[str, str]:
    """The class and the dashes of a line; where there are too many to tell apart, all are alike."""
    if count > TOLD_APART:
        return "line many", ""
    return f"line run{index}", DASHES[index]


def _told(lines: Sequence[tuple[int, Points]]) -> str:
    """The graph in words, for those who do not see it."""
    told = [
        f"run {run}: {short(points[0][1])} in epoch {points[0][0]:g}, {short(points[-1][1])} in epoch {points[-1][0]:g}"
        for run, points in lines[:TOLD_APART]
    ]
    more = [f"and {len(lines) - TOLD_APART} more runs"] if len(lines) > TOLD_APART else []
    return "; ".join(told + more)


def _thinned(points: Points) -> Points:
    """At most MOST_POINTS of the points, evenly, first and last among them."""
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(index * step)] for index in range(MOST_POINTS)]


def span(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest value, apart even where all are the same."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    return low, high


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round values, 3 to 7 of them, from at or below ``low`` to at or above ``high``."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    if whole:
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def tick(value: float, steps: Sequence[float]) -> str:
    """The value with as many digits as the steps need."""
    step = steps[1] - steps[0]
    largest = max(abs(steps[0]), abs(steps[-1]))
    if largest >= 1e6 or step < 1e-4:
        return f"{value:.3g}".replace("-", "−")
    return f"{value + 0.0:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}".replace("-", "−")
