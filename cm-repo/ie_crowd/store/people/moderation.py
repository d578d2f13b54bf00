"""What happens to a result after it came: published, quarantined, released, objected to, withdrawn.

valid → published; quarantined → valid or published (released by a reviewer); anything → quarantined; anything →
withdrawn, where only id, state and reason stay (refused by a reviewer, too). Each is one transaction with its line in
the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, insert, select, update

from ie_crowd.result.aggregate import mean_sd_ci95
from ie_crowd.store import audit, database, tables
from ie_crowd.store import insert as store_insert
from ie_crowd.store.people import accounts, undoable

LONGEST_REASON = 500
MOST_OPEN = 5  # objections of one account against one result
_SHARED = (  # what several results have in common
    (tables.submitter, "submitter_pk"), (tables.machine, "machine_pk"), (tables.config, "config_pk"),
)  # fmt: skip


class WrongState(ValueError):
    """What was asked for cannot be done with a result in its present state: somebody else was faster."""


def publish(engine: Engine, result_id: str, account: Mapping[str, Any], note: str = "") -> None:
    """Publish a valid or a quarantined result; a quarantined one needs a note that says why. For reviewers.

    Nobody but an operator publishes what they uploaded themselves.
    """
    with database.writing(engine) as connection:
        account = accounts.need_now(connection, account, "reviewer")
        row = _result(connection, result_id, tables.VALID, tables.QUARANTINED)
        if row["account_pk"] == account["pk"] and account["role"] != "operator":
            raise PermissionError("somebody else publishes a result of your own")
        note = _text(note, "a note that says why", optional=row["state"] == tables.VALID)
        at = audit.now()
        _set(connection, row, state=tables.PUBLISHED, published=at)
        recompute(connection, [row["pk"]])
        audit.record(connection, at, account["name"], [("published", result_id, note)])
        before = {"what": "published", "id": result_id, "state": row["state"], "at": at}
        undoable.keep(connection, account, result_id, before)


def note_of(engine: Engine, result_id: str) -> dict[str, Any] | None:
    """What the reviewer said who published a result: by, at, note. None where nothing was said."""
    line = tables.audit.c
    query = select(line.actor.label("by"), line.at, line.detail.label("note"))
    query = query.where(line.subject == result_id, line.action == "published").order_by(line.pk.desc()).limit(1)
    with database.reading(engine) as connection:
        row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row is not None and row["note"] else None


def quarantine(engine: Engine, result_id: str, account: Mapping[str, Any], why: str) -> None:
    """Take a result out of what is shown until somebody has looked at it. For reviewers."""
    why = _text(why, "a reason")
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        row = _result(connection, result_id, tables.VALID, tables.PUBLISHED)
        undoable.keep(connection, account, result_id, _hide(connection, row, account["name"], why))


def hold(connection: Connection, result_id: str, actor: str, why: str) -> None:
    """Take a result out of what is shown because a verification failed, in the verification's transaction."""
    row = _result(connection, result_id, *tables.STATES)
    if row["state"] in (tables.VALID, tables.PUBLISHED):
        _hide(connection, row, actor, why[:LONGEST_REASON], "verification")


def withdraw(engine: Engine, result_id: str, account: Mapping[str, Any], why: str) -> None:
    """Remove a result for good: by whoever uploaded it, or an operator. Its id and the reason stay.

    The original, the raw values, names of submitter and machine, comments and signatures are deleted. The same
    document can not come back.
    """
    why = _text(why, "a reason")
    with database.writing(engine) as connection:
        row = _result(connection, result_id, *tables.STATES[:3])
        mine = row["account_pk"] is not None and row["account_pk"] == account["pk"]
        accounts.need_now(connection, account, "contributor" if mine else "operator")
        _bury(connection, row, "withdrawn", why, account["name"], account_pk=None)


def refuse(engine: Engine, result_id: str, account: Mapping[str, Any], why: str) -> None:
    """Remove for good what was never published: it is withdrawn with the reviewer's reason. For reviewers.

    Whoever uploaded it still sees that it was refused, and why.
    """
    why = _text(why, "a reason")
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        row = _result(connection, result_id, tables.VALID, tables.QUARANTINED)
        shown = (tables.audit.c.subject == result_id) & (tables.audit.c.action == "published")
        if connection.execute(select(tables.audit.c.pk).where(shown).limit(1)).first() is not None:
            raise WrongState(f"result {result_id[:12]}… was published once; only an operator can withdraw it")
        _bury(connection, row, "refused", why, account["name"])


def object_to(engine: Engine, result_id: str, account: Mapping[str, Any], why: str) -> int:
    """An objection against a published result, by anybody with an account; returns its number."""
    why = _text(why, "a reason")
    objection = tables.objection
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "contributor")
        row = _result(connection, result_id, tables.PUBLISHED)
        mine = select(objection.c.pk).where(
            objection.c.result_pk == row["pk"],
            objection.c.account_pk == account["pk"],
            objection.c.state == "open",
        )
        again = connection.execute(mine.where(objection.c.reason == why)).scalar()
        if again is not None:
            return int(again)  # the same, sent twice
        if len(connection.execute(mine).all()) >= MOST_OPEN:
            raise ValueError(f"{MOST_OPEN} objections of yours against this result are open; wait for a decision")
        at = audit.now()
        values = {"result_pk": row["pk"], "account_pk": account["pk"], "reason": why, "created": at, "state": "open"}
        key = connection.execute(insert(objection).returning(objection.c.pk), values).scalar_one()
        audit.record(connection, at, account["name"], [("objection", result_id, why)])
        return key


def decide(engine: Engine, number: int, account: Mapping[str, Any], *, upheld: bool, decision: str) -> None:
    """Decide an open objection; one that is upheld quarantines the result. For reviewers, not about their own."""
    decision = _text(decision, "the grounds of the decision")
    objection = tables.objection
    with database.writing(engine) as connection:
        accounts.need_now(connection, account, "reviewer")
        query = select(objection, tables.result.c.id).join(tables.result).where(objection.c.pk == number)
        found = connection.execute(query).mappings().one_or_none()
        if found is None or found["state"] != "open":
            raise LookupError(f"there is no open objection {number}")
        if found["account_pk"] == account["pk"]:
            raise PermissionError("somebody else decides an objection of your own")
        state = "upheld" if upheld else "dismissed"
        values = {"state": state, "decision": decision, "decided_by_pk": account["pk"]}
        connection.execute(update(objection).where(objection.c.pk == number).values(values))
        audit.record(connection, audit.now(), account["name"], [(f"objection {state}", found["id"], decision)])
        row = _result(connection, found["id"], *tables.STATES)
        before: dict[str, Any] = {"what": "objection", "number": number, "state": state, "result": None}
        if upheld and row["state"] in (tables.VALID, tables.PUBLISHED):
            why = f"objection: {found['reason']}"[:LONGEST_REASON]
            before["result"] = _hide(connection, row, account["name"], why)
        undoable.keep(connection, account, found["id"], before)


def unpublish(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``publish``: the result waits, or is quarantined, as before."""
    row = _result(connection, before["id"], tables.PUBLISHED)
    if row["published"] != before["at"]:
        raise WrongState(f"result {before['id'][:12]}… was published again since")
    _set(connection, row, state=before["state"], published=None)
    connection.execute(delete(tables.summary).where(tables.summary.c.result_pk == row["pk"]))


def restore(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``quarantine``: the result is in the state that it was in, and the reason goes."""
    row, reason = _result(connection, before["id"], tables.QUARANTINED), tables.reason
    newest = select(reason.c.pk).where(reason.c.result_pk == row["pk"]).order_by(reason.c.pk.desc()).limit(1)
    if connection.execute(newest).scalar() != before["reason"]:
        raise WrongState(f"result {before['id'][:12]}… is quarantined for another reason since")
    connection.execute(delete(reason).where(reason.c.pk == before["reason"]))
    _set(connection, row, state=before["state"], published=before["published"])
    if before["state"] == tables.PUBLISHED:
        recompute(connection, [row["pk"]])


def reopen(connection: Connection, before: Mapping[str, Any]) -> None:
    """The inverse of ``decide``: the objection is open, and a result that it quarantined is as it was."""
    objection = tables.objection
    same = (objection.c.pk == before["number"]) & (objection.c.state == before["state"])
    values = {"state": "open", "decision": None, "decided_by_pk": None}
    if not connection.execute(update(objection).where(same).values(values)).rowcount:
        raise WrongState(f"objection {before['number']} is not {before['state']} any more")
    if before["result"]:
        restore(connection, before["result"])


def objections(engine: Engine, result_id: str) -> list[dict[str, Any]]:
    """Objections against a result, oldest first (see ``listed``). Open ones against any are in ``desk.objections``."""
    query = listed().where(tables.result.c.id == result_id).limit(1000)
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def listed() -> Select[Any]:
    """What is listed of objections, oldest first: pk, id (of the result), by, reason, created, state, decision."""
    objection = tables.objection.c
    return (
        select(
            objection.pk,
            tables.result.c.id,
            tables.account.c.name.label("by"),
            objection.reason,
            objection.created,
            objection.state,
            objection.decision,
        )
        .join(tables.result, tables.result.c.pk == objection.result_pk)
        .join(tables.account, tables.account.c.pk == objection.account_pk)
        .order_by(objection.pk)
    )


def recompute(connection: Connection, keys: Sequence[int]) -> None:
    """Make ``summary`` of published results from their raw values anew."""
    value, result = tables.run_value.c, tables.result.c
    for key in keys:
        connection.execute(delete(tables.summary).where(tables.summary.c.result_pk == key))
        row = connection.execute(
            select(result.contest_pk, result.submitter_pk, result.machine_pk).where(result.pk == key)
        ).one()
        groups: dict[int, list[float]] = {}
        query = select(value.metric_pk, value.value).where(value.result_pk == key)
        for metric, number in connection.execute(query.order_by(value.number)):
            groups.setdefault(metric, []).append(number)
        rows = []
        for metric, numbers in groups.items():
            mean, sd, ci95 = mean_sd_ci95(numbers)
            rows.append((key, metric, *row, mean, sd, len(numbers), ci95))
        store_insert.summarise(connection, rows)


def _hide(
    connection: Connection, row: Mapping[str, Any], actor: str, why: str, name: str = "reviewer"
) -> dict[str, Any]:
    """Quarantine; returns what ``restore`` needs."""
    _set(connection, row, state=tables.QUARANTINED, published=None)
    connection.execute(delete(tables.summary).where(tables.summary.c.result_pk == row["pk"]))
    reason = {"result_pk": row["pk"], "name": name, "evidence": "", "detail": why}
    key = connection.execute(insert(tables.reason).returning(tables.reason.c.pk), reason).scalar_one()
    audit.record(connection, audit.now(), actor, [("quarantined", row["id"], why)])
    undoable.forget(connection, row["id"])
    before = {name: row[name] for name in ("id", "state", "published")}
    return {"what": "quarantined", **before, "reason": key}


def _bury(connection: Connection, row: Mapping[str, Any], what: str, why: str, actor: str, **more: Any) -> None:
    """Leave a tombstone of a result: id, state and why."""
    key, c = row["pk"], tables
    said = [row[0] for row in connection.execute(select(c.comment.c.pk).where(c.comment.c.result_pk == key))]
    for table in (
        c.summary,
        c.verified_value,
        c.evidence_file,
        c.verification,
        c.run_value,
        c.run,
        c.original,
        c.reason,
        c.comment,
        c.signature,
        c.upload_signature,
    ):
        connection.execute(delete(table).where(table.c.result_pk == key))
    listed = [column for column in tables.LISTED.values() if column.table is tables.result and column.nullable]
    connection.execute(delete(c.look_alike).where((c.look_alike.c.result_pk == key) | (c.look_alike.c.other_pk == key)))
    gone: dict[str, Any] = {key: None for _, key in _SHARED}
    gone |= {**{column.name: None for column in listed}, **more}
    _set(connection, row, state=tables.WITHDRAWN, os="", wall_seconds=0.0, **gone)
    connection.execute(insert(c.reason), {"result_pk": key, "name": what, "evidence": "", "detail": why})
    _forget(connection, row)
    for about in (row["id"], *(f"comment {number}" for number in said)):
        undoable.forget(connection, about)
    audit.record(connection, audit.now(), actor, [(what, row["id"], why)])


def _forget(connection: Connection, row: Mapping[str, Any]) -> None:
    """The submitter, the machine and the configuration that no other result has go too."""
    for table, column in _SHARED:
        key = row[column]
        others = select(tables.result.c.pk).where(tables.result.c[column] == key).limit(1)
        if key is not None and connection.execute(others).first() is None:
            if table is tables.submitter:
                said = tables.independence.c
                connection.execute(delete(tables.independence).where((said.one_pk == key) | (said.other_pk == key)))
            connection.execute(delete(table).where(table.c.pk == key))


def _result(connection: Connection, result_id: str, *states: str) -> dict[str, Any]:
    found = connection.execute(select(tables.result).where(tables.result.c.id == result_id)).mappings().one_or_none()
    if found is None:
        raise LookupError(f"there is no result {result_id[:64]!r}")
    if found["state"] not in states:
        raise WrongState(f"result {result_id[:12]}… is {found['state']}, expected {' or '.join(states)}")
    return dict(found)


def _set(connection: Connection, row: Mapping[str, Any], **values: Any) -> None:
    connection.execute(update(tables.result).where(tables.result.c.pk == row["pk"]).values(values))


def _text(given: str, what: str, *, optional: bool = False) -> str:
    text = " ".join("".join(one if one.isprintable() else " " for one in given).split())
    if not text and not optional:
        raise ValueError(f"give {what}")
    if len(text) > LONGEST_REASON:
        raise ValueError(f"{what} of {len(text):,} characters; at most {LONGEST_REASON} are kept")
    return text
