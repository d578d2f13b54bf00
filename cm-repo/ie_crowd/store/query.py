"""Reading the store for pages and programs: lists, one result, what can be filtered by.

What a page needs comes in few statements whose cost hardly grows with the store: keys first (by one index, of one
page), then what those keys stand for. Every value from outside is a bound parameter; what may be sorted by is a list.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, exists, func, select

from ie_crowd.store import database, tables
from ie_crowd.store.filters import ANY, MOST_ROWS, Chosen, Filter, labels_order, metric_key, rows_of
from ie_crowd.store.standings import Contest, shown_labels

MOST_CHOICES = 1000  # of one facet
SORTS = ("published", "created", "wall_seconds", "submitter", "labels")


class Page(NamedTuple):
    """One page of a list: its rows, and how many rows all pages have."""

    rows: list[dict[str, Any]]
    total: int


def results(
    engine: Engine,
    asked: Filter = ANY,
    *,
    sort: str = "published",
    descending: bool = True,
    page: int = 1,
    size: int = 50,
    metrics: Sequence[str] = (),
    state: str = tables.PUBLISHED,
) -> Page:
    """A page of results: the columns of ``tables.LISTED``, and metrics: {name: {mean, sd, n, ci95}} of those asked for.

    ``sort`` is one of SORTS or the name of a metric: then only results that have it are listed. What is not published
    has no summary: no metrics, and no order by one. Raises ValueError for a sort, page, size or state that cannot be.
    """
    check_page(page, size)
    if state not in tables.STATES:
        raise ValueError(f"there is no state {state[:40]!r}; expected {', '.join(tables.STATES)}")
    if sort not in SORTS and state != tables.PUBLISHED:
        raise ValueError(f"results that are {state} are not sorted by a metric; expected {', '.join(SORTS)}")
    with database.reading(engine) as connection:
        chosen = Chosen(connection, asked, state)
        if sort in SORTS:
            keys, count = chosen.sorted_by(sort, descending)
        else:
            keys, count = chosen.by_metric(metric_key(connection, sort), descending)
        total = connection.execute(count).scalar_one()
        keys = keys.limit(size).offset((page - 1) * size)
        rows = rows_of(connection, [row[0] for row in connection.execute(keys)], metrics)
    return Page(rows, total)


def check_page(page: int, size: int) -> None:
    """Raise ValueError for a page or a size that no list has."""
    if not 1 <= size <= MOST_ROWS or not 1 <= page <= 10**6:
        raise ValueError(f"page {page}, size {size}; expected a page from 1 and a size of 1 to {MOST_ROWS}")


def one(engine: Engine, result_id: str) -> dict[str, Any] | None:
    """One result in any state: the columns of a list's row, ``reasons`` [{name, evidence, detail}], ``uploaded_by``,
    ``rules_version``, ``judged_version`` and all its metrics. None if there is none.

    Of a withdrawn one only id, state, received and reasons are there.
    """
    result, reason = tables.result.c, tables.reason.c
    with database.reading(engine) as connection:
        found = connection.execute(select(tables.result).where(result.id == result_id)).mappings().one_or_none()
        if found is None:
            return None
        query = select(reason.name, reason.evidence, reason.detail).where(reason.result_pk == found["pk"])
        reasons = [dict(row) for row in connection.execute(query.order_by(reason.pk)).mappings()]
        if found["state"] == tables.WITHDRAWN:
            return {**{name: found[name] for name in ("id", "state", "received")}, "reasons": reasons}
        names = select(tables.account.c.name).where(tables.account.c.pk == found["account_pk"])
        more = {
            "reasons": reasons,
            "uploaded_by": connection.execute(names).scalar(),
            "rules_version": found["rules_version"],
            "judged_version": found["judged_version"],
        }
        return {**rows_of(connection, [found["pk"]], None)[0], **more}


def by_prefix(engine: Engine, prefix: str, most: int = 2) -> list[str]:
    """The ids, in any state, that begin with ``prefix`` (hexadecimal digits), at most that many."""
    ids = tables.result.c.id
    query = select(ids).where(ids >= prefix, ids < f"{prefix}g").order_by(ids).limit(most)
    with database.reading(engine) as connection:
        return [row[0] for row in connection.execute(query)]


def original(engine: Engine, result_id: str) -> bytes | None:
    """The result.json as it came, byte for byte; None where there is none (any more)."""
    query = (
        select(tables.original.c.size, tables.original.c.packed)
        .join(tables.result, tables.result.c.pk == tables.original.c.result_pk)
        .where(tables.result.c.id == result_id)
    )
    with database.reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    content = zlib.decompressobj().decompress(row.packed, row.size + 1)
    assert len(content) == row.size
    return content


def runs(engine: Engine, result_id: str) -> list[dict[str, Any]]:
    """The runs of a result by number: the columns of ``run``, and ``metrics`` {name: value}."""
    key = select(tables.result.c.pk).where(tables.result.c.id == result_id).scalar_subquery()
    run, value = tables.run.c, tables.run_value.c
    with database.reading(engine) as connection:
        rows = connection.execute(select(tables.run).where(run.result_pk == key).order_by(run.number)).mappings()
        found = {row["number"]: {**row, "metrics": {}} for row in rows}
        query = (
            select(value.number, tables.metric.c.name, value.value)
            .join(tables.metric, tables.metric.c.pk == value.metric_pk)
            .where(value.result_pk == key)
        )
        for number, name, one_value in connection.execute(query.order_by(tables.metric.c.name)):
            found[number]["metrics"][name] = one_value
    for row in found.values():
        del row["result_pk"]
    return list(found.values())


def facets(engine: Engine, challenge: str | None = None, state: str = tables.PUBLISHED) -> dict[str, list[Any]]:
    """What the results in a state can be filtered by: dataset, supervision, labels, division, method, submitter,
    cpu_model, accelerator, each a sorted list of the first thousand."""
    result = tables.result.c
    shown = result.state == state

    def of(column: Any, key: Any, table: Any) -> Select[Any]:
        used = exists().where(key == table.c.pk, shown)
        return select(column).where(used).distinct().order_by(column).limit(MOST_CHOICES)

    contest, machine = tables.contest, tables.machine
    queries = {
        name: of(contest.c[name], result.contest_pk, contest)
        for name in ("dataset", "supervision", "labels", "division", "method")
    }
    if challenge is not None:
        queries = {name: query.where(contest.c.challenge == challenge) for name, query in queries.items()}
    queries["submitter"] = of(tables.submitter.c.name, result.submitter_pk, tables.submitter)
    for name in ("cpu_model", "accelerator"):
        queries[name] = of(machine.c[name], result.machine_pk, machine)
    with database.reading(engine) as connection:
        found = {name: [row[0] for row in connection.execute(query)] for name, query in queries.items()}
    found["labels"] = sorted(map(shown_labels, found["labels"]), key=labels_order)
    return found


def choices(
    engine: Engine, asked: Filter, state: str = tables.PUBLISHED, most: int = 8
) -> dict[str, list[tuple[Any, int]]]:
    """What would narrow a list further: of each facet that is not set, (value, how many results it would leave), the
    most first, at most that many; labels by their number. A facet whose one value all results share is left out.

    Results are counted by task, by machine and by submitter, each by one index that holds the filters too.
    """
    result, c, machine, submitter = tables.result.c, tables.contest.c, tables.machine.c, tables.submitter.c
    found: dict[str, Counter[Any]] = {}
    with database.reading(engine) as connection:
        where = Chosen(connection, asked, state).where
        for key, table, columns in (
            (result.contest_pk, tables.contest, (c.dataset, c.supervision, c.labels, c.division, c.method)),
            (result.machine_pk, tables.machine, (machine.accelerator, machine.cpu_model)),
            (result.submitter_pk, tables.submitter, (submitter.name.label("submitter"),)),
        ):
            counted = select(key.label("pk"), func.count().label("results")).where(*where).group_by(key).subquery()
            query = select(*columns, func.sum(counted.c.results)).join_from(counted, table, table.c.pk == counted.c.pk)
            for *values, results in connection.execute(query.group_by(*columns)):
                for column, value in zip(columns, values, strict=True):
                    found.setdefault(column.name, Counter())[value] += int(results)
    further = {
        name: counts.most_common(most)
        for name, counts in found.items()
        if getattr(asked, name) is None and (len(counts) > 1 or name == "submitter")
    }
    if "labels" in further:
        shown = [(shown_labels(value), results) for value, results in further["labels"]]
        further["labels"] = sorted(shown, key=lambda pair: labels_order(pair[0]))
    return further


def challenges(engine: Engine) -> list[str]:
    """The ids of the challenges of published results, sorted."""
    contest, result = tables.contest.c, tables.result.c
    used = exists().where(result.contest_pk == contest.pk, result.state == tables.PUBLISHED)
    query = select(contest.challenge).where(used).distinct().order_by(contest.challenge)
    with database.reading(engine) as connection:
        return [row[0] for row in connection.execute(query)]


def totals(engine: Engine) -> dict[str, int]:
    """How many results are in each state, and how many submitters, machines and contests are published."""
    result = tables.result.c
    with database.reading(engine) as connection:
        counts = dict.fromkeys(tables.STATES, 0)
        for state, count in connection.execute(select(result.state, func.count()).group_by(result.state)):
            counts[state] = count
        for name, table, key in (
            ("submitters", tables.submitter, result.submitter_pk),
            ("machines", tables.machine, result.machine_pk),
        ):
            used = exists().where(key == table.c.pk, result.state == tables.PUBLISHED)
            counts[name] = connection.execute(select(func.count()).select_from(table).where(used)).scalar_one()
        compared = (tables.contest.c[name] for name in Contest._fields)
        used = exists().where(result.contest_pk == tables.contest.c.pk, result.state == tables.PUBLISHED)
        each = select(*compared).where(used).distinct().subquery()
        counts["contests"] = connection.execute(select(func.count()).select_from(each)).scalar_one()
    return counts
