"""Writing results: one transaction a batch, under the write lock, so that two who write at once take turns.

A result is known by its id: the same again changes nothing. What is valid is published at once if the caller may, else
it waits for a reviewer. Copies and look-alike names are judged here, where the other results are.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Engine, Table, exists, insert, select, tuple_

from ie_crowd.store import audit, database, tables
from ie_crowd.store.proofs import commitments
from ie_crowd.store.records import Prepared, Reason, prepare

MOST_PARAMETERS = 500  # of one IN list; SQLite takes 999 in old builds


class Outcome(NamedTuple):
    """What became of one document: a state of the store, or "known" (it was there before, in ``state``)."""

    id: str
    what: str
    state: str
    reasons: list[Reason]


def submit(
    engine: Engine,
    content: bytes,
    *,
    account: Mapping[str, Any] | None = None,
    publish: bool = False,
    challenges: Mapping[str, Any] | None = None,
) -> Outcome:
    """Take in one result.json, uploaded by ``account`` (a row of ``account``; None: the operator).

    Raises ValueError, one line, for what is no result at all (see ``prepare``); the refusal is not stored.
    """
    prepared = prepare(content, challenges)
    with database.writing(engine) as connection:
        if account is not None:
            _still(connection, account)
        outcome = write(connection, [prepared], account=account, publish=publish)[0]
        if account is not None and outcome.what != "known" and prepared.commitment[0]:
            runs = [(run.seed, run.label_seed, run.status) for run in prepared.runs]
            commitments.hand_in(connection, account["pk"], outcome.id, *prepared.commitment, runs)
        return outcome


def _still(connection: Connection, account: Mapping[str, Any]) -> None:
    """Raise PermissionError for an account that was disabled since its request came."""
    query = select(tables.account.c.disabled).where(tables.account.c.pk == account["pk"])
    if connection.execute(query).scalar_one_or_none() is not None:
        raise PermissionError(f"the account {account['name']} is disabled")


def write(
    connection: Connection,
    batch: Sequence[Prepared],
    *,
    account: Mapping[str, Any] | None = None,
    publish: bool = False,
    places: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Write a batch inside a transaction of ``database.writing``; one Outcome for each, in order."""
    at, actor = audit.now(), "operator" if account is None else str(account["name"])
    there = _by(connection, tables.result.c.id, tables.result.c.state, {one.id for one in batch})
    outcomes: dict[int, Outcome] = {}
    fresh: dict[str, Prepared] = {}
    for index, one in enumerate(batch):
        if one.id in there:
            outcomes[index] = Outcome(one.id, "known", there[one.id], [])
        else:
            fresh.setdefault(one.id, one)
    reasons = _judge(connection, list(fresh.values()), account)
    states = {
        key: tables.QUARANTINED if reasons[key] else tables.PUBLISHED if publish else tables.VALID for key in fresh
    }
    _insert(connection, list(fresh.values()), states, reasons, at, account, places or {})
    audit.record(
        connection,
        at,
        actor,
        ((states[key], key, "; ".join(f"{r.name}: {r.detail}" for r in reasons[key])) for key in fresh),
    )
    for index, one in enumerate(batch):
        if index not in outcomes:
            outcomes[index] = Outcome(one.id, states[one.id], states[one.id], reasons[one.id])
    return [outcomes[index] for index in range(len(batch))]


def _judge(
    connection: Connection, batch: Sequence[Prepared], account: Mapping[str, Any] | None
) -> dict[str, list[Reason]]:
    """The reasons against each: its own, and what the store knows of others (this batch among them)."""
    result, run = tables.result.c, tables.run.c
    values = _by(connection, result.values_sha256, result.id, {one.values_sha256 for one in batch})
    weights = {row.model_sha256 for one in batch for row in one.runs if row.model_sha256}
    joined = tables.run.join(tables.result)
    models = _by(connection, run.model_sha256, result.id, weights, joined)
    skeletons = {one.skeleton for one in batch if one.submitter}
    looks = _by(connection, tables.submitter.c.skeleton, tables.submitter.c.name, skeletons, condition=_shown())
    owners = _by(connection, tables.account.c.skeleton, tables.account.c.name, skeletons)
    reasons = {}
    for one in batch:
        found = list(one.reasons)
        first = values.setdefault(one.values_sha256, one.id)
        if first != one.id and one.values:
            found.append(Reason("copy", "/runs", f"holds the raw values of result {first}"))
        for index, row in enumerate(one.runs):
            first = models.setdefault(row.model_sha256, one.id) if row.model_sha256 else one.id
            if first != one.id:
                detail = f"names the weights of result {first}"
                found.append(Reason("copy", f"/runs/{index}/model_sha256", detail))
                break
        if one.submitter:
            # whose account it is, then whose results are shown: nobody gains a name by being refused under it first
            like = owners.get(one.skeleton) or looks.get(one.skeleton, one.submitter)
            if like != one.submitter:
                found.append(Reason("submitter", "/submitter/name", f"the name looks like {like!r}, another one"))
            if account is not None and one.submitter != account["name"]:
                detail = f"the name is not the account's, {account['name']!r}"
                found.append(Reason("submitter", "/submitter/name", detail))
            if not found:
                looks.setdefault(one.skeleton, one.submitter)
        reasons[one.id] = found
    return reasons


def _insert(
    connection: Connection,
    batch: Sequence[Prepared],
    states: Mapping[str, str],
    reasons: Mapping[str, Sequence[Reason]],
    at: str,
    account: Mapping[str, Any] | None,
    places: Mapping[str, str],
) -> None:
    if not batch:
        return
    contests = _numbers(connection, tables.contest, [one.contest for one in batch])
    people = _numbers(
        connection,
        tables.submitter,
        [(one.submitter, one.skeleton) for one in batch if one.submitter],
        by=1,
    )
    machines = _numbers(connection, tables.machine, [one.machine for one in batch], by=1)
    configs = _numbers(connection, tables.config, [one.config for one in batch], by=1)
    metrics = _numbers(connection, tables.metric, [(name,) for one in batch for _, name, _ in one.values], by=1)
    rows = [
        {
            **{name: value for name, value in one._asdict().items() if name in tables.result.c},
            "state": states[one.id],
            "received": at,
            "published": at if states[one.id] == tables.PUBLISHED else None,
            "contest_pk": contests[one.contest],
            "submitter_pk": people[(one.submitter,)] if one.submitter else None,
            "machine_pk": machines[one.machine[:1]],
            "account_pk": None if account is None else account["pk"],
            "config_pk": configs[one.config[:1]],
            "runs": len(one.runs),
            "place": places.get(one.id),
        }
        for one in batch
    ]
    keys = {
        row.id: row.pk
        for row in connection.execute(insert(tables.result).returning(tables.result.c.id, tables.result.c.pk), rows)
    }
    _many(
        connection,
        tables.original,
        ("result_pk", "size", "packed"),
        [(keys[one.id], one.size, one.packed) for one in batch],
    )
    _many(
        connection,
        tables.run,
        ("result_pk", *batch[0].runs[0]._fields),
        [(keys[one.id], *row) for one in batch for row in one.runs],
    )
    _many(
        connection,
        tables.run_value,
        ("result_pk", "number", "metric_pk", "value"),
        [
            (keys[one.id], number, metrics[(name,)], value)
            for one in batch
            for number, name, value in sorted(one.values)
        ],
    )
    _many(
        connection,
        tables.reason,
        ("result_pk", "name", "evidence", "detail"),
        [
            (keys[one.id], reason.name[:80], reason.evidence[:300], reason.detail[:1000])
            for one in batch
            for reason in reasons[one.id]
        ],
    )
    shown = [one for one in batch if states[one.id] == tables.PUBLISHED]
    summarise(
        connection,
        [
            (
                keys[one.id],
                metrics[(name,)],
                contests[one.contest],
                people.get((one.submitter,)),
                machines[one.machine[:1]],
                *numbers,
            )
            for one in shown
            for name, *numbers in one.summary
        ],
    )


def summarise(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add the aggregates of published results: result, metric, contest, submitter, machine, mean, sd, n, ci95."""
    names = ("result_pk", "metric_pk", "contest_pk", "submitter_pk", "machine_pk", "mean", "sd", "n", "ci95")
    # In the order of the indexes, which lie all over the file; the table's own rows of one transaction lie together.
    _many(connection, tables.summary, names, sorted(rows, key=operator.itemgetter(1, 5)))


def _many(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows at the driver's speed: the statement is made by SQLAlchemy once, the values go beside it."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        marks, separator = ["?"] * len(names), ", "
        statement = f"INSERT INTO {table.name} ({separator.join(names)}) VALUES ({separator.join(marks)})"  # noqa: S608 names of this module
        connection.exec_driver_sql(statement, list(rows))
    else:
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def _numbers(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], by: int | None = None
) -> dict[tuple[Any, ...], int]:
    """The keys of the rows of a small table, added where they are missing; told by their first ``by`` columns."""
    columns: list[Column[Any]] = [column for column in table.c if column.name != "pk"]
    telling = columns[:by]
    wanted = {row[: len(telling)]: row for row in rows}
    known: dict[tuple[Any, ...], int] = {}
    for part in _parts(sorted(wanted), MOST_PARAMETERS // len(telling)):
        query = select(table.c.pk, *telling).where(tuple_(*telling).in_(part))
        known.update({tuple(row[1:]): row[0] for row in connection.execute(query)})
    missing = [row for key, row in wanted.items() if key not in known]
    if missing:
        names = [column.name for column in columns]
        added = insert(table).returning(table.c.pk, *telling)
        done = connection.execute(added, [dict(zip(names, row, strict=True)) for row in missing])
        known.update({tuple(row[1:]): row[0] for row in done})
    return known


def _shown() -> Any:
    """Whether a submitter has a result that is published, or that waits to be."""
    result = tables.result.c
    states = result.state.in_((tables.VALID, tables.PUBLISHED))
    return exists().where(result.submitter_pk == tables.submitter.c.pk, states)


def _by(
    connection: Connection,
    key: Column[Any],
    value: Column[Any],
    wanted: Iterable[str],
    source: Any = None,
    condition: Any = None,
) -> dict[str, str]:
    """{key: value} of the rows whose key is wanted, under a condition; of several, the oldest."""
    found: dict[str, str] = {}
    for part in _parts(sorted(wanted), MOST_PARAMETERS):
        query = select(key, value).where(key.in_(part))
        if source is not None:
            query = query.select_from(source)
        if condition is not None:
            query = query.where(condition)
        for row in connection.execute(query):
            found.setdefault(row[0], row[1])
    return found


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
