"""Public SSH keys of accounts, with which they sign what they upload.

An account registers its first key itself. Whoever has stolen a token could do that, too, so every further key needs a
signature by one that the account has, or an operator, even after the first was removed. A removed key stays in the
store with the day, for what was signed before stays signed by it; it does not come back. The same key may be of
several accounts: a public key is public, and who names another's gains nothing without the private half.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from ie_crowd.formats.ssh import keys, program, signatures
from ie_crowd.formats.ssh.keys import PublicKey
from ie_crowd.result import signature
from ie_crowd.store import audit, database, tables

MOST, MOST_EVER = 10, 50  # keys of an account: that stand, and with those that were removed
HOW = f"sign the file: ssh-keygen -Y sign -f OLDKEY -n {signature.KEY_NAMESPACE} NEWKEY.pub"
table = tables.public_key


def add(
    engine: Engine, account_pk: int, actor: str, text: str, proof: str = "", *, operator: bool = False
) -> PublicKey:
    """Register a key for an account; ``text``: a line of a .pub file. Returns it.

    ``proof``: a signature of that file by a key that the account has; needed but for the first key, or where an
    ``operator`` asks. Raises ValueError, one line that repeats nothing of ``text``.
    """
    key = keys.parse(text)
    with database.reading(engine) as connection:
        needed = not operator and _count(connection, account_pk) > 0
    if needed:
        _prove(engine, account_pk, text, proof)
    with database.writing(engine) as connection:
        same = connection.execute(select(table).where(_mine(account_pk, key.fingerprint))).one_or_none()
        if same is not None:
            gone = f"was removed on {same.revoked[:10]}, and does not come back" if same.revoked else "is there already"
            raise ValueError(f"the key {key.fingerprint} {gone}")
        if not needed and not operator and _count(connection, account_pk):
            raise ValueError("another key came meanwhile: reload the page")
        standing = _count(connection, account_pk, table.c.revoked.is_(None))
        if standing >= MOST or _count(connection, account_pk) >= MOST_EVER:
            raise ValueError(f"an account has at most {MOST} keys, and {MOST_EVER} with those that were removed")
        at = audit.now()
        values = {"account_pk": account_pk, "fingerprint": key.fingerprint, "kind": key.kind, "blob": key.blob}
        connection.execute(insert(table).values(created=at, **values))
        audit.record(connection, at, actor, [("account key added", _name(connection, account_pk), key.fingerprint)])
    return key


def remove(engine: Engine, account_pk: int, actor: str, fingerprint: str) -> None:
    """A key signs nothing any more; what it has signed stays. Raises ValueError where it is none that stands."""
    with database.writing(engine) as connection:
        at = audit.now()
        mine = _mine(account_pk, fingerprint) & table.c.revoked.is_(None)
        if not connection.execute(update(table).where(mine).values(revoked=at)).rowcount:
            raise ValueError(f"there is no key {fingerprint[:60]!r} of this account (any more)")
        audit.record(connection, at, actor, [("account key removed", _name(connection, account_pk), fingerprint)])


def of(engine: Engine, account_pk: int) -> list[dict[str, Any]]:
    """The keys of an account, oldest first: fingerprint, kind, blob, created, revoked, and how many results it
    ``signed``."""
    signed = select(func.count()).where(tables.upload_signature.c.key_pk == table.c.pk).scalar_subquery()
    query = select(table, signed.label("signed")).where(table.c.account_pk == account_pk).order_by(table.c.pk)
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def named(engine: Engine, name: str) -> int:
    """The account of that name. Raises ValueError for none."""
    with database.reading(engine) as connection:
        found = connection.execute(select(tables.account.c.pk).where(tables.account.c.name == name)).scalar()
    if found is None:
        raise ValueError(f"there is no account {name[:80]!r}; see: ie-crowd user list")
    return int(found)


def standing(engine: Engine, account: Mapping[str, Any], key: PublicKey) -> Any:
    """The row of a key that an account may sign with. Raises ValueError, one line."""
    with database.reading(engine) as connection:
        row = connection.execute(select(table).where(_mine(account["pk"], key.fingerprint))).one_or_none()
    if row is None:
        raise ValueError(
            f"the key {key.fingerprint} is not one of {account['name']}: add it first, on the page of the account"
        )
    if row.revoked:
        raise ValueError(f"the key {key.fingerprint} was removed on {row.revoked[:10]}")
    return row


def _prove(engine: Engine, account_pk: int, text: str, proof: str) -> None:
    if not proof.strip():
        raise ValueError(
            f"an account that has had a key adds another with a signature by one that it has ({HOW}), or by an operator"
        )
    given = signatures.parse(proof)
    known = [one for one in of(engine, account_pk) if not one["revoked"]]
    if given.key.fingerprint not in [one["fingerprint"] for one in known]:
        raise ValueError(f"the signature is by {given.key.fingerprint}, which is no key of this account")
    program.verify(f"{text.strip()}\n".encode(), given, given.key, signature.KEY_NAMESPACE)


def _mine(account_pk: int, fingerprint: str) -> Any:
    return (table.c.account_pk == account_pk) & (table.c.fingerprint == fingerprint)


def _count(connection: Connection, account_pk: int, *more: Any) -> int:
    query = select(func.count()).select_from(table).where(table.c.account_pk == account_pk, *more)
    return int(connection.execute(query).scalar_one())


def _name(connection: Connection, account_pk: int) -> str:
    return str(connection.execute(select(tables.account.c.name).where(tables.account.c.pk == account_pk)).scalar_one())
