"""Does the paper hold? Each claim of the paper with its mark and its number, by the results that say most about it.

A claim is judged on one result of each task: the one of the most runs, then the newest, of the method and in the
division that the claim is about. A single run supports nothing: it is counted, and decides nothing. Nor does a result
from before methods had names, as the recipes of this challenge: its numbers are shown, and may be another method's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Engine

from ie_crowd.challenge.claims import Claim
from ie_crowd.challenge.model import Challenge
from ie_crowd.challenge.paper_pages import Published
from ie_crowd.check import claims as check_claims
from ie_crowd.check.finding import Item
from ie_crowd.site.rendering import result_files
from ie_crowd.store import best, query
from ie_crowd.store.filters import Filter

UNNAMED = "made before its recipe had a name, so it may not be the paper's own"
HOLDS, FAILS, PARTLY, OPEN = "holds", "does not hold", "holds in part", "open"
SIGNS = {HOLDS: ("✓", "pass"), FAILS: ("✗", "fail"), PARTLY: ("◐", "needs-a-person"), OPEN: ("○", "not-evidenced")}
_TOLD = re.compile(r"(?:one run, \w+ of what is asked: )?(?P<shown>.+?), asked: (?P<asked>[^;]+)")
Task = tuple[str, str, Any]


class Finding(NamedTuple):
    """One claim: how it stands; by the result that says most about it, what was measured and asked; tasks by state."""

    claim: Claim
    state: str
    row: dict[str, Any] | None
    measured: str
    asked: str
    tasks: list[tuple[dict[str, Any], str]]
    single: int  # tasks of which there is one run only
    note: str = ""  # why the shown result decides nothing, where that is not its numbers

    @property
    def sign(self) -> tuple[str, str]:
        """The mark and the class of its colour."""
        return SIGNS[self.state]

    @property
    def holding(self) -> int:
        """The tasks of several runs in which it holds."""
        return sum(state == "pass" for _, state in self.tasks)


class Line(NamedTuple):
    """One line of the leaderboard: a task, its best result here, the best number that others published."""

    task: Task
    metric: str
    unit: str
    row: dict[str, Any]
    published: Published | None


def findings(
    engine: Engine,
    challenge: Challenge,
    claims: Sequence[Claim],
    once: Callable[[str, Callable[[], list[Item]]], list[Item]] = lambda result_id, judge: judge(),
) -> list[Finding]:
    """Every claim that a number can decide, in the order of the claims.

    ``once``: gives what ``judge`` returns for a result, and may keep it, for a result never changes.
    """
    asked = [claim for claim in claims if claim.value is not None or claim.other is not None]
    judged: dict[str, dict[Task, tuple[dict[str, Any], Item]]] = {claim.id: {} for claim in asked}
    for row in best.most_evidenced(engine, challenge.id):
        task = (row["dataset"], row["supervision"], row["labels"])
        items = once(row["id"], partial(_judge, engine, row["id"], asked, challenge))
        for claim, item in zip(asked, items, strict=True):
            if item.state == "not applicable" or item.detail.startswith(("departs", "no ")):
                continue
            known = judged[claim.id].get(task)
            if known is None or (_unnamed(known[1]) and not _unnamed(item)):
                judged[claim.id][task] = (row, item)
    return [_finding(claim, list(judged[claim.id].values())) for claim in asked]


def _judge(engine: Engine, result_id: str, asked: Sequence[Claim], challenge: Challenge) -> list[Item]:
    result = result_files.parsed(engine, result_id)
    items = check_claims.check(result, asked, challenge)
    if not challenge.unnamed(result["config"]):
        return items
    return [
        item
        if item.state == "not applicable"
        else item._replace(state="not evidenced", detail=f"{item.detail}; {UNNAMED}")
        for item in items
    ]


def _unnamed(item: Item) -> bool:
    return item.detail.endswith(UNNAMED)


def _finding(claim: Claim, found: Sequence[tuple[dict[str, Any], Item]]) -> Finding:
    several = [(row, item) for row, item in found if row["completed"] > 1]
    states = {item.state for _, item in several if item.state != "not evidenced"}
    state = OPEN if not states else PARTLY if len(states) > 1 else HOLDS if states == {"pass"} else FAILS
    shown = max(several or found, key=lambda one: one[0]["completed"], default=None)
    told = _TOLD.match(shown[1].detail) if shown else None
    return Finding(
        claim,
        state,
        shown[0] if shown else None,
        told["shown"] if told else "",
        told["asked"] if told else "",
        [(row, item.state) for row, item in several],
        len(found) - len(several),
        UNNAMED if shown and _unnamed(shown[1]) else "",
    )


def verdict(found: Sequence[Finding]) -> str:
    """The answer in one sentence."""
    if not found:
        return "Its rules name no claim that a number can decide."
    whole = (
        f"Of the paper's {len(found)} claims that a number can decide" if len(found) > 1 else "Of the paper's one claim"
    )
    counts = {state: sum(one.state == state for one in found) for state in SIGNS}
    if counts[OPEN] == len(found):
        why = "there are no results of its method"
        if any(one.note for one in found):
            why = "what is here was made before recipes had names"
        elif any(one.tasks for one in found):
            why = "its results lie too close to what is asked, or spread too far"
        elif any(one.row for one in found):
            why = "a single run supports nothing"
        return f"{whole}, none is decided here yet: {why}."
    words = {
        HOLDS: "hold" if counts[HOLDS] > 1 else "holds",
        FAILS: "do not" if counts[FAILS] > 1 else "does not",
        PARTLY: "hold in part" if counts[PARTLY] > 1 else "holds in part",
        OPEN: "are open" if counts[OPEN] > 1 else "is open",
    }
    said = [f"{count} {words[state]}" for state, count in counts.items() if count]
    return f"{whole}, {', '.join(said[:-1])}{' and ' if said[1:] else ''}{said[-1]}."


def leaderboard(
    engine: Engine, challenge: Challenge, published: Sequence[Published], published_metric: str
) -> list[Line]:
    """The best value of each task that has results, by the metric that ranks it, beside what others published."""
    lines = []
    choices: Mapping[str, list[Any]] = query.facets(engine, challenge.id)
    for task in challenge.tasks:
        name = task.metrics[0]
        metric = challenge.metrics[name]
        if metric.direction not in ("lower", "higher"):
            continue
        for labels in choices["labels"]:
            asked = Filter(challenge.id, task.dataset, task.supervision, labels)
            row = best.best(engine, asked, name, metric.direction)
            if row is not None:
                others = [
                    one
                    for one in published
                    if (one.dataset, one.labels) == (task.dataset, labels) and name == published_metric
                ]
                order = min if metric.direction == "lower" else max
                other = order(others, key=lambda one: one.value, default=None)
                lines.append(Line((task.dataset, task.supervision, labels), name, metric.unit, row, other))
    return lines
