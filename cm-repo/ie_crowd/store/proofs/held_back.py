"""Why the evidence policy gives a result no rank, whatever its level, by the keys of results.

Each key of the policy stands from a moment on; what is from before keeps the rank that it had.
"""

from __future__ import annotations

import json
import zlib

from sqlalchemy import ColumnElement, Connection, exists, select

from ie_crowd.challenge import moments
from ie_crowd.challenge.evidence import Policy
from ie_crowd.challenge.fixed import Fixed
from ie_crowd.challenge.issued import Issued
from ie_crowd.challenge.measured import Made
from ie_crowd.ranking.rank import CHOSEN
from ie_crowd.store import tables
from ie_crowd.store.proofs.signatures import UNSIGNED


def of_contest(
    connection: Connection, which: ColumnElement[bool], task: tuple[str, str], division: str, policy: Policy
) -> dict[int, str]:
    """Of the results of a contest (a condition says which, ``task`` of which data set and supervision): why the policy
    holds them back; those that it does not are left out."""
    found: dict[int, str] = {}
    issued, fixed = policy.issues(task[0], division), policy.fixes(division, *task)
    if policy.signed:
        found |= dict.fromkeys(_unsigned(connection, which, policy.signed), UNSIGNED)
    if issued is not None:
        found |= dict.fromkeys(_chosen(connection, which, issued), CHOSEN)
    if fixed is not None:
        found |= _unfixed(connection, which, fixed)
    if policy.made_under is not None:
        found |= _of_old_rules(connection, which, policy.made_under)
    return found


def _since(
    connection: Connection, which: ColumnElement[bool], since: str, *more: ColumnElement[bool]
) -> list[tuple[int, int | None]]:
    """Key and configuration of the results of a contest that a key of the policy stands for."""
    result = tables.result.c
    query = select(result.pk, result.config_pk, result.received, result.created, result.account_pk)
    query = query.join_from(tables.result, tables.contest).where(which, result.received >= since, *more)
    return [
        (row.pk, row.config_pk)
        for row in connection.execute(query)
        if not moments.before(since, row.received, row.created, row.account_pk is not None)
    ]


def _chosen(connection: Connection, which: ColumnElement[bool], issued: Issued) -> list[int]:
    """Those that chose their draws where they had to be issued."""
    handed_in = exists().where(tables.commitment.c.result_pk == tables.result.c.pk)
    return [key for key, _ in _since(connection, which, issued.since, ~handed_in)]


def _unsigned(connection: Connection, which: ColumnElement[bool], since: str) -> list[int]:
    """Those that whoever uploaded them has not signed."""
    signed = exists().where(tables.upload_signature.c.result_pk == tables.result.c.pk)
    return [key for key, _ in _since(connection, which, since, ~signed)]


def _of_old_rules(connection: Connection, which: ColumnElement[bool], made: Made) -> dict[int, str]:
    """Those that name older rules than a rank asks for."""
    result = tables.result.c
    keys = [key for key, _ in _since(connection, which, made.since, result.rules_version < made.least)]
    if not keys:
        return {}
    rows = connection.execute(
        select(result.pk, result.rules_version).join_from(tables.result, tables.contest).where(which)
    )
    versions = {row.pk: row.rules_version for row in rows}
    return {key: made.why(versions[key]) for key in keys}


def _unfixed(connection: Connection, which: ColumnElement[bool], fixed: Fixed) -> dict[int, str]:
    """Those of other settings than a rank asks for: many results have few configurations, so these are looked at."""
    result, config = tables.result.c, tables.config.c
    used = select(result.config_pk).join_from(tables.result, tables.contest).where(which).distinct()
    kept = connection.execute(select(config.pk, config.content).where(config.pk.in_(used))).all()
    bad = {key: fixed.why(json.loads(content)) for key, content in kept}
    found = {}
    for key, one in _since(connection, which, fixed.since):
        # one that came before configurations were kept is read itself
        found[key] = _read(connection, key, fixed) if one is None else bad[one]
    return {key: why for key, why in found.items() if why}


def _read(connection: Connection, key: int, fixed: Fixed) -> str:
    packed = connection.execute(select(tables.original.c.packed).where(tables.original.c.result_pk == key)).scalar()
    return "" if packed is None else fixed.why(json.loads(zlib.decompress(packed))["config"])
