"""What people with a token may say and do through the API: comment, object, withdraw; and who they are."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from ie_crowd.formats import strict
from ie_crowd.site.api.operations import (
    COUNT,
    ID,
    INTEGER,
    MOMENT,
    RESULT_ID,
    STATE,
    TEXT,
    Answer,
    Body,
    Call,
    Operation,
    Parameter,
    array,
    exactly,
    integer,
)
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store import query, rejected_uploads, tables
from ie_crowd.store.people import accounts, comments, moderation

PROSE = strict.Limits(size=64 * 2**10, depth=2, values=8, string=2 * comments.LONGEST_COMMENT, prose=True)
NUMBER = {"type": "integer", "minimum": 1}


def text(name: str, longest: int) -> dict[str, Any]:
    """The schema of an object that holds one text."""
    value = {"type": "string", "minLength": 1, "maxLength": longest}
    return exactly(**{name: value})


def account(call: Call) -> Response:
    """Whose token it is."""
    assert call.account is not None
    return JSONResponse({"name": call.account["name"], "role": call.account["role"]})


def comment(call: Call) -> Response:
    """A comment on a result or on the paper."""
    assert call.account is not None
    _there(call, tables.PUBLISHED)
    said = call.document
    number = comments.comment(call.engine, call.account, said["text"], call.values.get("id"), said.get("reply_to"))
    state = "visible" if accounts.has_role(call.account, "reviewer") else "pending"
    return JSONResponse({"number": number, "state": state}, 201)


def object_to(call: Call) -> Response:
    """An objection against a result."""
    assert call.account is not None
    _there(call, tables.PUBLISHED)
    number = moderation.object_to(call.engine, call.values["id"], call.account, call.document["reason"])
    return JSONResponse({"number": number, "state": "open"}, 201)


def withdraw(call: Call) -> Response:
    """A result goes for good."""
    assert call.account is not None
    _there(call, tables.VALID, tables.QUARANTINED, tables.PUBLISHED)
    moderation.withdraw(call.engine, call.values["id"], call.account, call.document["reason"])
    return JSONResponse({"id": call.values["id"], "state": tables.WITHDRAWN})


def _there(call: Call, *states: str) -> None:
    """Raise Problem 404 if the result is not there, 409 if it is in another state."""
    if "id" not in call.values:
        return
    found = query.one(call.engine, call.values["id"])
    if found is None:
        raise Problem(404, f"there is no result {call.values['id'][:12]}…")
    if found["state"] not in states:
        raise Problem(409, f"result {call.values['id'][:12]}… is {found['state']}; expected {' or '.join(states)}")


def refused(call: Call) -> Response:
    """The log of refused uploads."""
    before, limit = call.values.get("before"), call.values.get("limit", 100)
    rows = rejected_uploads.read(call.engine, before=before, limit=limit)
    return JSONResponse({"refused": [{"number": row.pop("pk"), **row} for row in rows]})


_SAID = {201: Answer("Said.", exactly(number=NUMBER, state=TEXT))}
_COMMENT = Body(
    exactly({"reply_to": NUMBER}, **text("text", comments.LONGEST_COMMENT)["properties"]),
    PROSE,
    "Plain text, and the number of the comment that it answers, if it answers one.",
    {"text": "Which seed was this?"},
)
_STATES = {409: Answer("The result is in a state in which this cannot be.")}

OPERATIONS = (
    Operation(
        "readAccount", "GET", "/account", "People", "Whose token this is", account,
        {200: Answer("The account.", exactly(name=TEXT, role={"enum": list(tables.ROLES)}))},
        role="contributor",
    ),
    Operation(
        "commentOnPaper", "POST", "/comments", "People", "Comment on the paper", comment, _SAID,
        body=_COMMENT, role="contributor", about="It is shown when a reviewer has let it through.",
    ),
    Operation(
        "commentOnResult", "POST", "/results/{id}/comments", "People", "Comment on a result", comment,
        {**_SAID, **_STATES},
        (RESULT_ID,), _COMMENT, role="contributor", about="It is shown when a reviewer has let it through.",
    ),
    Operation(
        "objectToResult", "POST", "/results/{id}/objections", "People", "Object to a published result", object_to,
        {**_SAID, **_STATES},
        (RESULT_ID,),
        Body(text("reason", moderation.LONGEST_REASON), PROSE, "Why.", {"reason": "Seed 3 is missing."}),
        role="contributor", about="A reviewer decides; one that is upheld quarantines the result.",
    ),
    Operation(
        "withdrawResult", "POST", "/results/{id}/withdrawal", "People", "Withdraw a result of one's own", withdraw,
        {200: Answer("It is gone.", exactly(id=ID, state=STATE)), **_STATES},
        (RESULT_ID,),
        Body(text("reason", moderation.LONGEST_REASON), PROSE, "Why; it stays.", {"reason": "Wrong data."}),
        role="contributor",
        about="All of it is deleted but its id and the reason, and it can not come back.",
    ),
    Operation(
        "readRefused", "GET", "/refused", "People", "Uploads that were refused", refused,
        {
            200: Answer(
                "The newest first.",
                exactly(
                    refused=array(exactly(
                        number=NUMBER, at=MOMENT, by=TEXT, status=INTEGER, reason=TEXT, size=COUNT, sha256=TEXT
                    ))
                ),
            )
        },
        (
            Parameter("before", integer(1, 10**14), "Only those before this number.", 100),
            Parameter("limit", integer(1, 1000), "So many.", 100),
        ),
        role="reviewer",
    ),
)  # fmt: skip
