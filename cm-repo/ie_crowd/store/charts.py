"""The numbers behind charts: points of any two axes, and a metric against the number of labels."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, select

from ie_crowd.aggregate import mean_sd_ci95
from ie_crowd.store import database, tables
from ie_crowd.store.chosen import Chosen, Filter, labels_order, metric_key, rows_of
from ie_crowd.store.standings import shown_labels

MOST_POINTS = 5000
AXES = ("labels", "created", "published", "wall_seconds", "cores", "memory_bytes", "completed")


def points(engine: Engine, asked: Filter, x: str, y: str, *, most: int = 1000) -> dict[str, Any]:
    """The points of a chart of two axes, each a metric or one of AXES: {points, total, thinned}.

    A point: id, submitter, labels, division, x, y, and x_ci95, y_ci95 for metrics. Of more than ``most`` results every
    n-th is taken, always the same ones, and ``thinned`` says so. Raises ValueError for an unknown axis.
    """
    most = min(max(most, 1), MOST_POINTS)
    with database.reading(engine) as connection:
        axes = [None if axis in AXES else metric_key(connection, axis) for axis in (x, y)]
        chosen = Chosen(connection, asked, tables.PUBLISHED)
        first = next((axis for axis in axes if axis is not None), None)
        keys, count = chosen.sorted_by(None, False) if first is None else chosen.by_metric(first, None)
        total = connection.execute(count).scalar_one()
        step = -(-total // most) or 1
        key = keys.selected_columns[0]
        picked = [row[0] for row in connection.execute(keys.where(key % step == 0).limit(2 * most))][:most]
        rows = rows_of(connection, picked, [axis for axis in (x, y) if axis not in AXES])
    found = []
    for row in rows:
        point = {name: row[name] for name in ("id", "submitter", "labels", "division")}
        for name, axis in (("x", x), ("y", y)):
            if axis in AXES:
                point |= {name: row[axis], f"{name}_ci95": None}
            elif axis in row["metrics"]:
                point |= {name: row["metrics"][axis]["mean"], f"{name}_ci95": row["metrics"][axis]["ci95"]}
        if "x" in point and "y" in point:
            found.append(point)
    return {"points": found, "total": total, "thinned": step > 1}


def by_labels(engine: Engine, asked: Filter, metric: str) -> list[dict[str, Any]]:
    """A metric against the number of labels, for a chart with intervals: one row for each contest that is asked for.

    Row: dataset, supervision, labels, division, results, submitters, mean, ci95, low, high. Every submitter counts
    once: ``mean`` and ``ci95`` are of the submitters' own means (ci95 None for one), ``low`` and ``high`` the least
    and the largest of them.
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
        for contest, submitter, count, mean in connection.execute(query):
            if submitter is not None:
                groups.setdefault(contest, []).append((count, float(mean)))
        names = connection.execute(select(tables.contest).where(c.pk.in_(list(groups)))).mappings().all()
    rows = []
    for row in names:
        means = [mean for _, mean in groups[row["pk"]]]
        mean, _, ci95 = mean_sd_ci95(means)
        rows.append(
            {
                **{name: row[name] for name in ("dataset", "supervision", "division")},
                "labels": shown_labels(row["labels"]),
                "results": sum(count for count, _ in groups[row["pk"]]),
                "submitters": len(means),
                "mean": mean,
                "ci95": ci95,
                "low": min(means),
                "high": max(means),
            }
        )
    return sorted(
        rows, key=lambda row: (row["dataset"], row["supervision"], row["division"], labels_order(row["labels"]))
    )
