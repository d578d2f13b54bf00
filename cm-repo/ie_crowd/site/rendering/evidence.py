"""The evidence level of a result as pages show it: its own, and by the ranks of its contest who has reproduced it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ie_crowd.challenge import evidence
from ie_crowd.ranking.rank import Entry
from ie_crowd.store import standings, tables
from ie_crowd.store.standings import Contest

AT_ONCE = 100  # results of a contest that are ranked while somebody waits


class Shown(NamedTuple):
    """``own``: the level that the result has by itself. ``by``: who has reproduced it. ``unranked``: why its entry has
    no rank, "" where it has one or where nothing is known of it. ``awaiting``: who agrees, but for a reviewer's word.
    ``pending``: what others' results add to it is being computed.
    """

    own: str
    by: tuple[str, ...] = ()
    unranked: str = ""
    awaiting: tuple[str, ...] = ()
    pending: bool = False

    @property
    def level(self) -> str:
        """The highest level."""
        return evidence.REPRODUCED if self.by else self.own

    @property
    def words(self) -> str:
        """As a badge says it: "recomputed · reproduced by 2 · 1 agreement waits"."""
        waiting = len(self.awaiting)
        by = f" · reproduced by {len(self.by)}" if self.by else ""
        if self.pending:
            return f"{self.own} …"
        return self.own + by + (f" · {waiting} agreement{'s wait' if waiting > 1 else ' waits'}" if waiting else "")

    @property
    def what(self) -> str:
        """What the level means."""
        by = f"; {evidence.WHAT[evidence.REPRODUCED]}" if self.by else ""
        if self.pending:
            by = "; whether others reproduced it is being computed: reload the page in a moment"
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
    found: Ranks = state.cached.get(
        ("ranks", contest, name), lambda: _ranked(state, contest, name), revision, patient=patient
    )
    return found


def _ranked(state: Any, contest: Contest, name: str) -> Ranks:
    challenge = state.content.challenge
    entries = standings.standings(state.store, contest, name, challenge.metrics[name], challenge.evidence)
    return Ranks(entries, {one: entry for entry in entries for one in entry.results})


def contests(state: Any, revision: int | None = None) -> dict[Contest, int]:
    """The contests of the site's challenge, each with how many results it has. ``state``: of the site's application."""
    challenge = state.content.challenge
    rows = state.cached.get("contests", lambda: standings.contests(state.store, challenge.id), revision, patient=True)
    return {
        Contest(*(row[name] for name in Contest._fields)): row["results"]
        for row in rows
        if challenge.task(row["dataset"], row["supervision"]) is not None
    }


def ranks_at_hand(state: Any, contest: Contest, results: int, revision: int | None = None) -> Ranks | None:
    """The ranks of a contest of so many ``results`` by the first metric of its task, without a long wait: where many
    results have to be ranked first, that begins in the background, and None is the answer for now."""
    name = state.content.challenge.task(contest.dataset, contest.supervision).metrics[0]
    if results > AT_ONCE and state.cached.kept(("ranks", contest, name)) is None:
        state.cached.later(("ranks", contest, name), lambda: _ranked(state, contest, name))
        return None
    return ranks(state, contest, name, revision, patient=True)


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
    challenge = state.content.challenge
    found: dict[tuple[str, str], dict[Contest, str]] = {}
    for contest in contests(state):
        task = challenge.task(contest.dataset, contest.supervision)
        _note_agreements(found, contest, ranks(state, contest, task.metrics[0], patient=True))
    return [
        Agreement(one, other, next(iter(where.values())), len(where)) for (one, other), where in sorted(found.items())
    ]


def _note_agreements(found: dict[tuple[str, str], dict[Contest, str]], contest: Contest, ranked: Ranks) -> None:
    """Add each pair of a contest whose agreement waits, once, with a result of the first."""
    for entry in ranked.entries:
        for other in entry.awaiting_word:
            if entry.submitter < other:  # each pair is there from both sides
                found.setdefault((entry.submitter, other), {}).setdefault(contest, entry.results[0])


def count_awaiting(state: Any) -> int | None:
    """How many pairs ``awaiting`` lists, without a long wait: None while the ranks of a contest are being computed."""
    found: dict[tuple[str, str], dict[Contest, str]] = {}
    at_hand = [(contest, ranks_at_hand(state, contest, results)) for contest, results in contests(state).items()]
    for contest, ranked in at_hand:
        if ranked is None:
            return None
        _note_agreements(found, contest, ranked)
    return len(found)


def of_list(state: Any, rows: Iterable[Mapping[str, Any]], revision: int | None = None) -> dict[str, Shown]:
    """Of each result of a list, by its id; where a contest's ranks would take long, ``pending`` for now."""
    sizes = contests(state, revision)
    return {row["id"]: of(state, row, revision, patient=True, sizes=sizes) for row in rows}


def of(
    state: Any,
    row: Mapping[str, Any],
    revision: int | None = None,
    *,
    patient: bool = False,
    sizes: Mapping[Contest, int] = MappingProxyType({}),
) -> Shown:
    """Of a result of a list or alone, by the first metric of its task. ``state``: of the site's application.

    ``revision``: of the results, where the caller has just asked for it. ``patient``: ranks that took long to find may
    be of a moment ago. ``sizes``: of contests; those of many results are not waited for.
    """
    own, challenge = row["evidence"], state.content.challenge
    task = challenge.task(row["dataset"], row["supervision"])
    if row["state"] != tables.PUBLISHED or row["challenge"] != challenge.id or task is None or not row["submitter"]:
        return Shown(own)
    if not evidence.at_least(own, challenge.evidence.asked(row["division"])):
        return Shown(own, (), f"{own}, asked: {challenge.evidence.asked(row['division'])}")
    contest = Contest(*(row[name] for name in Contest._fields))
    if contest in sizes:
        at_hand = ranks_at_hand(state, contest, sizes[contest], revision)
        if at_hand is None:
            return Shown(own, pending=True)
        mine = at_hand.of_result.get(row["id"])
    else:
        mine = ranks(state, contest, task.metrics[0], revision, patient=patient).of_result.get(row["id"])
    if mine is None:
        return Shown(own)
    return Shown(own, tuple(mine.reproduced_by), mine.unranked, tuple(mine.awaiting_word))
