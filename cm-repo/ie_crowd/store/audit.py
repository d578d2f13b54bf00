"""The log of who did what, and when. It only grows: triggers in the database refuse anything else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, insert, select

from ie_crowd.store import database
from ie_crowd.store.tables import audit

LONGEST_DETAIL = 1000
# How actions begin that leave every result as it is; what an objection or a withdrawal does is a line of its own.
TALK = ("comment", "signed", "objection", "account", "token", "role", "report", "related")


def now() -> str:
    """The time, in UTC, to the second, as every table holds it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(connection: Connection, at: str, actor: str, rows: Iterable[tuple[str, str, str]]) -> None:
    """Add (action, subject, detail) rows, in the transaction of what they tell about."""
    entries = [
        {"at": at, "actor": actor[:80], "action": action, "subject": subject[:100], "detail": detail[:LONGEST_DETAIL]}
        for action, subject, detail in rows
    ]
    if entries:
        connection.execute(insert(audit), entries)


def read(
    engine: Engine,
    *,
    subject: str | None = None,
    actor: str | None = None,
    until: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """The newest rows first: pk, at, actor, action, subject, detail; about a subject, of an actor, not after a day.

    ``before``: the pk where the last page ended. ``until``: YYYY-MM-DD, with all of that day.
    """
    query = select(audit).order_by(audit.c.pk.desc()).limit(min(limit, 1000))
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if until is not None:
        query = query.where(audit.c.at <= f"{until}T23:59:59Z")
    if before is not None:
        query = query.where(audit.c.pk < before)
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


# Made once: each request asks one of them, and to make the second takes longer than to answer it.
_NEWEST = select(audit.c.pk).order_by(audit.c.pk.desc()).limit(1)
_NEWEST_OF_RESULTS = _NEWEST.where(*(audit.c.action.not_like(f"{beginning}%") for beginning in TALK))


def revision(engine: Engine) -> int:
    """A number that grows with everything that changes what the store shows: good as an ETag."""
    return _first(engine, _NEWEST)


def results_revision(engine: Engine) -> int:
    """A number that grows with everything that changes results or their states: lists, charts and ranks stay good as
    long as it stays the same."""
    return _first(engine, _NEWEST_OF_RESULTS)


def _first(engine: Engine, query: Select[Any]) -> int:
    with database.reading(engine) as connection:
        return connection.execute(query).scalar() or 0
