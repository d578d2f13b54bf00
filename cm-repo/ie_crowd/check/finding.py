"""One line of a verdict: what was checked, how it stands, and where to look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

State = Literal["pass", "fail", "not evidenced", "needs a person", "not applicable"]
# From what most needs a look to what least does.
STATES: tuple[State, ...] = ("fail", "not evidenced", "needs a person", "pass", "not applicable")


class Item(NamedTuple):
    """A checked statement.

    ``evidence`` is a JSON pointer into result.json (``/metrics/…``) or a path in the results folder; ``detail`` is one
    line: why it failed or is not evidenced, or what passed. ``group``: integrity, validity, claims, kept, or the id of
    a checklist.
    """

    name: str
    state: State
    evidence: str
    detail: str
    group: str = "integrity"


def judge(name: str, evidence: str, problems: list[str], passed: str) -> Item:
    """An Item that fails with the first of ``problems`` (and says how many more there are), else passes."""
    if not problems:
        return Item(name, "pass", evidence, passed)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Item(name, "fail", evidence, problems[0] + more)


def grouped(group: str, items: Iterable[Item]) -> list[Item]:
    """The same Items as members of ``group``."""
    return [Item(*item[:4], group) for item in items]
