"""How to cite the paper and a result: BibTeX, CFF, JSON-LD (schema.org), and a badge to put on another page.

What goes in may come from anyone: each format's own characters are written so that they mean themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

FORMS = {"bib": "application/x-bibtex", "cff": "text/yaml", "jsonld": "application/ld+json"}
GOOD, NEUTRAL = "#116329", "#4a5560"
CHARACTER, ROOM, HEIGHT = 6.6, 12, 20  # pixels of a badge
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


class Work(NamedTuple):
    """What is cited. ``kind``: "paper" or "result"; ``day``: YYYY or YYYY-MM-DD; ``names``: identifiers."""

    kind: str
    key: str
    title: str
    authors: Sequence[str]
    day: str
    venue: str
    url: str
    names: Sequence[str]
    about: str = ""


def paper(challenge: Any, words: Any) -> Work:
    """The paper that a challenge is about."""
    authors = [name.strip() for name in re.split(r",| and ", words.authors) if name.strip()]
    year = (re.findall(r"\b(?:19|20)\d\d\b", words.venue) or [""])[-1]
    last = re.sub(r"[^a-z]", "", authors[0].split()[-1].lower()) if authors else ""
    found = challenge.paper
    key = f"{last or challenge.id}{year}"
    return Work("paper", key, found["title"], authors, year, words.venue, found["url"], tuple(found["identifiers"]))


def result(row: Mapping[str, Any], title: str, challenge: Any, url: str) -> Work:
    """One result. ``title``: its task in words; ``url``: where it is to be had, "" where nobody knows."""
    whole = f"{title}: a result of reproducing {challenge.paper['title']}"
    by = [row["submitter"]] if row["submitter"] else []
    names = (f"sha256:{row['id']}",)
    return Work(
        "result",
        f"{challenge.id}-{row['id'][:10]}",
        whole,
        by,
        row["created"][:10],
        "",
        url,
        names,
        challenge.paper["url"],
    )


def written(work: Work, form: str) -> str:
    """The citation in one of FORMS."""
    if form == "bib":
        return _bibtex(work)
    if form == "cff":
        return _cff(work)
    if form == "jsonld":
        return json.dumps(_jsonld(work), indent=1, ensure_ascii=False) + "\n"
    raise AssertionError(form)


def _bibtex(work: Work) -> str:
    arxiv = next((name.partition(":")[2] for name in work.names if name.lower().startswith("arxiv:")), "")
    fields = {
        "title": f"{{{_tex(work.title)}}}",
        "author": " and ".join(f"{{{_tex(name)}}}" if work.kind == "result" else _tex(name) for name in work.authors),
        "booktitle": _tex(work.venue),
        "year": work.day[:4],
        "eprint": _tex(arxiv),
        "archivePrefix": "arXiv" if arxiv else "",
        "note": _tex(", ".join(name for name in work.names if not arxiv or not name.lower().startswith("arxiv:"))),
        "url": _tex(work.url),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value.strip("{}")]
    kind = "inproceedings" if work.kind == "paper" and work.venue else "misc"
    return "\n".join([f"@{kind}{{{re.sub(r'[^A-Za-z0-9:.-]', '', work.key)},", *lines, "}", ""])


def _tex(text: str) -> str:
    return "".join(_TEX.get(one, one) for one in " ".join(text.split()))


def _cff(work: Work) -> str:
    """YAML whose strings are JSON's, which YAML reads as they are."""
    kind = "dataset" if work.kind == "result" else "conference-paper"
    authors = [{"name": name} for name in work.authors] or [{"name": "nobody named"}]
    values: dict[str, Any] = {"title": work.title, "authors": authors}
    names = [{"type": "other", "value": name} for name in work.names]
    if work.kind == "result":
        values |= {"type": kind, "date-released": work.day, "identifiers": names}
        values |= {"url": work.url} if work.url else {}
    else:
        own = {"type": kind, **values, "identifiers": names, "url": work.url}
        own |= {"year": int(work.day)} if work.day else {}
        own |= {"collection-title": work.venue} if work.venue else {}
        values |= {"type": "dataset", "preferred-citation": own}
    head = {"cff-version": "1.2.0", "message": "Please cite it as below.", **values}
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in head.items())


def _jsonld(work: Work) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Dataset" if work.kind == "result" else "ScholarlyArticle",
        "name": work.title,
        "author": [{"@type": "Person" if work.kind == "paper" else "Thing", "name": name} for name in work.authors],
        "identifier": list(work.names),
        "datePublished": work.day,
        "url": work.url,
    }
    if work.about:
        found["isBasedOn"] = work.about
    return {key: value for key, value in found.items() if value}


def badge(label: str, text: str, colour: str) -> str:
    """A small picture of two words, as SVG that needs nothing else."""
    left, right = (len(one) * CHARACTER + ROOM for one in (label, text))
    whole = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole:.0f}" height="{HEIGHT}" role="img"'
        f' aria-label="{escape(label)}: {escape(text)}"><title>{escape(label)}: {escape(text)}</title>'
        f'<rect width="{left:.0f}" height="{HEIGHT}" fill="#444c56"/>'
        f'<rect x="{left:.0f}" width="{right:.0f}" height="{HEIGHT}" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:.1f}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2:.1f}" y="14">{escape(text)}</text></g></svg>\n'
    )
