"""The evidence level of a result as pages show it: its own, and by the ranks of its contest who has reproduced it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ie_crowd.challenge import evidence
from ie_crowd.ranking.rank import Entry
from ie_crowd.store import standings, tables
from ie_crowd.store.standings import Contest


class Shown(NamedTuple):
    """``own``: the level that the result has by itself. ``by``: who has reproduced it. ``unranked``: why its entry has
    no rank, "" where it has one or where nothing is known of it. ``awaiting``: who agrees, but for a reviewer's word.
    """

    own: str
    by: tuple[str, ...] = ()
    unranked: str = ""
    awaiting: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """The highest level."""
        return evidence.REPRODUCED if self.by else self.own

    @property
    def words(self) -> str:
        """As a badge says it: "recomputed · reproduced by 2 · 1 agreement waits"."""
        waiting = len(self.awaiting)
        by = f" · reproduced by {len(self.by)}" if self.by else ""
        return self.own + by + (f" · {waiting} agreement{'s wait' if waiting > 1 else ' waits'}" if waiting else "")

    @property
    def what(self) -> str:
        """What the level means."""
        by = f"; {evidence.WHAT[evidence.REPRODUCED]}" if self.by else ""
        waiting = "; what agrees and waits does so for a reviewer's word that the two are independent"
        return evidence.WHAT[self.own] + by + (waiting if self.awaiting else "")


class Ranks(NamedTuple):
    """A contest's entries in their order, and each by the ids of its results."""

    entries: list[Entry]
    of_result: dict[str, Entry]


def ranks(state: Any, contest: Contest, name: str, revision: int | None = None, *, patient: bool = False) -> Ranks:
    """The ranks of a contest by the metric ``name``, kept until results change. ``state``: of the site's application.

    ``patient``: ranks that took long to find may be of a moment ago.
    """
    rules = state.content.rules

    def make() -> Ranks:
        entries = standings.standings(state.store, contest, name, rules.metrics[name], rules.evidence)
        return Ranks(entries, {one: entry for entry in entries for one in entry.results})

    found: Ranks = state.cached.get(("ranks", contest, name), make, revision, patient=patient)
    return found


class Agreement(NamedTuple):
    """Two submitters whose results agree, and of whom no reviewer has said that they are independent.

    ``result``: one of the first's that agrees; ``contests``: in how many rankings they do.
    """

    one: str
    other: str
    result: str
    contests: int


def awaiting(state: Any) -> list[Agreement]:
    """Every agreement that waits for a reviewer's word, by names. Slow ranks may be of a moment ago.

    ``state``: of the site's application.
    """
    rules = state.content.rules
    rows = state.cached.get("contests", lambda: standings.contests(state.store, rules.id), patient=True)
    found: dict[tuple[str, str], dict[Contest, str]] = {}
    for row in rows:
        task = rules.task(row["dataset"], row["supervision"])
        if task is None:
            continue
        contest = Contest(*(row[name] for name in Contest._fields))
        for entry in ranks(state, contest, task.metrics[0], patient=True).entries:
            for other in entry.awaiting_word:
                if entry.submitter < other:  # each pair is there from both sides
                    found.setdefault((entry.submitter, other), {}).setdefault(contest, entry.results[0])
    return [
        Agreement(one, other, next(iter(where.values())), len(where)) for (one, other), where in sorted(found.items())
    ]


def of(state: Any, row: Mapping[str, Any], revision: int | None = None, *, patient: bool = False) -> Shown:
    """Of a result of a list or alone, by the first metric of its task. ``state``: of the site's application.

    ``revision``: of the results, where the caller has just asked for it. ``patient``: ranks that took long to find may
    be of a moment ago.
    """
    own, rules = row["evidence"], state.content.rules
    task = rules.task(row["dataset"], row["supervision"])
    if row["state"] != tables.PUBLISHED or row["challenge"] != rules.id or task is None or not row["submitter"]:
        return Shown(own)
    if not evidence.at_least(own, rules.evidence.asked(row["division"])):
        return Shown(own, (), f"{own}, asked: {rules.evidence.asked(row['division'])}")
    contest = Contest(*(row[name] for name in Contest._fields))
    mine = ranks(state, contest, task.metrics[0], revision, patient=patient).of_result.get(row["id"])
    if mine is None:
        return Shown(own)
    return Shown(own, tuple(mine.reproduced_by), mine.unranked, tuple(mine.awaiting_word))
