"""Every row of a table of published results, for CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from ie_crowd.store import database, tables
from ie_crowd.store.filters import ANY, MOST_ROWS, Chosen, Filter, rows_of

EXPORTS = ("results", "metrics", "runs", "values")


def export(engine: Engine, what: str, asked: Filter = ANY) -> Iterator[dict[str, Any]]:
    """Every row of one table of published results, by id, a few at a time: for CSV and JSON.

    results: as in a list, without metrics. metrics: id, metric, mean, sd, n, ci95. runs: id and the columns of a run.
    values: id, number, metric, value. Raises ValueError for another table.
    """
    if what not in EXPORTS:
        raise ValueError(f"there is no table {what[:40]!r}; expected {', '.join(EXPORTS)}")
    return _export(engine, what, asked)


def _export(engine: Engine, what: str, asked: Filter) -> Iterator[dict[str, Any]]:
    result, metric, summary, value = tables.result, tables.metric.c, tables.summary.c, tables.run_value.c
    with database.reading(engine) as connection:
        chosen = Chosen(connection, asked, tables.PUBLISHED)
        if what == "results":
            for keys in _parts(connection, select(result.c.pk).where(*chosen.where).order_by(result.c.id)):
                for row in rows_of(connection, keys, ()):
                    del row["metrics"]
                    yield row
            return
        if what == "metrics":
            query = (
                select(result.c.id, metric.name.label("metric"), summary.mean, summary.sd, summary.n, summary.ci95)
                .join(tables.summary, summary.result_pk == result.c.pk)
                .join(tables.metric, metric.pk == summary.metric_pk)
                .order_by(result.c.id, metric.name)
            )
        elif what == "runs":
            columns = [column for column in tables.run.c if column.name != "result_pk"]
            query = (
                select(result.c.id, *columns)
                .join(tables.run, tables.run.c.result_pk == result.c.pk)
                .order_by(result.c.id, tables.run.c.number)
            )
        else:
            query = (
                select(result.c.id, value.number, metric.name.label("metric"), value.value)
                .join(tables.run_value, value.result_pk == result.c.pk)
                .join(tables.metric, metric.pk == value.metric_pk)
                .order_by(result.c.id, value.number, metric.name)
            )
        streamed = connection.execution_options(yield_per=1000).execute(query.where(*chosen.where))
        for values in streamed.mappings():
            yield dict(values)


def _parts(connection: Connection, query: Select[Any]) -> Iterator[list[int]]:
    keys = [row[0] for row in connection.execute(query)]
    return (keys[start : start + MOST_ROWS] for start in range(0, len(keys), MOST_ROWS))
