"""Queues of people: an account's own uploads, and what waits for a reviewer (results, comments, objections, counts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Select, func, select

from ie_crowd.store import database, tables
from ie_crowd.store.filters import rows_of
from ie_crowd.store.people import accounts, moderation
from ie_crowd.store.people import comments as store_comments
from ie_crowd.store.query import Page, check_page


def uploads(engine: Engine, account: Mapping[str, Any], *, page: int = 1, size: int = 20) -> Page:
    """What an account uploaded, newest first, in any state: the columns of a list's row, and ``reasons``.

    What it withdrew itself is not among it any more; what was refused is.
    """
    accounts.need(account, "contributor")
    mine = tables.result.c.account_pk == account["pk"]
    return _page(engine, mine, tables.result.c.pk.desc(), page, size)


def waiting(engine: Engine, account: Mapping[str, Any], state: str, *, page: int = 1, size: int = 20) -> Page:
    """The results in a state, oldest first, with ``reasons``, ``uploaded_by``. For reviewers."""
    accounts.need(account, "reviewer")
    if state not in tables.STATES:
        raise ValueError(f"there is no state {state[:40]!r}; expected {', '.join(tables.STATES)}")
    return _page(engine, tables.result.c.state == state, tables.result.c.pk, page, size)


def comments(engine: Engine, account: Mapping[str, Any], *, page: int = 1, size: int = 20) -> Page:
    """The comments that wait, on anything, oldest first: rows as ``comments.listed``. For reviewers."""
    accounts.need(account, "reviewer")
    return _listed(engine, store_comments.listed().where(tables.comment.c.state == "pending"), page, size)


def objections(engine: Engine, account: Mapping[str, Any], *, page: int = 1, size: int = 20) -> Page:
    """The objections that are open, oldest first: rows as ``moderation.listed``. For reviewers."""
    accounts.need(account, "reviewer")
    return _listed(engine, moderation.listed().where(tables.objection.c.state == "open"), page, size)


def counts(engine: Engine, account: Mapping[str, Any]) -> dict[str, int]:
    """How much waits for a reviewer: results (valid), quarantined, comments, objections, reports."""
    accounts.need(account, "reviewer")
    result, comment, objection, report = tables.result, tables.comment, tables.objection, tables.report
    asked = {
        "valid": (result, result.c.state == tables.VALID),
        "quarantined": (result, result.c.state == tables.QUARANTINED),
        "comments": (comment, comment.c.state == "pending"),
        "objections": (objection, objection.c.state == "open"),
        "reports": (report, report.c.state == "open"),
    }
    with database.reading(engine) as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
            for name, (table, condition) in asked.items()
        }


def _listed(engine: Engine, query: Select[Any], page: int, size: int) -> Page:
    check_page(page, size)
    with database.reading(engine) as connection:
        total = connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()
        rows = connection.execute(query.limit(size).offset((page - 1) * size)).mappings()
        return Page([dict(row) for row in rows], total)


def _page(engine: Engine, condition: Any, order: Any, page: int, size: int) -> Page:
    check_page(page, size)
    result, reason = tables.result.c, tables.reason.c
    with database.reading(engine) as connection:
        total = connection.execute(select(func.count()).select_from(tables.result).where(condition)).scalar_one()
        keys = select(result.pk).where(condition).order_by(order).limit(size).offset((page - 1) * size)
        found: Sequence[int] = [row[0] for row in connection.execute(keys)]
        rows = rows_of(connection, found, ())
        query = select(result.id, reason.name, reason.evidence, reason.detail).join(
            tables.result, result.pk == reason.result_pk
        )
        reasons: dict[str, list[dict[str, Any]]] = {}
        for one in connection.execute(query.where(result.pk.in_(found)).order_by(reason.pk)).mappings():
            reasons.setdefault(one["id"], []).append({name: one[name] for name in ("name", "evidence", "detail")})
        names = select(result.id, tables.account.c.name).join(tables.account, tables.account.c.pk == result.account_pk)
        by = {row[0]: row[1] for row in connection.execute(names.where(result.pk.in_(found)))}
    rows = [{**row, "reasons": reasons.get(row["id"], []), "uploaded_by": by.get(row["id"])} for row in rows]
    return Page(rows, total)
