"""Contests of a store, and their standings: the raw values of published results, ranked by ``ie_crowd.rank``."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Engine, and_, func, select

from ie_crowd import rank
from ie_crowd.challenge import Metric
from ie_crowd.store import database, tables
from ie_crowd.store.tables import ALL_LABELS


class Contest(NamedTuple):
    """One comparable thing; ``labels`` is a number or "all"."""

    challenge: str
    dataset: str
    supervision: str
    labels: int | str
    division: str


def contests(engine: Engine, challenge: str | None = None) -> list[dict[str, Any]]:
    """Contests with published results: the fields of Contest, results, submitters. By data set, labels, division."""
    contest, result = tables.contest.c, tables.result.c
    compared = (contest.challenge, contest.dataset, contest.supervision, contest.labels, contest.division)
    counted = (
        select(result.contest_pk, result.submitter_pk, func.count().label("results"))
        .where(result.state == tables.PUBLISHED)
        .group_by(result.contest_pk, result.submitter_pk)
        .subquery()
    )
    query = select(
        *compared,
        func.sum(counted.c.results).label("results"),
        func.count(func.distinct(counted.c.submitter_pk)).label("submitters"),  # who has several methods counts once
    ).join(counted, counted.c.contest_pk == contest.pk)
    if challenge is not None:
        query = query.where(contest.challenge == challenge)
    with database.reading(engine) as connection:
        rows = connection.execute(query.group_by(*compared).order_by(*compared)).mappings().all()
    return [{**row, "labels": shown_labels(row["labels"]), "results": int(row["results"])} for row in rows]


def shown_labels(labels: int) -> int | str:
    """A number of labels as results and people write it."""
    return "all" if labels == ALL_LABELS else labels


def draws(engine: Engine, contest: Contest, metric: str) -> list[rank.Draw]:
    """Every run of the published results of a contest whose submitter is named."""
    c, result, run, value = tables.contest.c, tables.result.c, tables.run.c, tables.run_value.c
    labels = ALL_LABELS if contest.labels == "all" else int(contest.labels)
    number = select(tables.metric.c.pk).where(tables.metric.c.name == metric).scalar_subquery()
    query = (
        select(
            tables.submitter.c.name,
            c.method,
            tables.machine.c.fingerprint,
            run.seed,
            run.label_seed,
            value.value,
            run.status,
            run.model_sha256,
            result.id,
            result.variant,
        )
        .select_from(tables.result)
        .join(tables.contest, c.pk == result.contest_pk)
        .join(tables.submitter, tables.submitter.c.pk == result.submitter_pk)
        .join(tables.machine, tables.machine.c.pk == result.machine_pk)
        .join(tables.run, run.result_pk == result.pk)
        .outerjoin(
            tables.run_value,
            and_(value.result_pk == run.result_pk, value.number == run.number, value.metric_pk == number),
        )
        .where(
            result.state == tables.PUBLISHED,
            c.challenge == contest.challenge,
            c.dataset == contest.dataset,
            c.supervision == contest.supervision,
            c.labels == labels,
            c.division == contest.division,
        )
    )
    with database.reading(engine) as connection:
        return [
            rank.Draw(*row[:5], value=row.value, model_sha256=row.model_sha256, result=row.id, variant=row.variant)
            for row in connection.execute(query)
            if row.value is not None or row.status == "failed"  # a completed run without this metric says nothing
        ]


def standings(
    engine: Engine, contest: Contest, name: str, metric: Metric, tolerance: float | None = None
) -> list[rank.Entry]:
    """The ranked and unranked entries of a contest by the metric ``name`` (see ``ie_crowd.rank``)."""
    return rank.standings(draws(engine, contest, name), metric, tolerance)
