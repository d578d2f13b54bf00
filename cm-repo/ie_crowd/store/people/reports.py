"""Reports of inappropriate content, by anybody: they wait in a queue until a reviewer has looked.

A report names a thing (the paper's page, a result, a comment) and why. Of somebody without an account nothing is kept
but the words. It hides nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from ie_crowd.store import audit, database
from ie_crowd.store.people import accounts, undoable
from ie_crowd.store.people.moderation import WrongState, _text
from ie_crowd.store.query import Page, check_page
from ie_crowd.store.tables import account as account_table
from ie_crowd.store.tables import report as table

MOST_OPEN = 500  # in all: a flood of them must not hide the others, nor fill the disk
NOBODY = "anybody"  # what the log calls somebody without an account
THING = re.compile(r"paper|result:[0-9a-f]{64}|comment:[0-9]{1,15}")


def report(engine: Engine, about: str, why: str, account: Mapping[str, Any] | None = None) -> int:
    """Tell reviewers of something; returns the report's number. The same again, while it is open, is one.

    ``about``: "paper", "result:ID" or "comment:NUMBER". Raises ValueError for another thing, no reason, a long one, or
    where too many are open.
    """
    if not THING.fullmatch(about):
        raise ValueError(f"there is no thing {about[:80]!r} to report")
    why = _text(why, "a reason")
    with database.writing(engine) as connection:
        by = None if account is None else accounts.need_now(connection, account, "contributor")["pk"]
        same = (table.c.about == about) & (table.c.reason == why) & (table.c.state == "open")
        there = connection.execute(select(table.c.pk).where(same).limit(1)).scalar()
        if there is not None:
            return int(there)
        waiting = select(func.count()).select_from(table).where(table.c.state == "open")
        if connection.execute(waiting).scalar_one() >= MOST_OPEN:
            raise ValueError(f"{MOST_OPEN} reports wait already; write to the operator of this site")
        at = audit.now()
        values = {"about": about, "reason": why, "created": at, "account_pk": by, "state": "open"}
        number = connection.execute(insert(table).returning(table.c.pk), values).scalar_one()
        audit.record(connection, at, str(account["name"]) if account else NOBODY, [("report", about, why)])
        return int(number)


def waiting(engine: Engine, account: Mapping[str, Any], *, page: int = 1, size: int = 20) -> Page:
    """The open reports, oldest first: pk, about, by (None: without an account), reason, created. For reviewers."""
    accounts.need(account, "reviewer")
    check_page(page, size)
    query = (
        select(table.c.pk, table.c.about, account_table.c.name.label("by"), table.c.reason, table.c.created)
        .outerjoin(account_table, account_table.c.pk == table.c.account_pk)
        .where(table.c.state == "open")
        .order_by(table.c.pk)
    )
    with database.reading(engine) as connection:
        total = connection.execute(select(func.count()).select_from(table).where(table.c.state == "open")).scalar_one()
        rows = connection.execute(query.limit(size).offset((page - 1) * size)).mappings()
        return Page([dict(row) for row in rows], total)


def settle(engine: Engine, number: int, account: Mapping[str, Any], decision: str) -> None:
    """Close a report, with what was done. For reviewers."""
    decision = _text(decision, "what you did")
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        is_open = (table.c.pk == number) & (table.c.state == "open")
        about = connection.execute(select(table.c.about).where(is_open)).scalar()
        if about is None:
            raise LookupError(f"there is no open report {number}")
        values = {"state": "settled", "decision": decision, "decided_by_pk": account["pk"]}
        connection.execute(update(table).where(is_open).values(values))
        audit.record(connection, audit.now(), str(account["name"]), [("report settled", about, decision)])
        undoable.keep(connection, account, f"report {number}", {"what": "report", "number": number})


def reopen(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``settle``."""
    same = (table.c.pk == before["number"]) & (table.c.state == "settled")
    values = {"state": "open", "decision": None, "decided_by_pk": None}
    if not connection.execute(update(table).where(same).values(values)).rowcount:
        raise WrongState(f"report {before['number']} is open already")
