"""A verdict for people: a table for a terminal, Markdown, and one page that needs nothing else.

All of it is text that may come from anyone: the terminal gets it without markup, Markdown and the page escape it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

from ie_crowd.check import sentences
from ie_crowd.check.finding import Item
from ie_crowd.check.verdict import GROUPS, Verdict

TEMPLATES = Path(__file__).with_name("templates")
NARROWEST, WIDEST = 60, 120
INDENT = 16  # columns: one more than the longest state has
COLOURS = {"fail": "bold red", "not evidenced": "yellow", "needs a person": "cyan", "pass": "green"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")
NOTE = "A program awards no badge: this is what the evidence is consistent with. A named reviewer decides."


def headline(verdict: Verdict) -> str:
    """What was checked, in one line."""
    about = verdict.about
    if not about:
        return "a document that is no result"
    runs = f"{about['completed']} of {about['runs']} runs"
    task = f"{about['dataset']}, {about['supervision']}, {about['labels']} labels"
    return f"{about['id'][:12]} | {about['challenge']}, {about['division']} division | {task} | {runs}"


def counts(found: Mapping[str, int]) -> str:
    """A group's summary: "2 fail, 10 pass"."""
    return ", ".join(f"{count} {state}" for state, count in found.items())


def terminal(verdict: Verdict, width: int = 80, colour: bool = False, every: bool = False) -> str:
    """The verdict as text of at most ``width`` columns, grouped, with a summary at its end.

    Unless everything is asked for (``every``), points of checklists that pass are only counted, and what passed of
    integrity and validity has no detail.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    width = min(max(width, NARROWEST), WIDEST)
    out = io.StringIO()
    # No markup, highlighting or emoji: the text is not ours.
    console = Console(
        file=out, width=width, force_terminal=colour, no_color=not colour, markup=False, highlight=False, emoji=False
    )
    console.print(Text(headline(verdict)))
    for group in verdict.groups:
        console.print()
        console.print(Text(f"{group.title}: {counts(group.counts)}", style="bold" if colour else ""))
        for item in group.items:
            if not every and item.state == "pass" and group.id not in GROUPS:
                continue
            # On lines of their own: names and pointers are longer than a column of 80 has room for.
            style = COLOURS.get(item.state, "dim") if colour else ""
            short = not every and item.state in ("pass", "not applicable") and group.id not in ("claims", "kept")
            below = f"[{item.evidence}]" if short else _evidenced(item)
            fits = short and INDENT + len(item.name) + 1 + len(below) <= width
            line = f"{item.name} {below}" if fits else item.name
            console.print(Text.assemble((f"{item.state:<{INDENT}}", style), line), overflow="fold")
            if not fits:
                console.print(Padding(Text(below), (0, 0, 0, INDENT)), overflow="fold")
    if verdict.conclusions:
        console.print()
        console.print(Text(NOTE, style="bold" if colour else ""))
        for conclusion in verdict.conclusions:
            console.print(Padding(Text(f"{conclusion.subject}: {conclusion.text}"), (0, 0, 0, 2)))
    console.print()
    for group in verdict.groups:
        console.print(Text(f"{group.title}: {counts(group.counts)}"))
    console.print()
    for sentence in sentences.of(verdict):
        console.print(Text(sentence, style="bold" if colour else ""))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _evidenced(item: Item) -> str:
    return f"{item.detail} [{item.evidence}]" if item.evidence else item.detail


def markdown(verdict: Verdict) -> str:
    """The verdict as Markdown: one table for each group."""
    lines = [f"# Verdict on {_escaped(headline(verdict))}", "", f"Depth: {verdict.depth}.", ""]
    lines += [_escaped(" ".join(sentences.of(verdict)))]
    for group in verdict.groups:
        lines += ["", f"## {_escaped(group.title)}: {counts(group.counts)}", ""]
        lines += ["| State | Item | Evidence | Detail |", "|---|---|---|---|"]
        lines += [
            f"| {item.state} | {_escaped(item.name)} | {_escaped(item.evidence)} | {_escaped(item.detail)} |"
            for item in group.items
        ]
    if verdict.conclusions:
        lines += ["", "## What the evidence is consistent with", "", NOTE, ""]
        lines += [f"- **{_escaped(one.subject)}**: {_escaped(one.text)}" for one in verdict.conclusions]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """``text`` so that Markdown shows it as it is, in one cell of a table."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("\\<", "&lt;")


def page(verdict: Verdict) -> str:
    """The verdict as one HTML page: no script, nothing to load; other pages can include templates/verdict.html."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counts"] = counts
    return environment.get_template("check.html").render(
        verdict=verdict, headline=headline(verdict), note=NOTE, sentences=sentences.of(verdict)
    )
