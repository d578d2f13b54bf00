"""Rate limit in the store: count tries in fixed windows, so that several servers count together.

Who somebody is (an address, an account) is kept only as a hash with a salt of this process's choosing, and forgotten
when the window has passed.
"""

from __future__ import annotations

import hashlib
import time

from sqlalchemy import Engine, delete, insert, select, update

from ie_crowd.store import database
from ie_crowd.store.tables import attempt

LONGEST_WINDOW = 24 * 3600


def allow(engine: Engine, what: str, who: str, *, most: int, seconds: int, salt: bytes = b"") -> int:
    """Count one try of ``what`` by ``who``; 0 if it is among the first ``most`` of its window, else seconds to wait."""
    assert 0 < seconds <= LONGEST_WINDOW
    now = int(time.time())
    since = now - now % seconds
    bucket = hashlib.blake2b(f"{what}\0{seconds}\0{who}".encode("utf-8", "replace"), key=salt[:64], digest_size=32)
    key = bucket.hexdigest()
    with database.writing(engine) as connection:
        connection.execute(delete(attempt).where(attempt.c.since < now - LONGEST_WINDOW))
        row = connection.execute(select(attempt).where(attempt.c.bucket == key)).mappings().one_or_none()
        if row is None:
            connection.execute(insert(attempt), {"bucket": key, "since": since, "count": 1})
            return 0
        count = row["count"] + 1 if row["since"] == since else 1
        if count > most:
            return since + seconds - now
        connection.execute(update(attempt).where(attempt.c.bucket == key).values(since=since, count=count))
    return 0


def forget(engine: Engine, what: str, who: str, *, seconds: int, salt: bytes = b"") -> None:
    """Start the count of somebody anew: after a log-in that succeeded."""
    bucket = hashlib.blake2b(f"{what}\0{seconds}\0{who}".encode("utf-8", "replace"), key=salt[:64], digest_size=32)
    with database.writing(engine) as connection:
        connection.execute(delete(attempt).where(attempt.c.bucket == bucket.hexdigest()))
