"""What lies behind a result: its document, and curves and pictures from its folder or from the files that were sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from markupsafe import Markup
from sqlalchemy import Engine

from ie_crowd.artifact import report_html
from ie_crowd.challenge import captions
from ie_crowd.evidence import files
from ie_crowd.formats import png, schema, strict, upgrade
from ie_crowd.store import query
from ie_crowd.store.records import LIMITS


class Picture(NamedTuple):
    """A picture of a results folder: its name in figures/, its size in pixels, its words."""

    name: str
    width: int
    height: int
    what: str


class Evidence(NamedTuple):
    """``curves``: (name, words, drawing); ``legend``: (run, class, dashes); ``drawn``: the curves as the run drew them,
    where their numbers did not come along."""

    curves: list[tuple[str, str, Markup]]
    legend: list[tuple[int, str, str]]
    pictures: list[Picture]
    drawn: Picture | None = None


Source = Callable[
    [str, int], bytes
]  # the content of a file by its path in the results folder, of at most so many bytes
NAME = re.compile(r"figures/[A-Za-z0-9][A-Za-z0-9_.-]{0,80}\.png")
CURVES = "learning_curves.png"
NONE = Evidence([], [], [])


def parsed(engine: Engine, result_id: str) -> dict[str, Any]:
    """The document of a result that the store keeps, in the form of the present schema version.

    It was read strictly when it came. Raises LookupError where the store keeps none (any more).
    """
    content = query.original(engine, result_id)
    if content is None:
        raise LookupError(f"there is no document of {result_id[:12]}…")
    found: dict[str, Any] = json.loads(content)
    return found if found["schema_version"] == schema.SCHEMA_VERSION else upgrade.accept(found)


def folder_of(engine: Engine, row: Mapping[str, Any], roots: Sequence[Path]) -> Path | None:
    """The folder that a result was taken in from, if it lies in one of ``roots`` and still holds the same document."""
    place = row.get("place")
    if place is None or not roots or PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        return None
    content = query.original(engine, row["id"])
    for root in roots:
        home = root.resolve()
        folder = home / place
        try:
            if strict.read_bytes(folder / upgrade.RESULT, LIMITS.size, within=home) == content:
                return folder
        except ValueError:
            continue
    return None


def source_of(engine: Engine, row: Mapping[str, Any], roots: Sequence[Path], here: Mapping[str, str]) -> Source | None:
    """Reads the files of a result: of its folder if that is on this machine, else those that were sent with it.

    ``here``: what the store has of them (see ``evidence.files.stored``). None where there is neither.
    """
    folder = folder_of(engine, row, roots)
    return report_html.reader(folder) if folder is not None else files.reader(engine, here)


def read(source: Source, result: Mapping[str, Any], words: captions.Captions) -> Evidence:
    """Curves and pictures of a result, as its report shows them."""
    found = report_html.shown(source, result, words)
    named = [
        Picture(one.path.removeprefix("figures/"), one.width, one.height, what)
        for one, what in found.pictures
        if NAME.fullmatch(one.path)
    ]
    curves = [(one.name, one.what, one.svg) for one in found.curves]
    return Evidence(curves, found.legend, named, None if curves else _drawn(source, result))


def _drawn(source: Source, result: Mapping[str, Any]) -> Picture | None:
    content = picture(source, result, CURVES)
    if content is None:
        return None
    width, height, _ = png.clean(content, CURVES)
    return Picture(CURVES, width, height, "Learning curves: what the runs measured after each epoch.")


def picture(source: Source, result: Mapping[str, Any], name: str) -> bytes | None:
    """A picture that the result lists, without its texts and times; None for any other name, or what is no picture."""
    path = f"figures/{name}"
    if not NAME.fullmatch(path) or path not in {file["path"] for file in result["files"]}:
        return None
    try:
        return png.clean(source(path, png.MOST_BYTES), path)[2]
    except ValueError:
        return None
