"""POST /api/v1/results/{id}/signature: whoever uploaded a result signs it with an SSH key of their account."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from ie_crowd.formats import strict
from ie_crowd.formats.ssh import program
from ie_crowd.formats.ssh import signatures as formats
from ie_crowd.result import signature
from ie_crowd.site.api.operations import (
    MOMENT,
    RESULT_ID,
    TEXT,
    Answer,
    Body,
    Call,
    Operation,
    exactly,
)
from ie_crowd.site.api.results import GONE, found_result
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store.proofs import signatures

_KEPT = exactly(
    by=TEXT,
    fingerprint=TEXT,
    public_key=TEXT,
    signature=TEXT,
    received=MOMENT,
    registered=MOMENT,
    removed={"anyOf": [MOMENT, {"type": "null"}]},
)
_VERIFIED = exactly(by=TEXT, fingerprint=TEXT, received=MOMENT)
SIGNED = {
    "anyOf": [{"type": "null"}, _KEPT],
    "description": (
        "Null where nobody signed it. by: the account. received: when the signature came and was verified. registered, "
        "removed: when its key came and, if so, went; what was signed before stays signed. The signed bytes are the "
        f"result's id and a line feed, the namespace is {signature.NAMESPACE}."
    ),
}


def sign(call: Call) -> Response:
    """Verify a signature, and keep it with its result."""
    assert call.account is not None
    found = found_result(call, call.values["id"])
    try:
        text = call.content.decode("ascii")
    except UnicodeDecodeError:
        raise Problem(422, "this is no signature: it is not ASCII") from None
    try:
        new = signatures.add(call.engine, found["id"], call.account, text)
    except program.NoProgramError as error:
        raise Problem(501, f"{error}; the result stays as it is, unsigned") from None
    told = signatures.of_result(call.engine, found["id"])
    assert told is not None
    return JSONResponse({name: told[name] for name in ("by", "fingerprint", "received")}, 201 if new else 200)


OPERATION = Operation(
    "signResult", "POST", "/results/{id}/signature", "Results", "Sign a result of one's own", sign,
    {
        200: Answer("It was signed by this key already.", _VERIFIED),
        201: Answer("Verified, and kept.", _VERIFIED),
        501: Answer("This server has no ssh-keygen, and keeps nothing that it cannot verify."),
        **GONE,
    },
    (RESULT_ID,),
    Body({"type": "string"}, strict.Limits(size=formats.LONGEST),
         f"What ssh-keygen -Y sign -n {signature.NAMESPACE} writes about the result's id and a line feed.",
         raw=True, media="text/plain"),
    role="contributor",
    about="By a key that the account registered on its page, and only by the account that uploaded the result.",
    kept=True,
)  # fmt: skip
