"""Signatures of uploaded results: verified when they come, by a key of the account that uploaded the result.

Only what was verified is kept, so that nothing that is shown as signed was believed. The first signature stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, insert, select

from ie_crowd.formats.ssh import program, signatures
from ie_crowd.formats.ssh.keys import PublicKey
from ie_crowd.result import signature
from ie_crowd.store import audit, database, tables
from ie_crowd.store.proofs import keys

UNSIGNED = "it is not signed by a key of its account"
table = tables.upload_signature


def add(engine: Engine, result_id: str, account: Mapping[str, Any], text: str) -> bool:
    """Verify and keep the signature of a result; whether it is new. Raises ValueError, one line, PermissionError for
    a result of another account, LookupError for none, NoProgramError where nothing can be verified."""
    given = signatures.parse(text)
    row = keys.standing(engine, account, given.key)
    key = PublicKey(row.kind, row.blob, row.fingerprint)
    program.verify(signature.message(result_id), given, key, signature.NAMESPACE)
    result = tables.result.c
    with database.writing(engine) as connection:
        found = connection.execute(
            select(result.pk, result.account_pk, result.state).where(result.id == result_id)
        ).one_or_none()
        if found is None or found.state == tables.WITHDRAWN:
            raise LookupError(f"there is no result {result_id[:12]}…")
        if found.account_pk != account["pk"]:
            raise PermissionError("whoever uploaded a result signs it")
        revoked = select(tables.public_key.c.revoked).where(tables.public_key.c.pk == row.pk)
        if connection.execute(revoked).scalar() is not None:
            raise ValueError(f"the key {key.fingerprint} was removed meanwhile")
        there = connection.execute(select(table.c.key_pk).where(table.c.result_pk == found.pk)).scalar()
        if there is not None:
            if there != row.pk:
                raise ValueError(f"result {result_id[:12]}… is signed by another key of this account already")
            return False
        at = audit.now()
        values = {"result_pk": found.pk, "key_pk": row.pk, "content": given.text, "received": at}
        connection.execute(insert(table).values(values))
        audit.record(connection, at, str(account["name"]), [("upload signed", result_id, key.fingerprint)])
    return True


def of_result(engine: Engine, result_id: str) -> dict[str, Any] | None:
    """The signature of a result: by (the account), fingerprint, public_key (as in a .pub file), signature, received,
    and when the key was ``registered`` and ``removed``; None for one without."""
    key, result = tables.public_key.c, tables.result.c
    query = (
        select(tables.account.c.name, key.fingerprint, key.kind, key.blob, key.created, key.revoked, table.c.content)
        .add_columns(table.c.received)
        .select_from(table)
        .join(tables.public_key, key.pk == table.c.key_pk)
        .join(tables.account, tables.account.c.pk == key.account_pk)
        .join(tables.result, result.pk == table.c.result_pk)
        .where(result.id == result_id)
    )
    with database.reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return {
        "by": row.name,
        "fingerprint": row.fingerprint,
        "public_key": f"{row.kind} {row.blob}",
        "signature": row.content,
        "received": row.received,
        "registered": row.created,
        "removed": row.revoked,
    }
