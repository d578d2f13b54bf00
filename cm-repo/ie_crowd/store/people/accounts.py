"""People of a store: accounts that the operator makes, tokens, sessions, and what each role may do.

Log-in is by token only. A token is 256 random bits, so its plain SHA-256 is as good in a database as a slow hash of a
password would be, and there is no password to guess, to reuse or to lose. It is shown once. The only personal data is
the name that somebody chose.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ie_crowd.formats import usernames
from ie_crowd.store import audit, database, tables

PROGRAM = "operator"  # what the log calls whoever uses the command line; no account has this name
PREFIX = "iecrowd_"  # lets scanners of leaked secrets know a token by its look
SESSION_HOURS = 12
TOKEN_DAYS = 365
Show = Callable[[str], None]
RANK = {role: number for number, role in enumerate(tables.ROLES)}


def add(
    engine: Engine,
    name: str,
    role: str = "contributor",
    *,
    actor: str = PROGRAM,
    by: Mapping[str, Any] | None = None,
    show: Show = lambda token: None,
) -> str:
    """Make an account; returns its first token, which nothing can show again.

    ``show``, here and below, is given the token before the store keeps it: if it raises, nothing was done.

    ``by``, here and below: the operator's account that asks; None where the command line does, for ``actor``.
    Raises ValueError for a name that is taken, looks like one that is taken, or is none, and for an unknown role.
    """
    odd = usernames.problem(name)
    if odd:
        raise ValueError(f"the name {name[:80]!r} {odd}")
    if role not in tables.ROLES:
        raise ValueError(f"there is no role {role[:40]!r}; expected {', '.join(tables.ROLES)}")
    at, skeleton = audit.now(), usernames.skeleton(name)
    if skeleton == usernames.skeleton(PROGRAM):
        raise ValueError(f"the name {name!r} is taken: the log calls this program so")
    with database.writing(engine) as connection:
        actor = _acting(connection, by, actor)
        like = connection.execute(
            select(tables.account.c.name).where(tables.account.c.skeleton == skeleton)
        ).scalar_one_or_none()
        if like is not None:
            raise ValueError(
                f"the name {name!r} is taken" if like == name else f"the name {name!r} looks like {like!r}"
            )
        row = {"name": name, "skeleton": skeleton, "role": role, "created": at}
        key = connection.execute(insert(tables.account).returning(tables.account.c.pk), row).scalar_one()
        audit.record(connection, at, actor, [("account added", name, role)])
        token = _new_token(connection, key, at, TOKEN_DAYS)
        show(token)
        return token


def new_token(
    engine: Engine,
    name: str,
    *,
    days: int | None = TOKEN_DAYS,
    actor: str = PROGRAM,
    by: Mapping[str, Any] | None = None,
    show: Show = lambda token: None,
) -> str:
    """Another token for an account; the old ones keep working until they are revoked. ``days=None``: for ever."""
    with database.writing(engine) as connection:
        actor = _acting(connection, by, actor)
        account, at = _named(connection, name), audit.now()
        if account["disabled"]:
            raise ValueError(f"the account {name!r} is disabled; enable it first")
        audit.record(connection, at, actor, [("token made", name, "")])
        token = _new_token(connection, account["pk"], at, days)
        show(token)
        return token


def renew(engine: Engine, account: Mapping[str, Any], secret: str) -> str:
    """A new token for one's own account; every older one ends, and every session but that of ``secret``."""
    with database.writing(engine) as connection:
        need_now(connection, account, "contributor")
        at, session, token = audit.now(), tables.session.c, tables.token.c
        others = (session.account_pk == account["pk"]) & (session.sha256 != _hash(secret))
        connection.execute(delete(tables.session).where(others))
        old = (token.account_pk == account["pk"]) & token.revoked.is_(None)
        connection.execute(update(tables.token).where(old).values(revoked=at))
        audit.record(connection, at, account["name"], [("token renewed", account["name"], "")])
        return _new_token(connection, account["pk"], at, TOKEN_DAYS)


def revoke(engine: Engine, name: str, *, actor: str = PROGRAM, by: Mapping[str, Any] | None = None) -> int:
    """End every token and session of an account; returns how many tokens that were."""
    with database.writing(engine) as connection:
        actor = _acting(connection, by, actor)
        account, at = _named(connection, name), audit.now()
        return _end(connection, account, at, actor)


def disable(engine: Engine, name: str, *, actor: str = PROGRAM, by: Mapping[str, Any] | None = None) -> None:
    """The account may do nothing any more; its tokens and sessions end, its contributions stay."""
    with database.writing(engine) as connection:
        actor = _acting(connection, by, actor, not_on=name)
        account, at = _named(connection, name), audit.now()
        connection.execute(update(tables.account).where(tables.account.c.pk == account["pk"]).values(disabled=at))
        audit.record(connection, at, actor, [("account disabled", name, "")])
        _end(connection, account, at, actor)


def enable(engine: Engine, name: str, *, actor: str = PROGRAM, by: Mapping[str, Any] | None = None) -> None:
    """The account may be used again, with a new token."""
    with database.writing(engine) as connection:
        actor = _acting(connection, by, actor)
        account = _named(connection, name)
        connection.execute(update(tables.account).where(tables.account.c.pk == account["pk"]).values(disabled=None))
        audit.record(connection, audit.now(), actor, [("account enabled", name, "")])


def set_role(
    engine: Engine, name: str, role: str, *, actor: str = PROGRAM, by: Mapping[str, Any] | None = None
) -> None:
    """Give an account another role."""
    if role not in tables.ROLES:
        raise ValueError(f"there is no role {role[:40]!r}; expected {', '.join(tables.ROLES)}")
    with database.writing(engine) as connection:
        actor = _acting(connection, by, actor, not_on=name)
        account = _named(connection, name)
        connection.execute(update(tables.account).where(tables.account.c.pk == account["pk"]).values(role=role))
        audit.record(connection, audit.now(), actor, [("role changed", name, role)])


def accounts(engine: Engine) -> list[dict[str, Any]]:
    """Every account by name: pk, name, role, created, disabled, tokens (that still work)."""
    account, token = tables.account.c, tables.token.c
    at = audit.now()
    with database.reading(engine) as connection:
        alive = [
            row.account_pk
            for row in connection.execute(select(token.account_pk, token.expires).where(token.revoked.is_(None)))
            if row.expires is None or row.expires > at
        ]
        query = select(account.pk, account.name, account.role, account.created, account.disabled)
        rows = connection.execute(query.order_by(account.name)).mappings()
        return [{**row, "tokens": alive.count(row["pk"])} for row in rows]


def by_token(engine: Engine, given: str) -> dict[str, Any] | None:
    """The account (pk, name, role, token_pk) whose token this is; None for anything else."""
    found = _lookup(engine, tables.token, given)
    if found is None or found["revoked"] or (found["expires"] and found["expires"] <= audit.now()):
        return None
    return {"pk": found["account_pk"], "name": found["name"], "role": found["role"], "token_pk": found["pk"]}


def log_in(engine: Engine, given: str) -> tuple[str, dict[str, Any]] | None:
    """A new session for a token: (secret for the cookie, account); None if the token is not good.

    Whoever calls this throttles it. The session ends after twelve hours, or when the account's tokens are revoked.
    """
    account = by_token(engine, given)
    if account is None:
        return None
    secret = secrets.token_urlsafe(32)
    at = audit.now()
    with database.writing(engine) as connection:
        connection.execute(delete(tables.session).where(tables.session.c.expires <= at))
        row = {
            "account_pk": account["pk"],
            "token_pk": account["token_pk"],
            "sha256": _hash(secret),
            "created": at,
            "expires": _later(hours=SESSION_HOURS),
        }
        connection.execute(insert(tables.session), row)
    return secret, account


def by_session(engine: Engine, secret: str) -> dict[str, Any] | None:
    """The account (pk, name, role) of a session that has not ended; None for anything else."""
    found = _lookup(engine, tables.session, secret)
    if found is None or found["expires"] <= audit.now():
        return None
    return {"pk": found["account_pk"], "name": found["name"], "role": found["role"]}


def log_out(engine: Engine, secret: str) -> None:
    """End a session."""
    with database.writing(engine) as connection:
        connection.execute(delete(tables.session).where(tables.session.c.sha256 == _hash(secret)))


def has_role(account: Mapping[str, Any] | None, role: str) -> bool:
    """Whether the account's role is that one or a higher one; nobody has none."""
    return account is not None and RANK[account["role"]] >= RANK[role]


def need(account: Mapping[str, Any] | None, role: str) -> None:
    """Raise PermissionError unless the account's role is that one or a higher one."""
    if account is None:
        raise PermissionError("log in first")
    if not has_role(account, role):
        raise PermissionError(f"this needs the role {role}; {account['name']} is {account['role']}")


def need_now(connection: Connection, account: Mapping[str, Any], role: str) -> dict[str, Any]:
    """The account as it is inside this transaction. Raises PermissionError unless it may still act in that role.

    What somebody was when their request came is no longer true once another operator was faster.
    """
    table = tables.account.c
    query = select(table.pk, table.name, table.role, table.disabled).where(table.pk == account["pk"])
    row = connection.execute(query).mappings().one_or_none()
    if row is None or row["disabled"]:
        raise PermissionError(f"the account {account['name']} is disabled")
    need(dict(row), role)
    return dict(row)


def _acting(
    connection: Connection, by: Mapping[str, Any] | None, actor: str = PROGRAM, not_on: str | None = None
) -> str:
    """Whom the log names; an account must be an operator's, and leaves one never without an operator by a slip."""
    if by is None:
        return actor
    need_now(connection, by, "operator")
    if by["name"] == not_on:
        raise PermissionError("another operator changes the role of your own account, or disables it")
    return str(by["name"])


def _lookup(engine: Engine, table: Any, given: str) -> dict[str, Any] | None:
    """The row of a secret with its account. Looked up by hash, then compared in constant time."""
    if not 20 <= len(given) <= 200 or not given.isascii():
        return None
    wanted = _hash(given)
    query = (
        select(table, tables.account.c.name, tables.account.c.role)
        .join(tables.account, tables.account.c.pk == table.c.account_pk)
        .where(table.c.sha256 == wanted, tables.account.c.disabled.is_(None))
    )
    with database.reading(engine) as connection:
        row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row is not None and hmac.compare_digest(row["sha256"], wanted) else None


def _named(connection: Connection, name: str) -> dict[str, Any]:
    row = connection.execute(select(tables.account).where(tables.account.c.name == name)).mappings().one_or_none()
    if row is None:
        raise ValueError(f"there is no account {name[:80]!r}; see: ie-crowd user list")
    return dict(row)


def _new_token(connection: Connection, account_pk: int, at: str, days: int | None) -> str:
    given = PREFIX + secrets.token_urlsafe(32)
    expires = None if days is None else _later(hours=24 * days)
    row = {"account_pk": account_pk, "sha256": _hash(given), "created": at, "expires": expires}
    connection.execute(insert(tables.token), row)
    return given


def _end(connection: Connection, account: Mapping[str, Any], at: str, actor: str) -> int:
    connection.execute(delete(tables.session).where(tables.session.c.account_pk == account["pk"]))
    done = connection.execute(
        update(tables.token)
        .where(tables.token.c.account_pk == account["pk"], tables.token.c.revoked.is_(None))
        .values(revoked=at)
    )
    audit.record(connection, at, actor, [("tokens revoked", account["name"], str(done.rowcount))])
    return done.rowcount


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _later(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
