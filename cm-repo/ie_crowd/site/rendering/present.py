"""Numbers, units, dates and ids as people read them: the filters of the templates."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

from ie_crowd.formats import humanize
from ie_crowd.store.chart_data import AXES, BYTES, DAY, SECONDS

# state: (sign, words). The sign tells the states apart without colour.
STATES = {
    "fail": ("✗", "fail"),
    "pass": ("✓", "pass"),
    "not evidenced": ("○", "not evidenced"),
    "needs a person": ("✎", "needs a person"),
    "not applicable": ("–", "not applicable"),
}
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "toward-chance": "toward chance is better"}
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]{0,30}")
_MARKS = re.compile(r"([_^])\{([^{}]*)\}")


def short_id(result_id: str) -> str:
    """The first characters of an id, as git shows them."""
    return result_id[:10]


def day(moment: str | None) -> str:
    """2026-01-02 of 2026-01-02T03:04:05Z."""
    return moment[:10] if moment else "–"


def moment(value: str | None) -> str:
    """2026-01-02 03:04 UTC."""
    return f"{value[:10]} {value[11:16]} UTC" if value else "–"


def labels(value: int | str) -> str:
    """A number of labels in words."""
    return "all labels" if value == "all" else f"{int(value):,} labels"


def digits(unit: str) -> int:
    """How many decimals a value of that unit is shown with."""
    return 3 if unit == "1" else 2


def value(number: float | None, unit: str = "1") -> str:
    """A metric's value without its unit."""
    return humanize.fixed(number, digits(unit))


def in_unit(unit: str) -> str:
    """The unit as it stands in a heading; a plain number has none."""
    return "" if unit == "1" else unit


def direction(name: str) -> str:
    """Which way is better, in words."""
    return DIRECTIONS[name]


def formula(text: str) -> Markup:
    """A formula with its subscripts and superscripts: r_{y} becomes r<sub>y</sub>. All of it is escaped first."""
    marked = _MARKS.sub(lambda match: f"<{_TAGS[match[1]]}>{match[2]}</{_TAGS[match[1]]}>", str(escape(text)))
    return Markup(marked)  # noqa: S704 escaped above


def breakable(text: str) -> Markup:
    """A name that may be broken after each point and underscore, for narrow columns. All of it is escaped first."""
    return Markup(str(escape(text)).replace(".", ".<wbr>").replace("_", "_<wbr>"))  # noqa: S704 escaped above


def command(text: str) -> Markup:
    """A command whose options are not broken after their hyphens. All of it is escaped first."""
    marked = _OPTION.sub(r'<span class="nowrap">\g<0></span>', str(escape(text)))
    return Markup(marked)  # noqa: S704 escaped above


_TAGS = {"_": "sub", "^": "sup"}


def scalar(found: Any) -> str:
    """A JSON scalar as people read it."""
    if found is None:
        return "–"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, (dict, list)):
        return "–" if not found else str(found)
    if isinstance(found, float):
        return humanize.short(found) if found != int(found) else f"{found:,.0f}"
    return f"{found:,}" if isinstance(found, int) and abs(found) >= 10_000 else str(found)


def axis_value(found: Any, axis: str, unit: str) -> str:
    """A value of a chart's axis."""
    stored = AXES[axis].unit if axis in AXES else ""
    if stored == DAY:
        return day(found)
    if stored == SECONDS:
        return humanize.duration(found)
    if stored == BYTES:
        return humanize.size(found)
    return scalar(found) if not unit else value(found, unit)


def cell(found: Any, name: str) -> str:
    """A value of a document by its key, whose end says what it is."""
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        if name.endswith("_seconds"):
            return humanize.duration(found)
        if name.endswith("_bytes"):
            return humanize.size(int(found))
    return scalar(found)


def probability(p: float) -> str:
    """A p-value: never 0, and no more digits than it has."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def near(page: int, last: int) -> list[int | None]:
    """The numbers of pages to lead to from one of them; None for a gap."""
    kept = sorted({1, last, *(number for number in range(page - 2, page + 3) if 1 <= number <= last)})
    found: list[int | None] = []
    for number in kept:
        if found and number - (found[-1] or 0) > 1:
            found.append(None)
        found.append(number)
    return found


FILTERS = {
    "count": humanize.count,
    "size": humanize.size,
    "duration": humanize.duration,
    "energy": humanize.energy,
    "short_id": short_id,
    "day": day,
    "moment": moment,
    "labels": labels,
    "value": value,
    "in_unit": in_unit,
    "direction": direction,
    "formula": formula,
    "scalar": scalar,
    "axis_value": axis_value,
    "cell": cell,
    "command": command,
    "breakable": breakable,
    "probability": probability,
}
