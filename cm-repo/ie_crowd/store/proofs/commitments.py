"""Commitments to code and settings, and the label draws that are issued for them.

An account sends the hash of code and settings (``result/commitment.py``) before it has draws. The draws come from the
system's random numbers in the same transaction, so nobody, this program included, knows them before. They are kept,
and the same hash gets the same draws again until a result is handed in, so that asking twice is no second chance.

The result needs no reference to its commitment: it is recognised by account, hash and draws when it is taken in. The
first that is of a commitment's account, contest and hash and has completed runs of all its draws and of no others
is the one that is handed in; every other result stays without issued draws. How many commitments an account has made
in a contest, and how many it has handed in, is shown with each of its results there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select, update

from ie_crowd.challenge.issued import Issued
from ie_crowd.store import audit, database, tables

LOWEST, ABOVE = (
    1_000,
    2**31,
)  # of a draw: beside those that settings are chosen on, and what any program takes as a seed
WINDOW = timedelta(days=30)
Runs = Sequence[tuple[int, int, str]]  # seed, label draw, status


class Made(NamedTuple):
    """A commitment as its account sees it. ``new``: it was not there before. ``commitments`` and ``handed_in``: of
    this account in this contest, this one among them."""

    sha256: str
    made: str
    draws: list[int]
    new: bool
    commitments: int
    handed_in: int


class TooManyError(ValueError):
    """The account has made as many commitments as the rules allow for now."""


def commit(engine: Engine, account: Mapping[str, Any], contest: str, sha256: str, issued: Issued) -> Made:
    """Keep a commitment and issue its draws, or return those of one that is not handed in yet.

    ``contest``: its line, see ``result.commitment``. Raises TooManyError, one line, beyond the rules' number.
    """
    row = tables.commitment.c
    with database.writing(engine) as connection:
        mine = row.account_pk == account["pk"], row.contest == contest
        waits = select(row.made, row.draws).where(*mine, row.sha256 == sha256, row.result_pk.is_(None))
        there = connection.execute(waits).first()
        if there is not None:
            made, draws, new = there.made, json.loads(there.draws), False
        else:
            since = (datetime.now(UTC) - WINDOW).strftime("%Y-%m-%dT%H:%M:%SZ")
            recent = connection.execute(select(func.count()).where(*mine, row.made > since)).scalar_one()
            if recent >= issued.most:
                raise TooManyError(
                    f"{account['name']} has made {recent} commitments in this contest in {WINDOW.days} days; at most "
                    f"{issued.most} are taken: hand in what was committed to, or wait"
                )
            made, draws, new = audit.now(), _draw(issued.draws), True
            values = {"contest": contest, "sha256": sha256, "made": made, "draws": json.dumps(draws)}
            connection.execute(insert(tables.commitment).values(account_pk=account["pk"], **values))
            # "account": a line that changes no list and no rank
            audit.record(connection, made, account["name"], [("account committed", sha256, contest)])
        return Made(sha256, made, draws, new, *_counts(connection, account["pk"], contest))


def _draw(count: int) -> list[int]:
    """So many distinct numbers that nobody knows before, sorted."""
    found: set[int] = set()
    while len(found) < count:
        found.add(LOWEST + secrets.randbelow(ABOVE - LOWEST))
    return sorted(found)


def _counts(connection: Connection, account_pk: int | None, contest: str) -> tuple[int, int]:
    row = tables.commitment.c
    query = select(func.count(), func.count(row.result_pk)).where(row.account_pk == account_pk, row.contest == contest)
    made, handed_in = connection.execute(query).one()
    return int(made), int(handed_in)


def hand_in(connection: Connection, account_pk: int, result_id: str, contest: str, sha256: str, runs: Runs) -> bool:
    """Give a result that was just taken in the commitment that it is of, if there is one that no other has.

    Within the transaction that wrote the result.
    """
    row = tables.commitment.c
    waiting = select(row.pk, row.draws).where(
        row.account_pk == account_pk, row.contest == contest, row.sha256 == sha256, row.result_pk.is_(None)
    )
    for found in connection.execute(waiting.order_by(row.pk)).all():
        if not _differ(json.loads(found.draws), runs):
            key = select(tables.result.c.pk).where(tables.result.c.id == result_id).scalar_subquery()
            connection.execute(update(tables.commitment).where(row.pk == found.pk).values(result_pk=key))
            return True
    return False


def _differ(draws: Iterable[int], runs: Runs) -> str:
    """What is wrong with the runs for these draws; "" where they are exactly these, each completed."""
    pairs = [(seed, label) for seed, label, _ in runs]
    missing = [draw for draw in draws if (draw, draw) not in pairs]
    if missing:
        return f"no run has the issued draw {missing[0]} as its seed and label draw"
    failed = [seed for seed, _, status in runs if status != "completed"]
    if failed:
        return f"the run of the issued draw {failed[0]} failed; draws are complete"
    more = [seed for seed, label in pairs if seed != label or seed not in set(draws)]
    if more or len(set(pairs)) != len(pairs):
        return f"it has a run of another draw ({more[0] if more else 'one of them twice'})"
    return ""


class Standing(NamedTuple):
    """Of one result: the moment of its commitment, or why it has none; the counts of its account in the contest; and
    whether an account uploaded it at all."""

    made: str | None
    why: str
    commitments: int
    handed_in: int
    uploaded: bool


def of_result(engine: Engine, result_id: str, contest: str, sha256: str, runs: Runs) -> Standing:
    """Whether a result's draws were issued to it, and why not."""
    row, result = tables.commitment.c, tables.result.c
    with database.reading(engine) as connection:
        key, account = connection.execute(select(result.pk, result.account_pk).where(result.id == result_id)).one()
        counts = _counts(connection, account, contest)
        made = connection.execute(select(row.made).where(row.result_pk == key)).scalar()
        why = "" if made is not None else _why(connection, account, contest, sha256, runs, counts[0])
    return Standing(made, why, *counts, account is not None)


def _why(connection: Connection, account: int | None, contest: str, sha256: str, runs: Runs, commitments: int) -> str:
    row, result = tables.commitment.c, tables.result.c
    if account is None:
        return "the operator took it in from a folder, which commits to nothing"
    query = select(row.account_pk, row.draws, result.id).outerjoin_from(tables.commitment, tables.result)
    same = connection.execute(query.where(row.sha256 == sha256, row.contest == contest).order_by(row.pk)).all()
    mine = [one for one in same if one.account_pk == account]
    if not mine:
        if same:
            return "the commitment to its code and settings is another account's"
        if commitments:
            return "its code or its settings are not those that were committed to"
        return "nothing was committed to before: ie-crowd submit DIR --commit"
    handed = next((one.id for one in mine if one.id is not None and not _differ(json.loads(one.draws), runs)), None)
    if handed is not None:
        return f"the draws of its commitment were handed in before, with result {handed[:12]}…"
    open_ones = [one for one in mine if one.id is None] or mine
    return _differ(json.loads(open_ones[-1].draws), runs)
