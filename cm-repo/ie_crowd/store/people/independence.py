"""A reviewer's word that two submitters are independent of each other, and taking it back.

The word is about two submitters, not about two results. What a program can compare (weights, predictions, machines) it
compares for each result; what it cannot see is whether two names are one person, or two who work together, and that is
a fact about people. A word about two results would have to be said anew with each upload of either, since an entry of
the ranks pools the uploads of a submitter, and would say no more. It goes with the last result of either name, so that
whoever has the name later does not inherit it.

One word stands for a pair, whoever gave it; any reviewer but the two takes it back. Both are in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, or_, select

from ie_crowd.formats import usernames
from ie_crowd.store import audit, database, tables
from ie_crowd.store.people import accounts, undoable
from ie_crowd.store.people.moderation import WrongState, _result, _text

table, submitter = tables.independence, tables.submitter.c


def give(engine: Engine, result_id: str, account: Mapping[str, Any], other: str, note: str) -> None:
    """Say that whoever made a published result and ``other`` are independent; ``note``: why, public. For reviewers.

    Nobody says it about their own results. Raises WrongState where it was said before.
    """
    note = _text(note, "a note that says why they are independent")
    with database.writing(engine) as connection:
        mine, theirs = _pair(connection, result_id, account, other)
        if _there(connection, mine.pk, theirs.pk) is not None:
            raise WrongState(f"{mine.name} and {theirs.name} are said to be independent already")
        at = audit.now()
        one, two = sorted((mine.pk, theirs.pk))
        values = {"one_pk": one, "other_pk": two, "account_pk": account["pk"], "note": note, "created": at}
        key = connection.execute(insert(table).returning(table.c.pk), values).scalar_one()
        told = f"{mine.name} and {theirs.name}: {note}"
        audit.record(connection, at, account["name"], [("independent", result_id, told)])
        undoable.keep(connection, account, result_id, {"what": "independent", "key": key, "at": at})


def take_back(engine: Engine, result_id: str, account: Mapping[str, Any], other: str, why: str) -> None:
    """Take such a word back, whoever gave it; ``why`` is in the log. For reviewers, not about their own results."""
    why = _text(why, "a reason")
    with database.writing(engine) as connection:
        mine, theirs = _pair(connection, result_id, account, other)
        said = _there(connection, mine.pk, theirs.pk)
        if said is None:
            raise WrongState(f"nobody says that {mine.name} and {theirs.name} are independent (any more)")
        connection.execute(delete(table).where(table.c.pk == said.pk))
        told = f"{mine.name} and {theirs.name}: {why}"
        audit.record(connection, audit.now(), account["name"], [("independence taken back", result_id, told)])
        names = {str(one.pk): one.name for one in (mine, theirs)}
        undoable.keep(
            connection, account, result_id, {"what": "taken back", "there": dict(said._mapping), "names": names}
        )


def undo_giving(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``give``."""
    same = (table.c.pk == before["key"]) & (table.c.created == before["at"])
    if not connection.execute(delete(table).where(same)).rowcount:
        raise WrongState("this word was taken back or removed meanwhile")


def undo_taking_back(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``take_back``."""
    there, names = before["there"], before["names"]
    now = connection.execute(select(submitter.pk, submitter.name).where(submitter.pk.in_(map(int, names)))).all()
    if {str(one.pk): one.name for one in now} != names:
        raise WrongState("one of the two has no results any more")
    if _there(connection, there["one_pk"], there["other_pk"]) is not None:
        raise WrongState("somebody said it again meanwhile")
    connection.execute(insert(table), there)


def of(engine: Engine, name: str | None) -> dict[str, dict[str, str]]:
    """From whom a submitter is said to be independent: by the other's name, {by, note, created}. By name."""
    if not name:
        return {}
    one, two, by = tables.submitter.alias(), tables.submitter.alias(), tables.account.c
    query = select(one.c.name.label("one"), two.c.name.label("two"), by.name.label("by"), table.c.note, table.c.created)
    query = query.select_from(table).join(tables.account, by.pk == table.c.account_pk)
    query = query.join(one, one.c.pk == table.c.one_pk).join(two, two.c.pk == table.c.other_pk)
    with database.reading(engine) as connection:
        rows = connection.execute(query.where(or_(one.c.name == name, two.c.name == name))).all()
    found = {
        row.two if row.one == name else row.one: {"by": row.by, "note": row.note, "created": row.created}
        for row in rows
    }
    return dict(sorted(found.items()))


def _pair(
    connection: Connection, result_id: str, account: Mapping[str, Any], other: str
) -> tuple[Row[Any, Any, Any], Row[Any, Any, Any]]:
    """Whoever made a result, and another submitter; checked that the account may speak of them."""
    now = accounts.need_now(connection, account, "reviewer")
    row = _result(connection, result_id, tables.PUBLISHED)
    named = select(submitter.pk, submitter.name, submitter.skeleton)
    mine = connection.execute(named.where(submitter.pk == row["submitter_pk"])).one_or_none()
    if mine is None:
        raise ValueError("the result names no submitter, so nobody is independent of them")
    result = tables.result.c
    shown = select(result.pk).where(result.submitter_pk == submitter.pk, result.state == tables.PUBLISHED).exists()
    theirs = connection.execute(named.where(submitter.name == other, shown)).one_or_none()
    if theirs is None:
        raise ValueError(f"no published result is by {other[:80]!r}")
    if mine.pk == theirs.pk:
        raise ValueError("one is not independent of oneself: name another submitter")
    both = (mine.pk, theirs.pk)
    sent = select(result.pk).where(result.submitter_pk.in_(both), result.account_pk == now["pk"]).limit(1)
    own = usernames.skeleton(now["name"]) in (mine.skeleton, theirs.skeleton)
    if own or connection.execute(sent).first() is not None:
        raise PermissionError("somebody else says it about results of your own")
    return mine, theirs


def _there(connection: Connection, one: int, two: int) -> Row[Any] | None:
    first, second = sorted((one, two))
    return connection.execute(select(table).where(table.c.one_pk == first, table.c.other_pk == second)).one_or_none()
