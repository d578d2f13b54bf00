"""Contests of a store, and their standings: raw values of published results, ranked by ``ie_crowd.ranking.rank``."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Engine, and_, func, or_, select

from ie_crowd.challenge.evidence import DEFAULT, Policy
from ie_crowd.challenge.model import Metric
from ie_crowd.ranking import rank
from ie_crowd.store import database, tables
from ie_crowd.store.proofs import held_back
from ie_crowd.store.tables import ALL_LABELS


class Contest(NamedTuple):
    """One comparable thing; ``labels`` is a number or "all"."""

    challenge: str
    dataset: str
    supervision: str
    labels: int | str
    division: str


def contests(engine: Engine, challenge: str | None = None) -> list[dict[str, Any]]:
    """Contests with published results: the fields of Contest, results, how many of them are ``nameless`` and so in no
    rank, submitters. By data set, labels, division."""
    contest, result = tables.contest.c, tables.result.c
    compared = (contest.challenge, contest.dataset, contest.supervision, contest.labels, contest.division)
    # Two statements that an index each answers, where one would look at every result.
    counted = (
        select(
            *compared,
            func.count().label("results"),
            (func.count() - func.count(result.submitter_pk)).label("nameless"),
        )
        .join(tables.result, result.contest_pk == contest.pk)
        .where(result.state == tables.PUBLISHED)
        .group_by(*compared)
        .order_by(*compared)
    )
    named = (
        select(result.submitter_pk, result.contest_pk)
        .where(result.state == tables.PUBLISHED, result.submitter_pk.is_not(None))
        .distinct()
        .subquery()
    )
    people = (  # who has several methods counts once
        select(*compared, func.count(func.distinct(named.c.submitter_pk)))
        .join(named, named.c.contest_pk == contest.pk)
        .group_by(*compared)
    )
    if challenge is not None:
        counted, people = (query.where(contest.challenge == challenge) for query in (counted, people))
    with database.reading(engine) as connection:
        rows = connection.execute(counted).mappings().all()
        submitters = {tuple(key): count for *key, count in connection.execute(people)}
    found = []
    for row in rows:
        key = tuple(row[column.name] for column in compared)
        found.append({**row, "labels": shown_labels(row["labels"]), "submitters": submitters.get(key, 0)})
    return found


def shown_labels(labels: int) -> int | str:
    """A number of labels as results and people write it."""
    return "all" if labels == ALL_LABELS else labels


def draws(engine: Engine, contest: Contest, metric: str, policy: Policy = DEFAULT) -> list[rank.Draw]:
    """Every run of the published results of a contest whose submitter is named; of a run that the operator's machine
    has verified, the value that it got itself. ``policy``: what the contest asks of evidence."""
    c, result, run, value = tables.contest.c, tables.result.c, tables.run.c, tables.run_value.c
    verified = tables.verified_value.c
    labels = ALL_LABELS if contest.labels == "all" else int(contest.labels)
    which = and_(
        result.state == tables.PUBLISHED,
        c.challenge == contest.challenge,
        c.dataset == contest.dataset,
        c.supervision == contest.supervision,
        c.labels == labels,
        c.division == contest.division,
    )
    # Names and machines once for each result, and then the many runs by its key: half of what one join takes.
    results = (
        select(
            result.pk,
            tables.submitter.c.name,
            c.method,
            tables.machine.c.fingerprint,
            result.id,
            result.variant,
            result.evidence,
        )
        .select_from(tables.result)
        .join(tables.contest, c.pk == result.contest_pk)
        .join(tables.submitter, tables.submitter.c.pk == result.submitter_pk)
        .join(tables.machine, tables.machine.c.pk == result.machine_pk)
        .where(which)
    )
    number = select(tables.metric.c.pk).where(tables.metric.c.name == metric).scalar_subquery()
    runs = (
        select(run.result_pk, run.seed, run.label_seed, func.coalesce(verified.value, value.value), run.model_sha256)
        .select_from(tables.run)
        .join(tables.result, result.pk == run.result_pk)
        .join(tables.contest, c.pk == result.contest_pk)
        .outerjoin(
            tables.run_value,
            and_(value.result_pk == run.result_pk, value.number == run.number, value.metric_pk == number),
        )
        .outerjoin(
            tables.verified_value,
            and_(verified.result_pk == run.result_pk, verified.number == run.number, verified.metric_pk == number),
        )
        .where(
            which,
            result.submitter_pk.is_not(None),
            # a completed run without this metric says nothing
            or_(value.value.is_not(None), run.status == "failed"),
        )
    )
    with database.reading(engine) as connection:
        of = {key: rest for key, *rest in connection.execute(results).all()}
        held = held_back.of_contest(connection, which, (contest.dataset, contest.supervision), contest.division, policy)
        found = []
        for key, seed, label_seed, measured, weights in connection.execute(runs).all():
            name, method, machine, result_id, variant, level = of[key]
            told = name, method, machine, seed, label_seed, measured, weights, result_id, variant, level
            found.append(rank.Draw(*told, held=held.get(key, "")))
    return found


def _alike(engine: Engine) -> list[tuple[str, str]]:
    """Pairs of results whose predictions are not of weights of their own."""
    one, other = tables.result.alias(), tables.result.alias()
    pair = tables.look_alike.c
    query = select(one.c.id, other.c.id).join_from(tables.look_alike, one, one.c.pk == pair.result_pk)
    with database.reading(engine) as connection:
        if connection.execute(select(pair.result_pk).limit(1)).first() is None:
            return []  # where there are none, SQLite would begin the join with all results
        return [tuple(row) for row in connection.execute(query.join(other, other.c.pk == pair.other_pk))]


def _independent(engine: Engine) -> set[tuple[str, str]]:
    """The names of all submitters whom a reviewer called independent of each other, in both orders."""
    one, two, said = tables.submitter.alias(), tables.submitter.alias(), tables.independence.c
    query = select(one.c.name, two.c.name).select_from(tables.independence)
    query = query.join(one, one.c.pk == said.one_pk).join(two, two.c.pk == said.other_pk)
    with database.reading(engine) as connection:
        found = [(left, right) for left, right in connection.execute(query)]
    return {*found, *((right, left) for left, right in found)}


def standings(
    engine: Engine, contest: Contest, name: str, metric: Metric, policy: Policy = DEFAULT
) -> list[rank.Entry]:
    """The ranked and unranked entries of a contest by the metric ``name`` (see ``ie_crowd.ranking.rank``).

    ``policy``: what the challenge's rules ask of evidence.
    """
    margins = policy.margins(contest.dataset, contest.supervision, contest.labels, name)
    asked = policy.asked(contest.division)
    words = _independent(engine) if policy.reviewed else None
    return rank.standings(draws(engine, contest, name, policy), metric, margins, asked, _alike(engine), words)
