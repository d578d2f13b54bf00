"""What a reviewer's change leaves, so that they can undo it: how the thing was before, beside the line of the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from ie_crowd.store import database
from ie_crowd.store.tables import audit as log
from ie_crowd.store.tables import undo as table

MOST = 100  # changes of one account that can be undone; the oldest are forgotten first


def keep(connection: Connection, account: Mapping[str, Any], about: str, before: Mapping[str, Any]) -> None:
    """Keep how a thing was before the line that this account's change has just left in the log.

    ``before``: "what" (a name that ``undo`` knows) and what it needs. Earlier changes of the same thing can no longer
    be undone.
    """
    mine = select(log.c.pk).where(log.c.actor == account["name"]).order_by(log.c.pk.desc()).limit(1)
    line = connection.execute(mine).scalar_one()
    forget(connection, about)
    old = select(table.c.line_pk).where(table.c.account_pk == account["pk"]).order_by(table.c.line_pk.desc())
    last = connection.execute(old.offset(MOST - 1).limit(1)).scalar()
    if last is not None:
        connection.execute(delete(table).where(table.c.account_pk == account["pk"], table.c.line_pk <= last))
    values = {"line_pk": line, "account_pk": account["pk"], "about": about, "before": json.dumps(before)}
    connection.execute(insert(table), values)


def forget(connection: Connection, about: str) -> None:
    """What was done with this thing can no longer be undone."""
    connection.execute(delete(table).where(table.c.about == about))


def newest(engine: Engine, account: Mapping[str, Any]) -> int:
    """The line of the account's newest change that can be undone; 0 for none."""
    query = select(table.c.line_pk).where(table.c.account_pk == account["pk"]).order_by(table.c.line_pk.desc()).limit(1)
    with database.reading(engine) as connection:
        return connection.execute(query).scalar() or 0
