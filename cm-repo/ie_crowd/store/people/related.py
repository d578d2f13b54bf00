"""What is related to a challenge's paper: data sets, code, earlier and later work, in an order that operators choose.

What the challenge's folder says is shown until an operator changes something on the site; from then on the store's own
list counts, which begins with it. Whether that was so is in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ie_crowd.challenge.paper_pages import Linked, wrong_link
from ie_crowd.store import audit, database
from ie_crowd.store.people import accounts
from ie_crowd.store.people.moderation import WrongState, _text
from ie_crowd.store.tables import audit as log
from ie_crowd.store.tables import related as table

MOST = 60  # entries of one challenge
MOVES = {"up": -1, "down": 1}


class Entry(NamedTuple):
    """One entry: ``number`` names it in changes, together with the address that it had when somebody looked."""

    number: int
    kind: str
    title: str
    url: str
    note: str


def entries(engine: Engine, challenge: str, start: Sequence[Linked]) -> list[Entry]:
    """The entries in their order; ``start``: what the challenge's folder says."""
    with database.reading(engine) as connection:
        return _entries(connection, challenge, start)


def add(
    engine: Engine, challenge: str, start: Sequence[Linked], account: Mapping[str, Any], fields: Mapping[str, str]
) -> None:
    """Add an entry at the end: ``fields`` kind, title, url, note. For operators.

    Raises ValueError for what cannot be kept (see ``wrong_link``), an address that is there already, or one entry too
    many.
    """
    new = _checked(fields)
    with database.writing(engine) as connection:
        _begin(connection, challenge, start, account)
        there = _entries(connection, challenge, start)
        if len(there) >= MOST:
            raise ValueError(f"there are {MOST} entries, which is the most; remove one first")
        if any(one.url == new["url"] for one in there):
            raise ValueError("this address is there already")
        values = {"challenge": challenge, "position": _last(connection, challenge) + 1, **new}
        connection.execute(insert(table), values)
        _record(connection, challenge, account, "added", new["title"], new["url"])


def change(
    engine: Engine,
    challenge: str,
    start: Sequence[Linked],
    account: Mapping[str, Any],
    number: int,
    was: str,
    fields: Mapping[str, str],
) -> None:
    """Put other fields in the place of an entry's; ``was``: its address as it was shown. For operators.

    Raises WrongState where the entry is another one by now, or none.
    """
    new = _checked(fields)
    with database.writing(engine) as connection:
        key = _the(connection, challenge, start, account, number, was)
        if any(one.url == new["url"] and one.number != key for one in _entries(connection, challenge, start)):
            raise ValueError("this address is there already")
        connection.execute(update(table).where(table.c.pk == key).values(new))
        _record(connection, challenge, account, "changed", new["title"], f"{was} now {new['url']}")


def move(
    engine: Engine, challenge: str, start: Sequence[Linked], account: Mapping[str, Any], number: int, was: str, way: str
) -> None:
    """Move an entry one place "up" or "down"; the first stays first. For operators."""
    with database.writing(engine) as connection:
        key = _the(connection, challenge, start, account, number, was)
        there = _entries(connection, challenge, start)
        place = next(index for index, one in enumerate(there) if one.number == key)
        to = min(max(place + MOVES[way], 0), len(there) - 1)
        there.insert(to, there.pop(place))
        for position, one in enumerate(there):
            connection.execute(update(table).where(table.c.pk == one.number).values(position=position))
        _record(connection, challenge, account, "moved", there[to].title, f"{way}: {was}")


def remove(
    engine: Engine, challenge: str, start: Sequence[Linked], account: Mapping[str, Any], number: int, was: str
) -> None:
    """Take an entry away. For operators."""
    with database.writing(engine) as connection:
        key = _the(connection, challenge, start, account, number, was)
        title = connection.execute(select(table.c.title).where(table.c.pk == key)).scalar_one()
        connection.execute(delete(table).where(table.c.pk == key))
        _record(connection, challenge, account, "removed", title, was)


def _checked(fields: Mapping[str, str]) -> dict[str, str]:
    found = wrong_link(**fields)
    if found:
        raise ValueError("; ".join(f"{name}: {says}" for name, says in found.items()))
    return {
        "kind": fields["kind"],
        "title": _text(fields["title"], "a title"),
        "url": fields["url"].strip(),
        "note": _text(fields["note"], "a note", optional=True),
    }


def subject(challenge: str) -> str:
    """What the lines in the log are about."""
    return f"related {challenge}"


def _begun(connection: Connection, challenge: str) -> bool:
    line = select(log.c.pk).where(log.c.subject == subject(challenge)).limit(1)
    return connection.execute(line).first() is not None


def _entries(connection: Connection, challenge: str, start: Sequence[Linked]) -> list[Entry]:
    if not _begun(connection, challenge):
        return [Entry(index, one.kind, one.text, one.url, one.note) for index, one in enumerate(start, 1)]
    query = select(table.c.pk, table.c.kind, table.c.title, table.c.url, table.c.note)
    query = query.where(table.c.challenge == challenge).order_by(table.c.position, table.c.pk)
    return [Entry(*row) for row in connection.execute(query)]


def _begin(
    connection: Connection, challenge: str, start: Sequence[Linked], account: Mapping[str, Any]
) -> Mapping[int, int]:
    """Check who asks; before the first change of all, keep what the folder says: the keys by what numbers they had."""
    accounts.need_now(connection, account, "operator")
    if _begun(connection, challenge):
        return {}
    keys = {}
    for number, one in enumerate(start, 1):
        values = {"challenge": challenge, "position": number, **_fields(one)}
        keys[number] = connection.execute(insert(table).returning(table.c.pk), values).scalar_one()
    _record(connection, challenge, account, "begun", f"{len(keys)} entries of the challenge's folder", "")
    return keys


def _the(
    connection: Connection,
    challenge: str,
    start: Sequence[Linked],
    account: Mapping[str, Any],
    number: int,
    was: str,
) -> int:
    """The key of the entry that somebody saw under that number and address."""
    key = _begin(connection, challenge, start, account).get(number, number)
    same = (table.c.pk == key) & (table.c.challenge == challenge) & (table.c.url == was)
    if connection.execute(select(table.c.pk).where(same)).scalar() is None:
        raise WrongState("this entry was changed or removed meanwhile")
    return key


def _fields(one: Linked) -> dict[str, str]:
    return {"kind": one.kind, "title": one.text, "url": one.url, "note": one.note}


def _last(connection: Connection, challenge: str) -> int:
    query = select(table.c.position).where(table.c.challenge == challenge).order_by(table.c.position.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def _record(
    connection: Connection, challenge: str, account: Mapping[str, Any], what: str, title: str, detail: str
) -> None:
    told = f"{title} ({detail})" if detail else title
    audit.record(connection, audit.now(), str(account["name"]), [(f"related {what}", subject(challenge), told)])
