"""The words of the pages about a challenge's paper, from its ``pages.yaml``, and what others published.

Texts are plain; ``_{…}`` and ``^{…}`` in formulas and symbols are subscripts and superscripts. A challenge without the
file gets pages that say what its rules say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd.challenge.claims import CLAIMS
from ie_crowd.challenge.fields import Reader
from ie_crowd.formats import strict

PAGES = "pages.yaml"
_FILE = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.(?:png|svg)")


class Figure(NamedTuple):
    """A picture in the challenge's figures/: ``alt`` for those who do not see it, ``caption`` for all."""

    file: str
    alt: str
    caption: str


class Symbol(NamedTuple):
    """A symbol of the paper, what it is called in the code ("": nothing), and what it means."""

    symbol: str
    code: str
    what: str


class Formula(NamedTuple):
    """A formula of the paper, its name and what it says."""

    name: str
    formula: str
    what: str


# What a link leads to, and the heading that such links stand under, in the order of the page.
KINDS = {
    "paper": "The paper",
    "data set": "Data sets",
    "code": "Code",
    "earlier work": "Earlier work",
    "later work": "Later work",
    "other": "More",
}

LONGEST_LINK = {"kind": 16, "title": 160, "url": 500, "note": 300}
# An address over TLS: a host in ASCII with no name in front of it, then what addresses hold.
_ADDRESS = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)[A-Za-z0-9.-]{1,200}(?::[0-9]{1,5})?"
    r"(?:[/?#][A-Za-z0-9/?#._~:@!$&'*+,;=%()\[\]-]{0,500})?"
)


class Linked(NamedTuple):
    """A link, one of KINDS, and perhaps a sentence about it."""

    text: str
    url: str
    kind: str = "other"
    note: str = ""


class Step(NamedTuple):
    """Something to do, with the exact command ("": none)."""

    title: str
    what: str
    command: str


class Published(NamedTuple):
    """A number that others published: ``spread`` is their ±, None where they gave none."""

    dataset: str
    method: str
    source: str
    labels: int | str
    value: float
    spread: float | None


@dataclass(frozen=True)
class Words:
    """What ``pages.yaml`` says, in its order; all empty without one."""

    authors: str = ""
    venue: str = ""
    abstract: tuple[str, ...] = ()
    links: tuple[Linked, ...] = ()
    figures: tuple[Figure, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    bounds: tuple[Formula, ...] = ()
    rules: tuple[str, ...] = ()
    take_part: tuple[Step, ...] = ()
    published_metric: str = ""


def wrong_link(kind: str, title: str, url: str, note: str) -> dict[str, str]:
    """What is wrong with a link that pages show, by field; nothing for a good one."""
    found = {}
    if kind not in KINDS:
        found["kind"] = f"expected one of {', '.join(KINDS)}"
    if not title.strip():
        found["title"] = "expected a title"
    if not _ADDRESS.fullmatch(url.strip()):
        found["url"] = "expected an address that starts with https://, without a name or password in it"
    for name, value in (("title", title), ("url", url), ("note", note)):
        if len(value.strip()) > LONGEST_LINK[name]:
            found[name] = f"{len(value):,} characters; at most {LONGEST_LINK[name]} are kept"
    return found


def load(folder: Path) -> Words:
    """Read ``folder/pages.yaml``. Raises ValueError naming the place."""
    path = folder / PAGES
    if not path.exists():
        return Words()
    reader = Reader(strict.name_of(path))
    keys = "authors venue abstract links figures symbols bounds rules take_part published_metric"
    top = reader.mapping(strict.read_yaml(path), "the file")
    reader.mapping(top, "the file", "abstract", keys)

    def rows(key: str, names: str, optional: str = "") -> list[dict[str, str]]:
        found = []
        for index, raw in enumerate(reader.items(top.get(key, []), key)):
            row = reader.mapping(raw, f"{key}[{index}]", names, optional)
            found.append({name: reader.text(value, f"{key}[{index}].{name}") for name, value in row.items()})
        return found

    def texts(key: str) -> tuple[str, ...]:
        return tuple(reader.text(one, key) for one in reader.items(top.get(key, []), key))

    links = tuple(Linked(**row) for row in rows("links", "text url", "kind note"))
    for one in links:
        for name, says in wrong_link(one.kind, one.text, one.url, one.note).items():
            raise reader.fail("links", one.text if name == "title" else getattr(one, name), says)
    figures = tuple(Figure(**row) for row in rows("figures", "file alt caption"))
    for figure in figures:
        if not _FILE.fullmatch(figure.file):
            raise reader.fail("figures", figure.file, "a name of lower-case letters, digits and -, .png or .svg")
    return Words(
        authors=str(top.get("authors", "")),
        venue=str(top.get("venue", "")),
        abstract=texts("abstract"),
        links=links,
        figures=figures,
        symbols=tuple(Symbol(**{"code": "", **row}) for row in rows("symbols", "symbol what", "code")),
        bounds=tuple(Formula(**row) for row in rows("bounds", "name formula what")),
        rules=texts("rules"),
        take_part=tuple(Step(**{"command": "", **row}) for row in rows("take_part", "title what", "command")),
        published_metric=str(top.get("published_metric", "")),
    )


def published(folder: Path) -> tuple[Published, ...]:
    """The numbers of others in ``folder/claims.yaml``, in its order. Raises ValueError naming the place."""
    path = folder / CLAIMS
    if not path.exists():
        return ()
    reader = Reader(strict.name_of(path))
    top = reader.mapping(strict.read_yaml(path), "the file", "claims", "published")
    found = []
    for index, raw in enumerate(reader.items(top.get("published", []), "published")):
        where = f"published[{index}]"
        row = reader.mapping(raw, where, "dataset method source errors")
        dataset, method, source = (reader.text(row[key], f"{where}.{key}") for key in ("dataset", "method", "source"))
        for one in reader.items(row["errors"], f"{where}.errors"):
            entry = reader.mapping(one, f"{where}.errors", "labels value", "spread")
            spread = entry.get("spread")
            found.append(
                Published(
                    dataset,
                    method,
                    source,
                    labels=_labels(entry["labels"], where, reader),
                    value=reader.number(entry["value"], f"{where}.value"),
                    spread=None if spread is None else reader.number(spread, f"{where}.spread"),
                )
            )
    return tuple(found)


def _labels(value: Any, where: str, reader: Reader) -> int | str:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise reader.fail(f"{where}.labels", value, "a whole number or all")
