"""Choose results for the front page: of a contest those with most runs, of a task the one of best value."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, select

from ie_crowd.store import database, query, tables
from ie_crowd.store.filters import Filter, rows_of

OF_ONE = 2  # results of each contest
MOST = 200  # in all
LOOKED_AT = 10  # of the best values, for one of several runs


def most_evidenced(engine: Engine, challenge: str) -> list[dict[str, Any]]:
    """Published results, at most OF_ONE of each contest (its method among what tells contests apart): those of the most
    completed runs, then the newest. Rows as of a list."""
    result, contest = tables.result.c, tables.contest.c
    place = func.row_number().over(
        partition_by=result.contest_pk, order_by=(result.completed.desc(), result.published.desc(), result.pk.desc())
    )
    of = select(contest.pk).where(contest.challenge == challenge)
    placed = (
        select(result.pk, result.completed, result.published, place.label("place"))
        .where(result.state == tables.PUBLISHED, result.contest_pk.in_(of))
        .subquery()
    )
    chosen = (
        select(placed.c.pk)
        .where(placed.c.place <= OF_ONE)
        .order_by(placed.c.completed.desc(), placed.c.published.desc(), placed.c.pk.desc())
        .limit(MOST)
    )
    with database.reading(engine) as connection:
        return rows_of(connection, [row[0] for row in connection.execute(chosen)], ())


def best(engine: Engine, asked: Filter, metric: str, direction: str) -> dict[str, Any] | None:
    """The published result with the best mean of a metric, of several runs where there is one; None where none has it.

    A row as of a list, with that metric. ``direction``: "lower" or "higher".
    """
    assert direction in ("lower", "higher"), direction
    try:
        rows = query.results(
            engine, asked, sort=metric, descending=direction == "higher", size=LOOKED_AT, metrics=[metric]
        ).rows
    except ValueError:  # no result has it yet
        return None
    return next((row for row in rows if row["completed"] > 1), rows[0] if rows else None)
