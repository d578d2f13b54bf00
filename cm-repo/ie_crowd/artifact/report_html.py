"""report.html: one page of a results folder that opens from disk, with no network and no script.

What it shows may come from anyone. The result has passed the schema, every text is escaped by the template, pictures
and curves are checked on their own, and the page's own policy lets a browser load nothing.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ie_crowd.artifact import learning_curves, ro_crate
from ie_crowd.challenge import captions, load
from ie_crowd.challenge.model import Challenge
from ie_crowd.check import checklists, verdict
from ie_crowd.check.finding import STATES as item_states
from ie_crowd.check.finding import Item
from ie_crowd.check.verdict import Group, Verdict
from ie_crowd.formats import checksums, humanize, metrics_jsonl, png, strict, upgrade
from ie_crowd.ranking import image_bootstrap
from ie_crowd.ranking.image_bootstrap import Interval
from ie_crowd.result import predictions

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
NOT_OF_THE_PAGE = (checksums.SUMS, checksums.MARKER, ro_crate.CRATE)
CHECKS = ("integrity", "validity")  # groups about this folder; the others are about the paper and the reader


class Curve(NamedTuple):
    """A graph and its words."""

    name: str
    what: str
    svg: Any  # markup that this library made


class Shown(NamedTuple):
    """What a folder has to look at: curves with their legend (run, class, dashes), pictures with their words."""

    curves: list[Curve]
    legend: list[tuple[int, str, str]]
    curve_problems: list[str]
    pictures: list[tuple[png.Picture, str]]
    picture_problems: list[str]


def reader(folder: Path) -> Callable[[str, int], bytes]:
    """Reads the files of a results folder by their paths there, and nothing outside of it; of at most so many bytes.

    What is not there, is too large, or is reached by a link raises ValueError.
    """

    def read(path: str, most: int) -> bytes:
        if not os.path.lexists(folder / path):
            raise ValueError(f"{path} is not here")
        return strict.read_bytes(folder / path, most, within=folder)

    return read


def shown(source: Callable[[str, int], bytes], result: Mapping[str, Any], words: captions.Captions) -> Shown:
    """The curves and pictures of a result, in the order of the captions; one line for each that is wrong.

    ``source``: the content of a file by its path in the results folder, of at most so many bytes.
    """
    completed = [index for index, run in enumerate(result["runs"]) if run["status"] == "completed"]
    found = metrics_jsonl.read(source, completed)
    seen = png.read(source, result["files"])
    named = [
        (picture, words.figures.get(_stem(picture.path)) or picture.title) for picture in _ordered(seen.shown, words)
    ]
    return Shown(list(_curves(found, words)), _legend(found), found.problems, named, seen.problems)


def verdict_of(folder: Path, challenge: Challenge | None) -> tuple[Verdict | None, str]:
    """The verdict as a page can show it, and, where there is none, one line that says why.

    A page cannot speak of the sums that cover it, of the crate that names it, nor of a marker that goes when it is
    written: what rests on these is "not applicable" here, so that the page is the same before and after.
    """
    if challenge is None:
        return None, ""
    try:
        found = verdict.judge(folder, challenge)
    except ValueError as error:
        return None, str(error)
    items = [_of_the_page(item) for item in found.items]
    groups = tuple(_regrouped(group, items) for group in found.groups)
    return replace(found, groups=groups, conclusions=tuple(checklists.conclude(items, checklists.load()))), ""


def _of_the_page(item: Item) -> Item:
    if item.evidence not in NOT_OF_THE_PAGE:
        return item
    detail = "not for this page to say, which is one of these files; ie-crowd check does"
    return item._replace(state="not applicable", evidence=checksums.SUMS, detail=detail)


def _regrouped(group: Group, items: Iterable[Item]) -> Group:
    """The group with those of ``items`` that belong to it, what most needs a look first."""
    mine = sorted((item for item in items if item.group == group.id), key=lambda item: item_states.index(item.state))
    return replace(group, items=tuple(mine), counts=dict(counts(mine)))


def rules_of(result: Mapping[str, Any]) -> tuple[Challenge | None, captions.Captions, str]:
    """The challenge that a result names, its captions, and one line if it is not known here."""
    try:
        place = load.find(result["challenge"]["id"])
        return load.challenge(place), captions.load(place), ""
    except ValueError as error:
        return None, captions.Captions(), str(error)


def render(folder: Path, challenge: Challenge | None = None, *, complete: bool | None = None) -> str:
    """The page of a results folder, the same bytes for the same folder.

    ``challenge``: None finds the challenge that the result names; a challenge that is not known here costs its verdicts
    and the words about its metrics, no more. ``complete``: whether the run has come to its end; None looks for the
    marker that says no. Raises ValueError if result.json cannot be read or is not valid.
    """
    result = upgrade.read(folder)
    found_rules, words, unknown = rules_of(result)
    challenge = challenge or found_rules
    judged, reason = verdict_of(folder, challenge)
    groups = judged.groups if judged else ()
    if complete:  # one's own folder, just made: a file that a failing disk hides now must not be called wrong for ever
        for item in (item for group in groups for item in group.items):
            if (item.name, item.state) == ("files", "fail"):
                raise strict.FileError(
                    f"{REPORT} is not written, since a file of this folder cannot be read: {item.detail}"
                )
    checks = [item for group in groups if group.id in CHECKS for item in group.items]
    completed = [index for index, run in enumerate(result["runs"]) if run["status"] == "completed"]
    seen = shown(reader(folder), result, words)
    context = {
        "result": result,
        "title": _title(result, challenge),
        "other_method": challenge.other_method(result["config"]) if challenge else "",
        "headline": words.headline,
        "completed": len(completed),
        "metrics": list(_metrics(result, challenge, _over_images(folder, result, completed))),
        "groups": groups,
        "claims": [group for group in groups if group.id in ("claims", "kept")],
        "conclusions": judged.conclusions if judged else (),
        "checks": len(checks),
        "failures": [item for item in checks if item.state == "fail"],
        "no_verdict": reason or unknown,
        "curves": seen.curves,
        "curve_runs": seen.legend,
        "curve_problems": seen.curve_problems,
        "pictures": seen.pictures,
        "picture_problems": seen.picture_problems,
        "total_bytes": sum(file["bytes"] for file in result["files"]),
        "challenge": challenge,
        "is_complete": not (folder / checksums.MARKER).exists() if complete is None else complete,
    }
    return _template().render(context)


def write(folder: Path, challenge: Challenge | None = None, *, complete: bool | None = None) -> Path:
    """Write the page into the folder (by rename); returns its path. Else as ``render``."""
    strict.write_text(folder / REPORT, render(folder, challenge, complete=complete))
    return folder / REPORT


def counts(items: Sequence[Item]) -> list[tuple[str, int]]:
    """How many items are in each state that occurs, what most needs a look first."""
    return [(state, n) for state in item_states if (n := sum(item.state == state for item in items))]


def _title(result: Mapping[str, Any], challenge: Challenge | None) -> str:
    task = result["task"]
    labels = "all labels" if task["labels"] == "all" else f"{task['labels']:,} labels"
    other = f"{challenge.method(result['config'])}: " if challenge and challenge.other_method(result["config"]) else ""
    return f"{other}{task['dataset']}, {task['supervision']}, {labels}"


def _over_images(folder: Path, result: Mapping[str, Any], completed: Sequence[int]) -> dict[str, Interval]:
    """By metric the interval over draws and test images, where the predictions of every run are here."""
    paths = [folder / "runs" / str(index) / predictions.FILE for index in completed]
    if not paths or not all(path.is_file() and not path.is_symlink() for path in paths):
        return {}
    found, _ = predictions.wrong(paths, list(result["metrics"]))
    return {name: image_bootstrap.interval(wrong) for name, wrong in found.items()}


def _metrics(
    result: Mapping[str, Any], challenge: Challenge | None, over_images: Mapping[str, Interval]
) -> Iterable[dict[str, Any]]:
    """One row for each metric, as texts."""
    for name, metric in result["metrics"].items():
        known = challenge.metrics.get(name) if challenge else None
        digits = 3 if metric["unit"] == "1" else 2
        mean, half = metric["value"], metric["ci95"]
        better = DIRECTIONS[metric["direction"]]
        chance = f" ({known.chance:g})" if known and known.chance is not None else ""
        yield {
            "name": name,
            "what": known.what if known else "",
            "mean": humanize.fixed(mean, digits),
            "sd": humanize.fixed(metric["sd"], digits),
            "n": metric["n"],
            "interval": "–"
            if half is None
            else f"{humanize.fixed(mean - half, digits)} to {humanize.fixed(mean + half, digits)}",
            "images": over_images.get(name),
            "unit": "" if metric["unit"] == "1" else metric["unit"],
            "better": better + chance,
        }


def _curves(found: metrics_jsonl.History, words: captions.Captions) -> Iterable[Curve]:
    """The graphs, those with captions first and in their order."""
    from markupsafe import Markup

    runs = found.runs()
    names = [name for name in words.curves if name in found.series]
    for index, name in enumerate([*names, *(name for name in found.series if name not in words.curves)]):
        known = words.curves.get(name)
        shown = axis(name, known.unit if known else None)
        drawn = learning_curves.svg(shown, found.series[name], runs, f"curve{index}")
        yield Curve(name, known.what if known else "", Markup(drawn))  # noqa: S704 (curves.svg escapes what it is given)


def axis(name: str, unit: str | None) -> str:
    """What the y axis of a curve says. ``unit``: None where the captions say nothing of it."""
    return f"{name} ({'unit not stated' if unit is None else 'a plain number' if unit == '1' else unit})"


def _legend(found: metrics_jsonl.History) -> list[tuple[int, str, str]]:
    """Run, class and dashes of each line, where the graphs have lines that can be told apart."""
    runs = found.runs()
    if not 1 < len(runs) <= learning_curves.TOLD_APART:
        return []
    return [(run, *learning_curves.line_style(index, len(runs))) for index, run in enumerate(runs)]


def _ordered(shown: list[png.Picture], words: captions.Captions) -> list[png.Picture]:
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
        "count": humanize.count,
        "size": humanize.size,
        "duration": humanize.duration,
        "energy": humanize.energy,
        "fixed": humanize.fixed,
    }
    environment.globals["states"] = STATES
    return environment.get_template("report.html.j2")
