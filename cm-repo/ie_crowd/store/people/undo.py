"""Undoing what one did as a reviewer: the thing is as it was before, and the log says so.

Only whoever made a change undoes it, and only while nothing else was done with the thing since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, select

from ie_crowd.store import audit, database, tables
from ie_crowd.store.people import accounts, comments, independence, moderation, reports

# By what ``undoable.keep`` calls a change: puts back how the thing was, or raises WrongState.
INVERSES: Mapping[str, Callable[[Connection, Mapping[str, Any]], None]] = {
    "published": moderation.unpublish,
    "quarantined": moderation.restore,
    "objection": moderation.reopen,
    "comment": comments.unjudge,
    "signed": comments.unsign,
    "report": reports.reopen,
    "independent": independence.undo_giving,
    "taken back": independence.undo_taking_back,
}


def undo(engine: Engine, line: int, account: Mapping[str, Any]) -> str:
    """Undo the change that left this line in the log; returns what it was, one of INVERSES. For reviewers, their own.

    Raises LookupError where there is nothing of theirs to undo, WrongState where the thing is another one by now.
    """
    table = tables.undo
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        mine = (table.c.line_pk == line) & (table.c.account_pk == account["pk"])
        found = connection.execute(select(table.c.before).where(mine)).scalar()
        if found is None:
            raise LookupError("there is nothing of yours to undo here (any more)")
        before = json.loads(found)
        done = tables.audit.c
        said = connection.execute(select(done.action, done.subject).where(done.pk == line)).one()
        INVERSES[before["what"]](connection, before)
        connection.execute(delete(table).where(mine))
        audit.record(
            connection, audit.now(), account["name"], [(f"undone {said.action}", said.subject, f"line {line}")]
        )
        return str(before["what"])
