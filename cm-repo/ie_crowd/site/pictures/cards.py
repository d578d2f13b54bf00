"""The pictures that other sites show beside a link to a page here (Open Graph), as SVG of 1200 by 630 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ie_crowd.challenge.paper_pages import Published
from ie_crowd.site.charts import standalone, svg
from ie_crowd.site.charts.standalone import text
from ie_crowd.site.pictures import words
from ie_crowd.site.rendering import present

WIDTH, HEIGHT = 1200, 630
LEFT, RIGHT = 60, WIDTH - 60
ICON = (
    '<g transform="translate(60 40) scale(1.5)"><rect width="32" height="32" rx="7" fill="#1f5fa8"/>'
    '<circle cx="11" cy="16" r="5" fill="#fff"/><path d="M20 9v14M25 12v8" stroke="#ffd166" stroke-width="3"/></g>'
)
MARKS = {"pass": "pass", "fail": "fail", "needs-a-person": "person", "not-evidenced": "open"}  # classes, colours
MOST_FINDINGS, MOST_ENTRIES, MOST_PUBLISHED = 6, 6, 8


class Site(NamedTuple):
    """What stands on every card: the challenge, its paper's title, the site's host ("" where nobody said)."""

    name: str
    paper: str
    host: str


def _card(site: Site, kind: str, title: str, parts: Sequence[str]) -> str:
    host = words.clipped(site.host, 22, 340)
    room = RIGHT - LEFT - 40 - words.width(host, 22)
    head = [
        ICON,
        text(124, 74, words.clipped(site.name, 28, 500), 28, "ink", bold=True),
        text(RIGHT, 74, words.clipped(kind, 26, 400), 26, "soft", end="end"),
        f'<rect y="{HEIGHT - 62}" width="{WIDTH}" height="62" fill="{standalone.colours()["panel"]}"/>',
        text(LEFT, HEIGHT - 23, words.clipped(f"Reproducing: {site.paper}", 22, room), 22, "soft"),
        text(RIGHT, HEIGHT - 23, host, 22, "soft", end="end"),
        f'<rect width="14" height="{HEIGHT}" fill="{standalone.colours()["accent"]}"/>',
    ]
    return standalone.document([*head, *parts], WIDTH, HEIGHT, title)


def _block(lines: Sequence[str], x: float, y: float, size: float, colour: str, *, bold: bool = False) -> list[str]:
    return [text(x, y + index * size * 1.25, one, size, colour, bold=bold) for index, one in enumerate(lines)]


def front(site: Site, verdict: str, findings: Sequence[Any]) -> str:
    """Does the paper hold? ``findings``: of ``rendering.holds``; by their ids, since texts that are clipped may be the
    same for two of them."""
    parts = [text(LEFT, 176, "Does the paper hold?", 60, "ink", bold=True)]
    said = words.lines(verdict, 30, RIGHT - LEFT, 2)
    parts += _block(said, LEFT, 236, 30, "ink")
    down = 262 + 37.5 * len(said)
    step = min(56.0, (HEIGHT - 76 - down) / max(1, len(findings[:MOST_FINDINGS])))
    for one in findings[:MOST_FINDINGS]:
        sign, kind = one.sign
        claim = one.claim.id.replace("-", " ").capitalize()
        parts.append(text(LEFT + 18, down + 12, sign, 34, MARKS[kind], bold=True, end="middle"))
        parts.append(text(LEFT + 52, down + 10, words.clipped(claim, 26, 800), 26, "ink"))
        parts.append(
            text(RIGHT, down + 10, words.clipped(one.state, 24, 240, bold=True), 24, MARKS[kind], bold=True, end="end")
        )
        down += step
    return _card(site, "", "Does the paper hold?", parts)


def ranking(site: Site, title: str, metric: str, lines: Sequence[Any], unit: str, total: int) -> str:
    """The first entries of a contest. ``lines``: of ``pages.ranking``, with their drawings."""
    size = next((one for one in (42, 36) if words.width(title, one, bold=True) <= RIGHT - LEFT), 30)
    parts = _block(words.lines(title, size, RIGHT - LEFT, 1, bold=True), LEFT, 160, size, "ink", bold=True)
    count = f"{total:,} {'entry' if total == 1 else 'entries'}"
    told = f"by {metric}{f' ({unit})' if unit else ''}, mean and 95 % interval, {count}"
    parts.append(text(LEFT, 206, words.clipped(told, 26, RIGHT - LEFT), 26, "soft"))
    for index, line in enumerate(lines[:MOST_ENTRIES]):
        entry, down = line.entry, 268 + 52 * index
        who = ", ".join(filter(None, (entry.submitter, entry.method)))
        number = present.value(entry.mean, metric_unit(unit))
        half = "" if entry.ci95 is None else f" ± {present.value(entry.ci95, metric_unit(unit))}"
        parts.append(text(LEFT + 62, down, line.place, 28, "ink", bold=True, end="end"))
        parts.append(text(LEFT + 86, down, words.clipped(who, 28, 430), 28, "ink"))
        parts.append(text(LEFT + 740, down, words.clipped(number + half, 28, 260), 28, "ink", end="end"))
        parts.append(_within(str(line.drawn), LEFT + 770, down - 27, 310, 35))
    return _card(site, "Ranking", f"Ranking: {title}", parts)


def metric_unit(unit: str) -> str:
    """The unit as rules write it: a plain number has "1"."""
    return unit or "1"


def chart(site: Site, title: str, drawn: str, size: tuple[int, int], legend: Sequence[standalone.Entry]) -> str:
    """A chart of the site, as large as fits, with its legend beside it."""
    parts = _block(words.lines(title, 34, RIGHT - LEFT, 1, bold=True), LEFT, 140, 34, "ink", bold=True)
    high = HEIGHT - 62 - 160
    wide = min(round(high * size[0] / size[1]), 780)
    parts.append(_within(drawn, LEFT - 10, 155, wide, round(wide * size[1] / size[0])))
    for index, (sign, said) in enumerate(legend[:9]):
        down = 190 + 40 * index
        parts.append(f'<g transform="translate({LEFT + wide} {down - 16}) scale(1.4)">{sign}</g>')
        parts.append(text(LEFT + wide + 56, down, words.clipped(said, 20, RIGHT - LEFT - wide - 56), 20, "ink"))
    return _card(site, "Chart", title, parts)


class Measured(NamedTuple):
    """The first metric of a result: its name, value and unit in words; the value of each run; mean and half of the
    95 % interval; what others published of the same task."""

    name: str
    said: str
    runs: Sequence[float]
    mean: float
    ci95: float | None
    published: Sequence[Published]


def result(
    site: Site, title: str, kind: str, measured: Measured | None, verdict: str, badges: Sequence[tuple[str, bool]]
) -> str:
    """One result: its number, the program's verdict, its runs beside what others published, and badges: (what each
    says, whether that is good)."""
    room = 640
    parts = _block(head := words.lines(title, 40, room, 2, bold=True), LEFT, 156, 40, "ink", bold=True)
    down = 156 + 50.0 * len(head)
    parts.append(text(LEFT, down - 8, words.clipped(kind, 24, room), 24, "soft"))
    if measured is not None:
        size = 78 if words.width(measured.said, 78, bold=True) <= room else 50
        parts.append(text(LEFT, down + 88, words.clipped(measured.said, size, room, bold=True), size, "ink", bold=True))
        parts.append(text(LEFT, down + 126, words.clipped(measured.name, 24, room), 24, "soft"))
        parts += _strip(measured, 740, 130, RIGHT - 740, 400)
        down += 150
    said = words.lines(verdict, 24, room, 3)
    parts += _block(said, LEFT, down + 24, 24, "ink")
    across = float(LEFT)
    for one, good in badges:
        shown = words.clipped(one, 20, room - (across - LEFT) - 28, bold=True)
        wide = words.width(shown, 20, bold=True) + 28
        colour = standalone.colours()["pass" if good else "soft"]
        shape = f'x="{across:.1f}" y="{HEIGHT - 116}" width="{wide:.1f}" height="38" rx="19" fill="none"'
        parts.append(f'<rect {shape} stroke="{colour}" stroke-width="1.5"/>')
        middle = across + wide / 2
        parts.append(text(middle, HEIGHT - 90, shown, 20, "pass" if good else "soft", bold=True, end="middle"))
        across += wide + 12
        if across > LEFT + room - 160:
            break
    return _card(site, "Result", title, parts)


def _strip(measured: Measured, x: float, y: float, wide: float, high: float) -> list[str]:
    """The values of the runs, their mean and interval, and published numbers, on one upright axis."""
    half = measured.ci95 or 0.0
    others = sorted(measured.published, key=lambda one: one.value)[:MOST_PUBLISHED]
    ends = [*measured.runs, measured.mean - half, measured.mean + half, *(one.value for one in others)]
    if min(measured.runs, default=0.0) >= 0:
        ends = [max(end, 0.0) for end in ends]
    spread = svg.spread_out(ends, 8.0)
    axis = (svg.logarithmic if spread else svg.linear)(ends, y + high - 60, y + 20)
    colour = standalone.colours()
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="12"'
    parts = [f'<rect {shape} fill="{colour["page"]}" stroke="{colour["line"]}"/>']
    for value, said in axis.places:
        parts.append(f'<path class="grid" d="M{x + 84:.1f} {axis.at(value):.1f}H{x + wide - 20:.1f}"/>')
        parts.append(text(x + 76, axis.at(value) + 6, said, 18, "soft", end="end"))
    runs, mean, other = x + 118, x + 160, x + 232
    parts += [svg.marker(0, runs, axis.at(value), 6) for value in measured.runs[:200]]
    if measured.ci95 is not None:
        parts.append(svg.upright(mean, axis.at(measured.mean - half), axis.at(measured.mean + half), "bar s0"))
    parts.append(svg.marker(1, mean, axis.at(measured.mean), 8))
    parts.append(text((runs + mean) / 2, y + high - 24, "runs, mean", 18, "soft", end="middle"))
    free = float("inf")
    for one in others:
        at = axis.at(one.value)
        parts.append(svg.marker(3, other, at, 7, " other"))
        if at + 6 <= free:
            parts.append(text(other + 16, at + 6, words.clipped(one.method, 17, x + wide - other - 24), 17, "soft"))
            free = at - 14
    if others:
        parts.append(text(other - 14, y + high - 24, "others published", 17, "soft"))
    return parts


def _within(drawn: str, x: float, y: float, wide: float, high: float) -> str:
    return drawn.replace("<svg ", f'<svg x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" ', 1)
