"""The parts that every chart is drawn from: axes, markers, intervals. Colours come from the style sheet by class.

A chart is an image to those who see it and one title with a description to those who do not; the table beside it holds
every number. Every text is escaped, every coordinate is a finite number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from ie_crowd.artifact.learning_curves import span, tick, ticks

SERIES = 7  # that have a colour, a marker and dashes of their own: classes s0 to s6
DASHES = ("", "7 4", "2 4", "9 4 2 4", "13 4", "4 4", "1 5")

# Around 0, 0 and as large as a disc with a radius of 5: disc, square, triangle, diamond, triangle, cross, bar.
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "M-4.3-4.3h8.6v8.6h-8.6z",
    "M0-5.8l5.5 9.8h-11z",
    "M0-6.2l6.2 6.2-6.2 6.2-6.2-6.2z",
    "M0 5.8l5.5-9.8h-11z",
    "M-5.5-2h3.5v-3.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5z",
    "M-6-3h12v6h-12z",
)


@dataclass(frozen=True)
class Axis:
    """Where values lie between two pixels: ``places`` are (value, text) of its ticks."""

    low: float
    high: float
    start: float
    end: float
    places: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value, held inside the axis."""
        low, high = (math.log(end) if self.logarithmic else end for end in (self.low, self.high))
        here = math.log(max(value, self.low)) if self.logarithmic else value
        share = (here - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def linear(values: Sequence[float], start: float, end: float, *, zero: bool = False) -> Axis:
    """An axis over the values, with round ticks; ``zero`` lets it begin at 0 where that is near."""
    low, high = span(values)
    if zero and 0 < low < high / 1.5:
        low = 0.0
    steps = ticks(low, high)
    return Axis(steps[0], steps[-1], start, end, tuple((value, tick(value, steps)) for value in steps))


def logarithmic(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis over positive values whose equal steps are equal ratios; ticks at powers of ten, 2 and 5 between."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low / 2, high * 2
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if high <= 100 * low else (1,)
    steps = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    below = [step for step in steps if step <= low * 1.0001]
    above = [step for step in steps if step >= high * 0.9999]
    chosen = [step for step in steps if (below or steps)[-1] <= step <= (above or steps[-1:])[0]]
    return Axis(chosen[0], chosen[-1], start, end, tuple((value, f"{value:,.6g}") for value in chosen), True)


def spread_out(values: Sequence[float], ratio: float = 50.0) -> bool:
    """Whether equal ratios show these values better than equal differences: largest over least is above ``ratio``."""
    return min(values) > 0 and max(values) / min(values) > ratio


def marker(series: int, x: float, y: float, size: float = 5, extra: str = "", title: str = "") -> str:
    """The marker of a series: each has another shape. ``title`` is what a browser shows on top of it."""
    scale = "" if size == 5 else f" scale({size / 5:.2g})"
    shape = f'class="mark s{series % SERIES}{extra}" d="{SHAPES[series % SERIES]}"'
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<path {shape} transform="translate({x:.1f} {y:.1f}){scale}">{inner}</path>'


def legend_marker(series: int) -> Markup:
    """The marker of a series for a legend."""
    return Markup(marker(series, 8, 8))  # noqa: S704 numbers only


def upright(x: float, low: float, high: float, kind: str) -> str:
    """An interval along the y axis, with caps."""
    return f'<path class="{kind}" d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {low:.1f}h8M{x - 4:.1f} {high:.1f}h8"/>'


def lying(y: float, low: float, high: float, kind: str) -> str:
    """An interval along the x axis, with caps."""
    return f'<path class="{kind}" d="M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8"/>'


def frame(x: Axis, y: Axis, x_says: str, y_says: str, width: int, height: int) -> list[str]:
    """Grid, ticks and words of two axes; ``y`` grows upwards, so its start is the lower pixel."""
    parts = []
    for value, text in y.places:
        at = y.at(value)
        parts.append(f'<path class="grid" d="M{x.start:.1f} {at:.1f}H{x.end:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{x.start - 8:.1f}" y="{at + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        )
    for value, text in x.places:
        at = x.at(value)
        parts.append(f'<path class="axis" d="M{at:.1f} {y.start:.1f}v5"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{y.start + 20:.1f}" text-anchor="middle">{escape(text)}</text>'
        )
    parts.append(f'<path class="axis" d="M{x.start:.1f} {y.start:.1f}H{x.end:.1f}"/>')
    across, up = (x.start + x.end) / 2, (y.start + y.end) / 2
    parts.append(f'<text class="label" x="{across:.1f}" y="{height - 6}" text-anchor="middle">{escape(x_says)}</text>')
    turned = f'transform="translate(15 {up:.1f}) rotate(-90)"'
    parts.append(f'<text class="label" {turned} text-anchor="middle">{escape(y_says)}</text>')
    return parts


def image(identifier: str, title: str, told: str, parts: Sequence[str], width: int, height: int, kind: str) -> str:
    """The parts as one picture with its title and description; ``identifier`` is unique in the page."""
    return (
        f'<svg class="{kind}" role="img" viewBox="0 0 {width} {height}"'
        f' aria-labelledby="{identifier}-t {identifier}-d"><title id="{identifier}-t">{escape(title)}</title>'
        f'<desc id="{identifier}-d">{escape(told)}</desc>{"".join(parts)}</svg>'
    )


def forest(low: float, high: float, mean: float, ci95: float | None, series: int = 0) -> str:
    """A mean and its interval on a scale from ``low`` to ``high``, as wide as a column of a table; decoration only."""
    axis = Axis(low, high, 6, 154, ())
    parts = [] if ci95 is None else [lying(9, axis.at(mean - ci95), axis.at(mean + ci95), f"bar s{series}")]
    parts.append(marker(series, axis.at(mean), 9, 4))
    return f'<svg class="forest" viewBox="0 0 160 18" aria-hidden="true">{"".join(parts)}</svg>'
