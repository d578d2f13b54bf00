"""Which results are asked for, as conditions that an index answers, and what a list shows of those that were found."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true

from ie_crowd.store import tables
from ie_crowd.store.standings import shown_labels
from ie_crowd.store.tables import ALL_LABELS

MOST_WORDS = 8  # of a search
LEAST_OF_ID = 4  # characters that an id is found by
MOST_ROWS = 500  # of one page, and of one list of keys


class Filter(NamedTuple):
    """What results are asked for; None is any. ``labels`` is a number or "all", ``accelerator`` "" is a CPU, and
    ``method`` is "" in a challenge whose rules tell no methods apart. ``text``: words, each of which is somewhere in
    task, method, submitter or machine, or begins the id."""

    challenge: str | None = None
    dataset: str | None = None
    supervision: str | None = None
    labels: int | str | None = None
    division: str | None = None
    submitter: str | None = None
    cpu_model: str | None = None
    accelerator: str | None = None
    method: str | None = None
    text: str | None = None


ANY = Filter()


class Chosen:
    """The conditions of a filter, with names of tasks, people and machines turned into keys first.

    The small tables answer that at once; what is left are conditions on indexed columns of one table.
    """

    def __init__(self, connection: Connection, asked: Filter, state: str) -> None:
        result, c, machine = tables.result.c, tables.contest.c, tables.machine.c
        labels = None if asked.labels is None else ALL_LABELS if asked.labels == "all" else _number(asked.labels)
        task = _equal(
            (c.challenge, asked.challenge),
            (c.dataset, asked.dataset),
            (c.supervision, asked.supervision),
            (c.labels, labels),
            (c.division, asked.division),
            (c.method, asked.method),
        )
        hardware = _equal((machine.cpu_model, asked.cpu_model), (machine.accelerator, asked.accelerator))
        self.contests = _keys(connection, c.pk, task)
        self.machines = _keys(connection, machine.pk, hardware)
        self.submitters = _keys(connection, tables.submitter.c.pk, _equal((tables.submitter.c.name, asked.submitter)))
        self.where: list[ColumnElement[bool]] = [result.state == state]
        for column, keys in (
            (result.contest_pk, self.contests),
            (result.machine_pk, self.machines),
            (result.submitter_pk, self.submitters),
        ):
            if keys is not None:
                self.where.append(column.in_(keys))
        self.words = [_Word(connection, word) for word in (asked.text or "").split()[:MOST_WORDS]]
        columns = (result.contest_pk, result.machine_pk, result.submitter_pk, result.pk)
        self.where += [word.matches(*columns) for word in self.words]

    def sorted_by(self, sort: str | None, descending: bool) -> tuple[Select[Any], Select[Any]]:
        """The keys in that order (None: in any), and their number."""
        result = tables.result.c
        keys, count = select(result.pk).where(*self.where), select(func.count()).select_from(tables.result)
        if sort == "submitter":
            column: Any = tables.submitter.c.name
            keys = keys.join(tables.submitter, tables.submitter.c.pk == result.submitter_pk)
            self.where.append(result.submitter_pk.is_not(None))
        elif sort == "labels":
            column = tables.contest.c.labels
            keys = keys.join(tables.contest, tables.contest.c.pk == result.contest_pk)
        elif sort is not None:
            column = result[sort]
        if sort is not None:
            keys = keys.order_by(*(each.desc() if descending else each for each in (column, result.pk)))
        return keys, count.where(*self.where)

    def by_metric(self, metric: int, descending: bool | None) -> tuple[Select[Any], Select[Any]]:
        """The keys of results that have a metric, by its mean (None: in any order), and their number."""
        summary = tables.summary.c
        where = [summary.metric_pk == metric, *self.of_summary()]
        keys, count = select(summary.result_pk).where(*where), select(func.count()).select_from(tables.summary)
        if descending is not None:
            keys = keys.order_by(*(each.desc() if descending else each for each in (summary.mean, summary.result_pk)))
        return keys, count.where(*where)

    def of_summary(self) -> list[ColumnElement[bool]]:
        """The same conditions on ``summary``, which holds published results only."""
        summary = tables.summary.c
        asked = (
            (summary.contest_pk, self.contests),
            (summary.submitter_pk, self.submitters),
            (summary.machine_pk, self.machines),
        )
        columns = (summary.contest_pk, summary.machine_pk, summary.submitter_pk, summary.result_pk)
        words = [word.matches(*columns) for word in self.words]
        return [column.in_(keys) for column, keys in asked if keys is not None] + words


class _Word:
    """The keys of tasks, machines and people that a word is part of, in any case, and of results whose id begins so."""

    def __init__(self, connection: Connection, word: str) -> None:
        result, c, machine, submitter = (
            one.c for one in (tables.result, tables.contest, tables.machine, tables.submitter)
        )

        def holds(*columns: Any) -> ColumnElement[bool]:
            return or_(*(column.icontains(word, autoescape=True) for column in columns))

        self.keys = [
            _keys(connection, c.pk, holds(c.dataset, c.supervision, c.division, c.method)),
            _keys(connection, machine.pk, holds(machine.cpu_model, machine.accelerator)),
            _keys(connection, submitter.pk, holds(submitter.name)),
            [],
        ]
        if len(word) >= LEAST_OF_ID:
            beginning = select(result.pk).where(result.id.startswith(word.lower(), autoescape=True)).limit(MOST_ROWS)
            self.keys[-1] = [row[0] for row in connection.execute(beginning)]

    def matches(self, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition on columns with the keys of task, machine, submitter and result."""
        return or_(*(column.in_(keys or []) for column, keys in zip(columns, self.keys, strict=True)))


def _equal(*pairs: tuple[Any, Any]) -> ColumnElement[bool] | None:
    """All columns equal what is asked, None where nothing is."""
    conditions = [column == value for column, value in pairs if value is not None]
    return and_(true(), *conditions) if conditions else None


def _keys(connection: Connection, key: Any, condition: ColumnElement[bool] | None) -> list[int] | None:
    return None if condition is None else [row[0] for row in connection.execute(select(key).where(condition))]


def _number(labels: int | str) -> int:
    """A number of labels; one that no task has for what is none."""
    text = str(labels)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else -2


def metric_key(connection: Connection, name: str) -> int:
    """The key of a metric; ValueError for a name that no result has."""
    key = connection.execute(select(tables.metric.c.pk).where(tables.metric.c.name == name)).scalar()
    if key is None:
        raise ValueError(f"there is no metric, axis or order {name[:64]!r}")
    return int(key)


def labels_order(labels: int | str) -> int:
    """Numbers of labels in their order, all of them last."""
    return 10**15 if labels == "all" else int(labels)


def rows_of(connection: Connection, keys: Sequence[int], metrics: Sequence[str] | None) -> list[dict[str, Any]]:
    """What a list shows of the results with these keys, in their order; ``metrics=None`` is all."""
    result, summary = tables.result.c, tables.summary.c
    found: dict[int, dict[str, Any]] = {}
    query = _listed()
    for start in range(0, len(keys), MOST_ROWS):
        part = list(keys[start : start + MOST_ROWS])
        for row in connection.execute(query.where(result.pk.in_(part))).mappings():
            found[row["pk"]] = {**row, "labels": shown_labels(row["labels"]), "metrics": {}}
        wanted = _wanted(connection, metrics)
        if not wanted:
            continue
        numbers = select(summary.result_pk, summary.metric_pk, summary.mean, summary.sd, summary.n, summary.ci95)
        numbers = numbers.where(summary.result_pk.in_(part), summary.metric_pk.in_(list(wanted)))
        for key, metric, mean, sd, n, ci95 in connection.execute(numbers):
            found[key]["metrics"][wanted[metric]] = {"mean": mean, "sd": sd, "n": n, "ci95": ci95}
    return [{name: value for name, value in found[key].items() if name != "pk"} for key in keys if key in found]


@functools.cache
def _listed() -> Select[Any]:
    """The columns of a list of all results. Made once: to make it takes longer than to answer it for one result."""
    result = tables.result.c
    return (
        select(result.pk, *(column.label(name) for name, column in tables.LISTED.items()))
        .select_from(tables.result)
        .join(tables.contest, tables.contest.c.pk == result.contest_pk)
        .outerjoin(tables.submitter, tables.submitter.c.pk == result.submitter_pk)
        .outerjoin(tables.machine, tables.machine.c.pk == result.machine_pk)
    )


def _wanted(connection: Connection, metrics: Sequence[str] | None) -> Mapping[int, str]:
    query = select(tables.metric.c.pk, tables.metric.c.name).order_by(tables.metric.c.name)
    if metrics is not None:
        query = query.where(tables.metric.c.name.in_(list(metrics[:64])))
    return {row.pk: row.name for row in connection.execute(query)}
