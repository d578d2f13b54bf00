"""A chart of a page as a file of its own: SVG with its title, legend and colours inside, that refers to nothing else.

The colours are those of the style sheet for light pages, read from it once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ie_crowd.site.charts import svg

STYLE_SHEET = Path(__file__).parents[1] / "assets" / "style.css"
FONTS = '"DejaVu Sans", Verdana, sans-serif'
MARGIN, TITLE, LINE = 16, 40, 22  # pixels around, of the title, of a line of the legend
CHARACTER = 7.2  # pixels of one in the legend
Entry = tuple[str, str]  # of a legend: a drawing 34 wide and 14 high, and its text
_DRAWN = re.compile(r"^\.(?:grid|axis|tick|label|name|line|bar|mark|s\d|curve \.line)\b")
_UNSEEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML cannot hold


@functools.cache
def colours() -> dict[str, str]:
    """The style sheet's names for colours on light pages: {"ink": "#1c2126", …}."""
    light = re.search(r":root \{(.*?)\n\}", STYLE_SHEET.read_text(encoding="utf-8"), re.DOTALL)
    assert light is not None
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", light[1]))


@functools.cache
def style() -> str:
    """The rules of the style sheet that charts are drawn by, with colours in the place of their names."""
    named = colours()
    rules = []
    for line in STYLE_SHEET.read_text(encoding="utf-8").splitlines():
        if _DRAWN.match(line):
            sized = re.sub(r"font: (\d+)px var\(--sans\);", rf"font-size: \1px; font-family: {FONTS};", line)
            rules.append(re.sub(r"var\(--([\w-]+)\)", lambda name: named[name[1]], sized))
    return "\n".join(rules)


def document(parts: Sequence[str], width: int, height: int, title: str) -> str:
    """A whole SVG file of that size in pixels on a light ground."""
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img"><title>{escape(title)}</title><style>{style()}</style>'
        f'<rect width="{width}" height="{height}" fill="{colours()["page"]}"/>{"".join(parts)}</svg>\n'
    )
    return _UNSEEN.sub("\ufffd", whole)


def chart(drawn: str, width: int, height: int, title: str, legend: Sequence[Entry], source: str) -> str:
    """The file of a chart that ``svg.image`` drew in that size; ``source``: the line below it."""
    whole = width + 2 * MARGIN
    parts = [
        text(MARGIN, 27, title, 16, "ink", bold=True),
        drawn.replace("<svg ", f'<svg x="{MARGIN}" y="{TITLE}" width="{width}" height="{height}" ', 1),
    ]
    across, down = MARGIN, TITLE + height + LINE
    for sign, said in legend:
        wide = round(44 + len(said) * CHARACTER)
        if across > MARGIN and across + wide > whole - MARGIN:
            across, down = MARGIN, down + LINE
        parts.append(f'<g transform="translate({across} {down - 11})">{sign}</g>')
        parts.append(text(across + 40, down, said, 12, "ink"))
        across += wide + 10
    down += LINE if legend else 0
    parts.append(text(MARGIN, down, source, 11, "soft"))
    return document(parts, whole, down + MARGIN, title)


def text(x: float, y: float, said: str, size: float, colour: str, *, bold: bool = False, end: str = "start") -> str:
    """A line of text in a colour of the style sheet."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{escape(FONTS)}" font-size="{size:g}"{weight}'
        f' fill="{colours()[colour]}" text-anchor="{end}">{escape(said)}</text>'
    )


def series(number: int, dashes: str | None = None) -> str:
    """The sign of a series in a legend: its marker, on its line where it has one."""
    marker = svg.marker(number, 17, 7)
    if dashes is None:
        return marker
    return f'<path class="line s{number % svg.SERIES}" stroke-dasharray="{dashes}" d="M1 7H33"/>{marker}'


def published() -> str:
    """The sign of numbers that others published."""
    return svg.marker(3, 17, 7, 5, " other")
