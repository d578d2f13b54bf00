"""The numbers behind charts: points of any two axes, and a metric against the number of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, func, null, select

from ie_crowd.formats import moments
from ie_crowd.result.aggregate import mean_sd_ci95
from ie_crowd.store import database, tables
from ie_crowd.store.filters import MOST_ROWS, Chosen, Filter, labels_order, metric_key
from ie_crowd.store.standings import shown_labels

MOST_POINTS = 5000


class Axis(NamedTuple):
    """An axis that is no metric: where its values are, what it shows in words, and the unit they are stored in."""

    column: ColumnElement[Any]
    text: str
    unit: str = "1"


DAY, SECONDS, BYTES = "day", "s", "B"
AXES = {
    "labels": Axis(tables.contest.c.labels, "labelled examples"),
    "created": Axis(tables.result.c.created, "day made", DAY),
    "published": Axis(tables.result.c.published, "day published", DAY),
    "wall_seconds": Axis(tables.result.c.wall_seconds, "time of all runs (s)", SECONDS),
    "cores": Axis(tables.machine.c.cores, "logical cores"),
    "memory_bytes": Axis(tables.machine.c.memory_bytes, "memory (GiB)", BYTES),
    "completed": Axis(tables.result.c.completed, "completed runs"),
}


def points(engine: Engine, asked: Filter, x: str, y: str, *, most: int = 1000) -> dict[str, Any]:
    """The points of a chart of two axes, each a metric or one of AXES: {points, total, thinned}.

    A point: id, submitter, dataset, labels, division, method, x, y, and x_ci95, y_ci95 for metrics. Of more than
    ``most`` results every n-th is taken, always the same ones, and ``thinned`` says so. Raises ValueError for an
    unknown axis.
    """
    most = min(max(most, 1), MOST_POINTS)
    summary = tables.summary.c
    with database.reading(engine) as connection:
        axes = [None if axis in AXES else metric_key(connection, axis) for axis in (x, y)]
        chosen = Chosen(connection, asked, tables.PUBLISHED)
        first = next((axis for axis in axes if axis is not None), None)
        keys, count = chosen.sorted_by(None, False) if first is None else chosen.by_metric(first, None)
        total = connection.execute(count).scalar_one()
        step = -(-total // most) or 1
        key = keys.selected_columns[0]
        picked = [row[0] for row in connection.execute(keys.where(key % step == 0).limit(2 * most))][:most]
        found = {key: _point(row, x, y) for key, *row in _described(connection, picked, x, y)}
        for name, axis in zip("xy", axes, strict=True):
            if axis is not None:
                for start in range(0, len(picked), MOST_ROWS):
                    part = picked[start : start + MOST_ROWS]
                    query = select(summary.result_pk, summary.mean, summary.ci95).where(summary.metric_pk == axis)
                    for key, mean, ci95 in connection.execute(query.where(summary.result_pk.in_(part))):
                        found[key] |= {name: mean, f"{name}_ci95": ci95}
    shown = [found[key] for key in picked if found[key]["x"] is not None and found[key]["y"] is not None]
    return {"points": shown, "total": total, "thinned": step > 1}


def _described(connection: Connection, keys: Sequence[int], x: str, y: str) -> Iterator[tuple[Any, ...]]:
    """Key, id, submitter, dataset, labels, division, method, x and y (None for a metric) of these results."""
    result, contest, machine = tables.result.c, tables.contest.c, tables.machine.c
    query = (
        select(
            result.pk,
            result.id,
            tables.submitter.c.name,
            contest.dataset,
            contest.labels,
            contest.division,
            contest.method,
            AXES[x].column if x in AXES else null(),
            AXES[y].column if y in AXES else null(),
        )
        .select_from(tables.result)
        .join(tables.contest, contest.pk == result.contest_pk)
        .join(tables.machine, machine.pk == result.machine_pk)
        .outerjoin(tables.submitter, tables.submitter.c.pk == result.submitter_pk)
    )
    for start in range(0, len(keys), MOST_ROWS):
        rows = connection.execute(query.where(result.pk.in_(keys[start : start + MOST_ROWS])))
        yield from map(tuple, rows)


def _point(row: Sequence[Any], x: str, y: str) -> dict[str, Any]:
    name, submitter, dataset, labels, division, method, across, up = row
    labels = shown_labels(labels)
    return {
        "id": name,
        "submitter": submitter,
        "dataset": dataset,
        "labels": labels,
        "division": division,
        "method": method,
        "x": labels if x == "labels" else across,
        "x_ci95": None,
        "y": labels if y == "labels" else up,
        "y_ci95": None,
    }


def best_so_far(
    engine: Engine, asked: Filter, metric: str, axis: str, by: str, direction: str
) -> dict[str, list[tuple[str, float]]]:
    """Of each value of the task's column ``by``: the days (YYYY-MM-DD, in order) on which the best mean became better.

    ``axis``: "created" or "published". ``direction``: "lower" or "higher". The days are grouped in the database, of all
    results that are asked for, however many points a chart shows. Raises ValueError for an unknown metric.
    """
    assert axis in ("created", "published"), axis
    assert direction in ("lower", "higher"), direction
    summary, result, contest = tables.summary.c, tables.result.c, tables.contest.c
    day, better = func.substr(result[axis], 1, 10), min if direction == "lower" else max
    with database.reading(engine) as connection:
        chosen = Chosen(connection, asked, tables.PUBLISHED)
        query = (
            select(contest[by], day, (func.min if direction == "lower" else func.max)(summary.mean))
            .select_from(tables.summary)
            .join(tables.result, result.pk == summary.result_pk)
            .join(tables.contest, contest.pk == summary.contest_pk)
            .where(summary.metric_pk == metric_key(connection, metric), *chosen.of_summary())
            .group_by(contest[by], day)
            .order_by(day)
        )
        found: dict[str, list[tuple[str, float]]] = {}
        for value, on, best in connection.execute(query):
            if moments.day(on) is None:  # a day that no calendar has, as an earlier program took it in
                continue
            steps = found.setdefault(str(shown_labels(value) if by == "labels" else value), [])
            if not steps or (best != steps[-1][1] and better(best, steps[-1][1]) == best):
                steps.append((on, float(best)))
    return found


def by_labels(engine: Engine, asked: Filter, metric: str) -> list[dict[str, Any]]:
    """A metric against the number of labels, for a chart with intervals: one row for each contest that is asked for.

    Row: dataset, supervision, labels, division, method, results, submitters, mean, ci95, low, high. One for each
    method. Every submitter counts once, and all who name none count as one more: ``mean`` and ``ci95`` are of the
    submitters' own means (ci95 None for one; a single result has its own, over its runs), ``low`` and ``high`` the
    least and the largest of them.
    """
    c, summary = tables.contest.c, tables.summary.c
    with database.reading(engine) as connection:
        chosen = Chosen(connection, asked, tables.PUBLISHED)
        where = [summary.metric_pk == metric_key(connection, metric), *chosen.of_summary()]
        query = (
            select(summary.contest_pk, summary.submitter_pk, func.count(), func.avg(summary.mean))
            .where(*where)
            .group_by(summary.contest_pk, summary.submitter_pk)
        )
        groups: dict[int, list[tuple[int, float]]] = {}
        for contest, _, count, mean in connection.execute(query):
            groups.setdefault(contest, []).append((count, float(mean)))
        # The interval is in no index, so it is asked of these alone; of none, SQLite would read all rows to find none.
        alone = [contest for contest, group in groups.items() if [count for count, _ in group] == [1]]
        own = select(summary.contest_pk, summary.ci95).where(*where, summary.contest_pk.in_(alone))
        intervals = {row.contest_pk: row.ci95 for row in connection.execute(own)} if alone else {}
        names = connection.execute(select(tables.contest).where(c.pk.in_(list(groups)))).mappings().all()
    rows = []
    for row in names:
        means = [mean for _, mean in groups[row["pk"]]]
        results = sum(count for count, _ in groups[row["pk"]])
        mean, _, ci95 = mean_sd_ci95(means)
        ci95 = intervals.get(row["pk"], ci95)
        rows.append(
            {
                **{name: row[name] for name in ("dataset", "supervision", "division", "method")},
                "labels": shown_labels(row["labels"]),
                "results": results,
                "submitters": len(means),
                "mean": mean,
                "ci95": ci95,
                "low": min(means),
                "high": max(means),
            }
        )
    return sorted(
        rows,
        key=lambda row: (
            *(row[name] for name in ("dataset", "supervision", "division", "method")),
            labels_order(row["labels"]),
        ),
    )
