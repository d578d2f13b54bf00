"""The queue of verifications, in the store: who waits, who works on what and until when, and what came of it.

A worker holds a row for a lease, and renews it while it works; a worker that was killed stops renewing, and another
takes the row when the lease has run out. Only who still holds a row ends it. A result that three workers died on is
ended as broken, so that it stops nobody else. On PostgreSQL rows that others hold are skipped, not waited for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from ie_crowd.formats import upgrade
from ie_crowd.store import audit, database, query, tables

WAITING, RUNNING, ENDED = "waiting", "running", "ended"
PASS, FAIL, UNDECIDED, BROKEN = "pass", "fail", "not evidenced", "broken"
MOST_ATTEMPTS = 3
LEASE_SECONDS = 120


class Job(NamedTuple):
    """One verification that a worker holds."""

    pk: int
    result_pk: int
    result_id: str
    depth: str
    attempt: int


def document(engine: Engine, result_id: str) -> dict[str, Any]:
    """The document of a result, in the present form. Raises LookupError where there is none (any more)."""
    content = query.original(engine, result_id)
    if content is None:
        raise LookupError(f"there is no result {result_id[:12]}…")
    return upgrade.accept(json.loads(content))


def key_of(connection: Connection, result_id: str) -> int:
    """The key of a result that is not withdrawn. Raises LookupError."""
    result = tables.result.c
    wanted = select(result.pk).where(result.id == result_id, result.state != tables.WITHDRAWN)
    key = connection.execute(wanted).scalar()
    if key is None:
        raise LookupError(f"there is no result {result_id[:12]}…")
    return int(key)


def ask(connection: Connection, key: int, result_id: str, depth: str, *, again: bool = False) -> bool:
    """Put a result at the end of the queue; returns whether it was. One that waits, or was looked at so deep, is not,
    but ``again`` asks for what has ended once more."""
    row = tables.verification.c
    states = (WAITING, RUNNING) if again else (WAITING, RUNNING, ENDED)
    there = select(row.pk).where(row.result_pk == key, row.depth == depth, row.state.in_(states))
    if connection.execute(there.limit(1)).first() is not None:
        return False
    at = audit.now()
    values = {"result_pk": key, "depth": depth, "state": WAITING, "asked": at, "attempts": 0}
    connection.execute(insert(tables.verification), {**values, "detail": "", "platform": "{}"})
    audit.record(connection, at, "operator", [("verification asked", result_id, depth)])
    return True


def claim(engine: Engine, worker: str, *, now: float | None = None, after: int = 0) -> Job | None:
    """The next verification that waits, or whose worker's lease has run out; None if there is none.

    ``after``: the key of the last row that is left to others.
    """
    row, result = tables.verification.c, tables.result.c
    at = int(now if now is not None else time.time())
    free = or_(row.state == WAITING, (row.state == RUNNING) & (row.lease < at))
    wanted = select(row.pk, row.result_pk, row.depth, row.attempts, result.id).join(tables.result)
    wanted = wanted.where(free, row.pk > after).order_by(row.pk).limit(1)
    wanted = wanted.with_for_update(skip_locked=True, of=tables.verification)
    with database.writing(engine) as connection:
        while (found := connection.execute(wanted).one_or_none()) is not None:
            mine = update(tables.verification).where(row.pk == found.pk)
            if found.attempts >= MOST_ATTEMPTS:
                said = f"{MOST_ATTEMPTS} workers ended while they worked on it"
                ended = {"state": ENDED, "ended": audit.now(), "outcome": BROKEN, "detail": said}
                connection.execute(mine.values(**ended, worker=None, lease=None))
                audit.record(connection, audit.now(), worker, [("verification broken", found.id, said)])
                continue
            held = {"state": RUNNING, "worker": worker[:80], "lease": at + LEASE_SECONDS}
            connection.execute(mine.values(**held, attempts=found.attempts + 1))
            return Job(found.pk, found.result_pk, found.id, found.depth, found.attempts + 1)
    return None


def renew(engine: Engine, job: Job, worker: str, *, now: float | None = None) -> bool:
    """Hold a verification for another lease; returns whether it is still the worker's."""
    at = int(now if now is not None else time.time())
    with database.writing(engine) as connection:
        mine = update(tables.verification).where(*_held(job, worker)).values(lease=at + LEASE_SECONDS)
        return connection.execute(mine).rowcount == 1


def give_back(engine: Engine, job: Job, worker: str) -> None:
    """Put a verification back into its place: the worker was asked to stop. The attempt does not count."""
    with database.writing(engine) as connection:
        back = {"state": WAITING, "worker": None, "lease": None, "attempts": job.attempt - 1}
        connection.execute(update(tables.verification).where(*_held(job, worker)).values(**back))


def _held(job: Job, worker: str) -> tuple[Any, ...]:
    row = tables.verification.c
    return row.pk == job.pk, row.state == RUNNING, row.worker == worker[:80], row.attempts == job.attempt


def end(connection: Connection, job: Job, worker: str, outcome: str, detail: str, platform: Mapping[str, Any]) -> bool:
    """Note what came of a verification; returns False, and changes nothing, where it is no longer the worker's."""
    values = {"state": ENDED, "ended": audit.now(), "outcome": outcome, "detail": detail[:1000], "lease": None}
    told = json.dumps(platform, sort_keys=True)[:20_000]
    done = connection.execute(update(tables.verification).where(*_held(job, worker)).values(**values, platform=told))
    if done.rowcount != 1:
        return False
    said = f"{job.depth}: {outcome}" + (f": {detail}" if detail else "")
    audit.record(connection, audit.now(), worker, [("verified", job.result_id, said)])
    return True


def keep_values(connection: Connection, job: Job, values: Mapping[int, Mapping[str, float]]) -> None:
    """Keep what the operator's machine got for each run: from the result's own weights, and only without those from
    weights that were trained here."""
    known = {row.name: row.pk for row in connection.execute(select(tables.metric.c.name, tables.metric.c.pk))}
    table = tables.verified_value
    there = select(table.c.result_pk).where(table.c.result_pk == job.result_pk).limit(1)
    if job.depth == "rerun" and connection.execute(there).first() is not None:
        return
    connection.execute(delete(table).where(table.c.result_pk == job.result_pk))
    rows = [
        {"result_pk": job.result_pk, "number": number, "metric_pk": known[name], "value": value}
        for number, metrics in values.items()
        for name, value in metrics.items()
        if name in known
    ]
    if rows:
        connection.execute(insert(table), rows)


def other_digits(engine: Engine, job: Job, document: Mapping[str, Any]) -> bool:
    """Whether the result's own weights gave other numbers here than it states, if only in the last digits: the machine
    that made it was another, whatever its name."""
    table, metric = tables.verified_value, tables.metric.c
    wanted = select(table.c.number, metric.name, table.c.value).join(tables.metric, metric.pk == table.c.metric_pk)
    with database.reading(engine) as connection:
        rows = connection.execute(wanted.where(table.c.result_pk == job.result_pk)).all()
    return any(document["runs"][row.number]["metrics"].get(row.name) != row.value for row in rows)


def history(engine: Engine, result_id: str) -> list[dict[str, Any]]:
    """The verifications of a result, oldest first: depth, state, asked, ended, outcome, detail, platform."""
    row = tables.verification.c
    wanted = select(row.depth, row.state, row.asked, row.ended, row.outcome, row.detail, row.platform)
    wanted = wanted.join(tables.result).where(tables.result.c.id == result_id).order_by(row.pk)
    with database.reading(engine) as connection:
        rows = connection.execute(wanted).mappings().all()
    return [{**one, "platform": json.loads(one["platform"])} for one in rows]


def counts(engine: Engine) -> dict[str, int]:
    """How many verifications are in each state."""
    from sqlalchemy import func

    row = tables.verification.c
    with database.reading(engine) as connection:
        rows = connection.execute(select(row.state, func.count()).group_by(row.state)).all()
    found = {state: int(count) for state, count in rows}
    return {state: found.get(state, 0) for state in (WAITING, RUNNING, ENDED)}
