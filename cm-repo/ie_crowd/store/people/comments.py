"""Comments, and the checklist items that reviewers sign.

A comment is plain text of some length, kept as it was written and shown escaped; it waits until a reviewer lets it
through. A signature says who, not a program, judged an item.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from ie_crowd.store import audit, database, tables
from ie_crowd.store.people import accounts, undoable
from ie_crowd.store.people.moderation import WrongState, _result, _text

LONGEST_COMMENT = 4000
MOST_LINES = 100
MOST_PENDING = 10  # comments of one account
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """A comment as it is kept: lines of printable characters. Raises ValueError for one that is empty or too long."""
    if len(text) > 2 * LONGEST_COMMENT:
        raise ValueError(f"a comment of {len(text):,} characters; at most {LONGEST_COMMENT:,} are kept")
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = "".join(
        one
        for one in text
        if one == "\n" or (unicodedata.category(one) not in ("Cc", "Cs", "Co", "Cn") and one not in _TURNS)
    )
    kept = "\n".join(line.rstrip() for line in kept.split("\n")).strip()
    if not kept:
        raise ValueError("the comment is empty")
    if len(kept) > LONGEST_COMMENT or kept.count("\n") >= MOST_LINES:
        raise ValueError(f"a comment of {len(kept):,} characters; at most {LONGEST_COMMENT:,} in {MOST_LINES} lines")
    return kept


def comment(
    engine: Engine,
    account: Mapping[str, Any],
    text: str,
    result_id: str | None = None,
    reply_to: int | None = None,
) -> int:
    """A comment on a published result, or on the paper; returns its number. A reviewer's is visible at once.

    ``reply_to``: the number of the visible comment there that this one answers, which answers none itself. The same
    text by the same account in the same place is one comment, however often it is sent.
    """
    kept, at, table = clean(text), audit.now(), tables.comment
    with database.writing(engine) as connection:
        trusted = accounts.has_role(accounts.need_now(connection, account, "contributor"), "reviewer")
        key = None if result_id is None else _result(connection, result_id, tables.PUBLISHED)["pk"]
        same = (table.c.account_pk == account["pk"]) & (table.c.text == kept)
        same &= table.c.result_pk.is_not_distinct_from(key) & table.c.parent_pk.is_not_distinct_from(reply_to)
        there = connection.execute(select(table.c.pk).where(same).limit(1)).scalar()
        if there is not None:
            return int(there)
        if reply_to is not None:
            _answerable(connection, reply_to, key)
        mine = (table.c.account_pk == account["pk"]) & (table.c.state == "pending")
        if connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one() >= MOST_PENDING:
            raise ValueError(f"{MOST_PENDING} comments of yours wait for a reviewer; wait with them")
        values = {
            "result_pk": key,
            "account_pk": account["pk"],
            "text": kept,
            "created": at,
            "state": "visible" if trusted else "pending",
            "parent_pk": reply_to,
        }
        number = connection.execute(insert(table).returning(table.c.pk), values).scalar_one()
        audit.record(connection, at, account["name"], [("comment", result_id or "paper", str(number))])
        return number


def _answerable(connection: Connection, number: int, about: int | None) -> None:
    """Raise ValueError unless that comment is about the same, everybody sees it, and it answers none itself."""
    table = tables.comment.c
    query = select(table.result_pk, table.state, table.parent_pk).where(table.pk == number)
    found = connection.execute(query).one_or_none()
    if found is None or found.result_pk != about or found.state != "visible":
        raise ValueError(f"there is no comment {number} here to reply to (any more)")
    if found.parent_pk is not None:
        raise ValueError(f"comment {number} is a reply; reply to the comment that it answers, {found.parent_pk}")


def judge_comment(engine: Engine, number: int, account: Mapping[str, Any], *, visible: bool) -> None:
    """Let a comment through, or hide it. For reviewers."""
    state = "visible" if visible else "hidden"
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        this = tables.comment.c.pk == number
        was = connection.execute(select(tables.comment.c.state).where(this)).scalar()
        if was is None:
            raise LookupError(f"there is no comment {number}")
        connection.execute(update(tables.comment).where(this).values(state=state))
        audit.record(connection, audit.now(), account["name"], [(f"comment {state}", str(number), "")])
        before = {"what": "comment", "number": number, "state": was, "now": state}
        undoable.keep(connection, account, f"comment {number}", before)


def unjudge(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``judge_comment``: it waits, is shown or hidden as before."""
    table = tables.comment
    same = (table.c.pk == before["number"]) & (table.c.state == before["now"])
    if not connection.execute(update(table).where(same).values(state=before["state"])).rowcount:
        raise WrongState(f"comment {before['number']} is not {before['now']} any more")


def delete_comment(engine: Engine, number: int, account: Mapping[str, Any]) -> None:
    """Remove a comment of one's own, text and all."""
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "contributor")
        mine = (tables.comment.c.pk == number) & (tables.comment.c.account_pk == account["pk"])
        if not connection.execute(delete(tables.comment).where(mine)).rowcount:
            raise LookupError(f"there is no comment {number} of yours")
        undoable.forget(connection, f"comment {number}")  # another comment may get its number
        audit.record(connection, audit.now(), account["name"], [("comment deleted", str(number), "")])


def comments(
    engine: Engine,
    result_id: str | None = None,
    *,
    viewer: Mapping[str, Any] | None = None,
    judged: bool = False,
    limit: int = 200,
) -> list[dict[str, Any]]:
    """Comments on a result (None: on the paper), oldest first: visible ones, and the viewer's own. See ``listed``.

    ``judged``: for a reviewer all of them, to let through or to hide where they stand. All that wait are in
    ``review_queue.comments``.
    """
    table = tables.comment.c
    shown = table.state == "visible"
    if judged and accounts.has_role(viewer, "reviewer"):
        shown = table.state.is_not(None)
    query = (
        listed()
        .where(shown | (table.account_pk == viewer["pk"]) if viewer else shown)
        .where(table.result_pk.is_(None) if result_id is None else tables.result.c.id == result_id)
        .limit(min(limit, 1000))
    )
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def threads(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ``comments`` as pages show them: those that answer none, each with its ``replies``, oldest first.

    Replies to one that is not among the rows (hidden, deleted) stand below a row that has ``pk`` and ``replies`` only.
    """
    found: dict[int, dict[str, Any]] = {row["pk"]: {**row, "replies": []} for row in rows if row["parent_pk"] is None}
    for row in rows:
        if row["parent_pk"] is not None:
            gone = {"pk": row["parent_pk"], "replies": []}
            found.setdefault(row["parent_pk"], gone)["replies"].append(dict(row))
    return [found[key] for key in sorted(found)]


def visible(engine: Engine) -> Iterator[dict[str, Any]]:
    """All that visitors can read, on the paper (result: None) and on published results, oldest first."""
    query = listed().where(
        tables.comment.c.state == "visible",
        tables.comment.c.result_pk.is_(None) | (tables.result.c.state == tables.PUBLISHED),
    )
    with database.reading(engine) as connection:
        for row in connection.execution_options(yield_per=1000).execute(query).mappings():
            yield {
                "result": row["id"],
                **{name: row[name] for name in ("by", "role", "text", "created")},
                "number": row["pk"],
                "reply_to": row["parent_pk"],
            }


def place_of(engine: Engine, number: int) -> str | None:
    """The id of the result that a comment is on, "" for the paper; None where there is no such comment."""
    query = (
        select(tables.comment.c.pk, tables.result.c.id)
        .select_from(tables.comment)
        .outerjoin(tables.result, tables.result.c.pk == tables.comment.c.result_pk)
        .where(tables.comment.c.pk == number)
    )
    with database.reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else str(row.id or "")


def listed() -> Select[Any]:
    """What is listed of comments, oldest first: pk, id (of the result), by, role, text, created, state,
    parent_pk (of the comment that it answers)."""
    table = tables.comment.c
    return (
        select(
            table.pk,
            tables.result.c.id,
            tables.account.c.name.label("by"),
            tables.account.c.role,
            table.text,
            table.created,
            table.state,
            table.parent_pk,
        )
        .select_from(tables.comment)
        .join(tables.account, tables.account.c.pk == table.account_pk)
        .outerjoin(tables.result, tables.result.c.pk == table.result_pk)
        .order_by(table.pk)
    )


def sign(
    engine: Engine, result_id: str, account: Mapping[str, Any], checklist: str, item: str, state: str, note: str = ""
) -> None:
    """A reviewer's word on one item of a checklist: pass, fail or not applicable. Signing again replaces it.

    Nobody signs a result that they uploaded or that carries their name.
    """
    if state not in ("pass", "fail", "not applicable"):
        raise ValueError(f"a signature is pass, fail or not applicable; got {state[:40]!r}")
    for word in (checklist, item):
        if not 1 <= len(word) <= 64 or not word.isprintable():
            raise ValueError(f"{word[:64]!r} names no checklist or item")
    note, table = _text(note, "a note", optional=True), tables.signature
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        row = _result(connection, result_id, tables.VALID, tables.PUBLISHED, tables.QUARANTINED)
        named = select(tables.submitter.c.name).where(tables.submitter.c.pk == row["submitter_pk"])
        if row["account_pk"] == account["pk"] or connection.execute(named).scalar() == account["name"]:
            raise PermissionError("somebody else signs a result of your own")
        same = (table.c.result_pk == row["pk"]) & (table.c.account_pk == account["pk"])
        same &= (table.c.checklist == checklist) & (table.c.item == item)
        there = connection.execute(select(table).where(same)).mappings().one_or_none()
        connection.execute(delete(table).where(same))
        at = audit.now()
        values = {"checklist": checklist, "item": item, "state": state, "note": note, "created": at}
        values |= {"result_pk": row["pk"], "account_pk": account["pk"]}
        key = connection.execute(insert(table).returning(table.c.pk), values).scalar_one()
        audit.record(connection, at, account["name"], [("signed", result_id, f"{checklist} {item}: {state}")])
        before = {"what": "signed", "key": key, "at": at, "there": dict(there) if there else None}
        undoable.keep(connection, account, result_id, before)


def unsign(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``sign``: the signature goes, and one that it replaced is there again."""
    table = tables.signature
    same = (table.c.pk == before["key"]) & (table.c.created == before["at"])
    if not connection.execute(delete(table).where(same)).rowcount:
        raise WrongState("this signature was replaced or removed meanwhile")
    if before["there"]:
        connection.execute(insert(table), before["there"])


def signatures(engine: Engine, result_id: str) -> list[dict[str, Any]]:
    """Who signed what of a result: by, checklist, item, state, note, created."""
    table = tables.signature.c
    query = (
        select(tables.account.c.name.label("by"), table.checklist, table.item, table.state, table.note, table.created)
        .select_from(tables.signature)
        .join(tables.account, tables.account.c.pk == table.account_pk)
        .join(tables.result, tables.result.c.pk == table.result_pk)
        .where(tables.result.c.id == result_id)
        .order_by(table.checklist, table.item, table.pk)
    )
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
