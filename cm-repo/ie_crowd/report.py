"""report.html: one page of a results folder that opens from disk, with no network and no script.

What it shows may come from anyone. The result has passed the schema, every text is escaped by the template, pictures
and curves are checked on their own, and the page's own policy lets a browser load nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ie_crowd import captions, challenge, curves, document, history, numbers, pictures, reader, sums, verify
from ie_crowd.challenge import Challenge
from ie_crowd.item import Item

if TYPE_CHECKING:
    from jinja2 import Environment, Template

REPORT = "report.html"
TEMPLATES = Path(__file__).with_name("templates")
# state: (sign, words). The sign tells the states apart without colour.
STATES = {
    "fail": ("✗", "fail"),
    "pass": ("✓", "pass"),
    "not evidenced": ("○", "not evidenced"),
    "needs a person": ("✎", "needs a person"),
    "not applicable": ("–", "not applicable"),
}
DIRECTIONS = {"higher": "higher", "lower": "lower", "toward-chance": "toward chance"}
# A page cannot speak of the sums that cover it, nor of a marker that goes when it is written.
NOT_OF_THE_PAGE = (sums.SUMS, sums.MARKER)


class Curve(NamedTuple):
    """A graph and its words."""

    name: str
    what: str
    svg: Any  # markup that this library made


def items_of(folder: Path, rules: Challenge | None) -> tuple[list[Item], str]:
    """The verdicts that a page can show, and, where there are none, one line that says why."""
    try:
        items = verify.check(folder, rules)
    except ValueError as error:
        return [], str(error)
    return [item for item in items if item.evidence not in NOT_OF_THE_PAGE], ""


def rules_of(result: Mapping[str, Any]) -> tuple[Challenge | None, captions.Captions, str]:
    """The challenge that a result names, its captions, and one line if it is not known here."""
    try:
        place = challenge.find(result["challenge"]["id"])
        return challenge.load(place), captions.load(place), ""
    except ValueError as error:
        return None, captions.Captions(), str(error)


def render(folder: Path, rules: Challenge | None = None, *, complete: bool | None = None) -> str:
    """The page of a results folder, the same bytes for the same folder.

    ``rules``: None finds the challenge that the result names; a challenge that is not known here costs its verdicts
    and the words about its metrics, no more. ``complete``: whether the run has come to its end; None looks for the
    marker that says no. Raises ValueError if result.json cannot be read or is not valid.
    """
    result = reader.read(folder)
    found_rules, words, unknown = rules_of(result)
    rules = rules or found_rules
    items, reason = items_of(folder, rules) if rules else ([], unknown)
    completed = [index for index, run in enumerate(result["runs"]) if run["status"] == "completed"]
    found = history.read(folder, completed)
    seen = pictures.read(folder, result["files"])
    seen.shown[:] = _ordered(seen.shown, words)
    context = {
        "result": result,
        "title": _title(result),
        "completed": len(completed),
        "metrics": list(_metrics(result, rules)),
        "groups": groups(items),
        "counts": counts(items),
        "failures": [item for item in items if item.state == "fail"][:8],
        "no_items": reason,
        "curves": list(_curves(found, words)),
        "curve_runs": _legend(found),
        "curve_problems": found.problems,
        "pictures": [(picture, words.figures.get(_stem(picture.path)) or picture.title) for picture in seen.shown],
        "picture_problems": seen.problems,
        "total_bytes": sum(file["bytes"] for file in result["files"]),
        "rules": rules,
        "is_complete": not (folder / sums.MARKER).exists() if complete is None else complete,
    }
    return _template().render(context)


def write(folder: Path, rules: Challenge | None = None, *, complete: bool | None = None) -> Path:
    """Write the page into the folder (by rename); returns its path. Else as ``render``."""
    document.write_text(folder / REPORT, render(folder, rules, complete=complete))
    return folder / REPORT


def groups(items: Iterable[Item]) -> list[tuple[str, list[Item]]]:
    """The items under the names of their groups, in the order in which these appear; failures first in each."""
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(str(getattr(item, "group", "") or "checks"), []).append(item)
    order = list(STATES)
    return [(name, sorted(group, key=lambda item: order.index(item.state))) for name, group in found.items()]


def counts(items: Sequence[Item]) -> list[tuple[str, int]]:
    """How many items are in each state that occurs, failures first."""
    return [(state, n) for state in STATES if (n := sum(item.state == state for item in items))]


def _title(result: Mapping[str, Any]) -> str:
    task = result["task"]
    labels = "all labels" if task["labels"] == "all" else f"{task['labels']:,} labels"
    return f"{task['dataset']}, {task['supervision']}, {labels}"


def _metrics(result: Mapping[str, Any], rules: Challenge | None) -> Iterable[dict[str, Any]]:
    """One row for each metric, as texts."""
    for name, metric in result["metrics"].items():
        known = rules.metrics.get(name) if rules else None
        digits = 3 if metric["unit"] == "1" else 2
        mean, half = metric["value"], metric["ci95"]
        better = DIRECTIONS[metric["direction"]]
        chance = f" ({known.chance:g})" if known and known.chance is not None else ""
        yield {
            "name": name,
            "what": known.what if known else "",
            "mean": numbers.fixed(mean, digits),
            "sd": numbers.fixed(metric["sd"], digits),
            "n": metric["n"],
            "interval": "–"
            if half is None
            else f"{numbers.fixed(mean - half, digits)} to {numbers.fixed(mean + half, digits)}",
            "unit": "" if metric["unit"] == "1" else metric["unit"],
            "better": better + chance,
        }


def _curves(found: history.History, words: captions.Captions) -> Iterable[Curve]:
    """The graphs, those with captions first and in their order."""
    from markupsafe import Markup

    runs = found.runs()
    names = [name for name in words.curves if name in found.series]
    for index, name in enumerate([*names, *(name for name in found.series if name not in words.curves)]):
        known = words.curves.get(name)
        unit = known.unit if known else "unit not stated"
        shown = f"{name} ({unit})" if unit != "1" else f"{name} (a plain number)"
        drawn = curves.svg(shown, found.series[name], runs, f"curve{index}")
        yield Curve(name, known.what if known else "", Markup(drawn))  # noqa: S704 (curves.svg escapes what it is given)


def _legend(found: history.History) -> list[tuple[int, str, str]]:
    """Run, class and dashes of each line, where the graphs have lines that can be told apart."""
    runs = found.runs()
    if not 1 < len(runs) <= curves.TOLD_APART:
        return []
    return [(run, *curves.line_style(index, len(runs))) for index, run in enumerate(runs)]


def _ordered(shown: list[pictures.Picture], words: captions.Captions) -> list[pictures.Picture]:
    """The pictures in the order of the captions, without those that these leave out."""
    order = list(words.figures)
    kept = [picture for picture in shown if words.figures.get(_stem(picture.path), "") is not None]
    return sorted(kept, key=lambda picture: order.index(stem) if (stem := _stem(picture.path)) in order else len(order))


def _stem(path: str) -> str:
    return path.removeprefix("figures/").removesuffix(".png")


@functools.cache
def _template() -> Template:
    """The template, with escaping on and undefined names an error."""
    import jinja2

    environment: Environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": numbers.count,
        "size": numbers.size,
        "duration": numbers.duration,
        "energy": numbers.energy,
        "fixed": numbers.fixed,
    }
    environment.globals["states"] = STATES
    return environment.get_template("report.html.j2")
