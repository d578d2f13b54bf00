"""POST /api/v1/results: one result.json, raw, by somebody with a token.

What is valid waits for a reviewer (an operator's is published at once); what is odd is quarantined with its reasons;
what is no result is refused, and the refusal noted. The submitter's name is part of what the id is the hash of, so it
is never changed here: it is the account's name, or nobody's, or a reviewer has to look at it.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from ie_crowd.formats import schema
from ie_crowd.site.api.operations import ID, STATE, Answer, Body, Call, Operation, array, exactly
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store import insert, records, tables

TAKEN = exactly(id=ID, state=STATE, reasons=array({"$ref": "#/components/schemas/Reason"}))


def upload(call: Call) -> Response:
    """Take a result in; the answer's status says what became of it."""
    account, content = call.account, call.content
    assert account is not None
    known: dict[str, Any] = dict(call.request.app.state.content.challenges)
    asked = call.document.get("challenge") if isinstance(call.document, dict) else None
    name = asked.get("id") if isinstance(asked, dict) else None
    if isinstance(name, str) and name not in known and (challenge := records.known(name)) is not None:
        known[name] = challenge
    outcome = insert.submit(
        call.engine, content, account=account, publish=account["role"] == "operator", challenges=known
    )
    if outcome.what == "known" and outcome.state == tables.WITHDRAWN:
        raise Problem(409, f"result {outcome.id[:12]}… was withdrawn and can not come back")
    status = 200 if outcome.what == "known" else 202 if outcome.state == tables.QUARANTINED else 201
    reasons = [reason._asdict() for reason in outcome.reasons]
    answer = JSONResponse({"id": outcome.id, "state": outcome.state, "reasons": reasons}, status)
    answer.headers["Location"] = call.link(f"/api/v1/results/{outcome.id}")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _example() -> dict[str, Any]:
    return {"schema_version": schema.SCHEMA_VERSION, "id": "…", "…": "see docs/result-format.md"}


OPERATION = Operation(
    name="submitResult",
    method="POST",
    path="/results",
    tag="Results",
    summary="Submit a result",
    about=(
        "The body is a result.json as it is: no form, no compression. It is told by its id: the same again is answered "
        "with 200 and changes nothing. The name in it is the account's, or null, which is listed without a rank; "
        "another name is for a reviewer to look at (202)."
    ),
    run=upload,
    body=Body(
        schema={"$ref": "#/components/schemas/Result"},
        limits=records.LIMITS,
        about="A result.json.",
        raw=True,
    ),
    answers={
        200: Answer("This very result is here already, in this state.", TAKEN, headers=("Location",)),
        201: Answer(
            "Received. published: an operator's; valid: a reviewer will look at it.", TAKEN, headers=("Location",)
        ),
        202: Answer(
            "Received and quarantined, for these reasons, until a reviewer decides.", TAKEN, headers=("Location",)
        ),
        409: Answer("It was withdrawn."),
    },
    role="contributor",
    kept=True,
)
