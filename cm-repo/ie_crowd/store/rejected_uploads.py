"""Uploads that were refused: who sent them, when, why, how large they were. What was sent is not kept.

They are no part of the audit log, which only grows: of these the newest MOST are kept, for somebody who sends rubbish
all day must not fill the store.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, delete, insert, select

from ie_crowd.store import audit, database
from ie_crowd.store.tables import refusal

MOST = 10_000
LONGEST_REASON = 300


def record(engine: Engine, by: str, status: int, reason: str, size: int = 0, sha256: str = "") -> None:
    """Note a refused upload: the account's name, the answer's status, bytes that were read and, of a whole body, its
    hash ("" where it was not read to its end)."""
    values = {
        "at": audit.now(),
        "by": by[:80],
        "status": status,
        "reason": " ".join("".join(one if one.isprintable() else " " for one in reason).split())[:LONGEST_REASON],
        "size": size,
        "sha256": sha256,
    }
    with database.writing(engine) as connection:
        key = connection.execute(insert(refusal).returning(refusal.c.pk), values).scalar_one()
        connection.execute(delete(refusal).where(refusal.c.pk <= key - MOST))


def read(engine: Engine, *, before: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """The newest first: pk, at, by, status, reason, size, sha256. ``before``: the pk where the last page ended."""
    query = select(refusal).order_by(refusal.c.pk.desc()).limit(min(max(limit, 1), 1000))
    if before is not None:
        query = query.where(refusal.c.pk < before)
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
