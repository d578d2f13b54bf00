"""POST /api/v1/commitments: the hash of code and settings, before its label draws are issued."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from ie_crowd.challenge import issued
from ie_crowd.formats import strict
from ie_crowd.result import commitment
from ie_crowd.site.api.operations import (
    COUNT,
    EXAMPLE_ID,
    ID,
    INTEGER,
    MOMENT,
    NAME,
    TEXT,
    Answer,
    Body,
    Call,
    Operation,
    array,
    exactly,
)
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store.proofs import commitments

LIMITS = strict.Limits(size=4096, depth=2, values=16, string=200)
ASKED = exactly(
    challenge=NAME,
    dataset=NAME,
    supervision={"enum": ["supervised", "semi-supervised"]},
    labels={"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10**12}, {"const": "all"}]},
    sha256=ID,
)
MADE = exactly(
    sha256=TEXT,
    made=MOMENT,
    draws={**array(INTEGER), "description": "Seed and label draw of each run."},
    commitments=COUNT,
    handed_in=COUNT,
)
DRAWS = {
    "anyOf": [
        {"type": "null"},
        exactly(
            sha256=ID,
            committed={"anyOf": [MOMENT, {"type": "null"}]},
            why=TEXT,
            commitments=COUNT,
            handed_in=COUNT,
            since=TEXT,
        ),
    ],
    "description": (
        "Null where the contest does not ask for issued label draws. committed: when their code and settings were "
        "committed to, null where they were not issued, and why. commitments, handed_in: of the account in this "
        "contest. since: what came before that moment, as this did, is ranked without."
    ),
}


def commit(call: Call) -> Response:
    """Keep a commitment, and say its draws."""
    assert call.account is not None
    asked = call.document
    challenge = call.request.app.state.content.challenges.get(asked["challenge"])
    if challenge is None:
        raise Problem(404, f"there is no challenge {asked['challenge']} here")
    if challenge.task(asked["dataset"], asked["supervision"]) is None:
        raise Problem(404, f"{challenge.id} has no task {asked['dataset']}, {asked['supervision']}")
    policy = challenge.evidence.issues(asked["dataset"], issued.DIVISION)
    if policy is None:
        raise Problem(
            409, f"no draws are issued for {asked['dataset']} of {challenge.id}: results rank without; send them"
        )
    contest = commitment.name(
        challenge.id, *(asked[key] for key in ("dataset", "supervision", "labels")), issued.DIVISION
    )
    try:
        made = commitments.commit(call.engine, call.account, contest, asked["sha256"], policy)
    except commitments.TooManyError as error:
        raise Problem(409, f"{error}") from None
    told = made._asdict()
    status = 201 if told.pop("new") else 200
    answer = JSONResponse(told, status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


_EXAMPLE = {
    "challenge": "ie-repr", "dataset": "mnist", "supervision": "semi-supervised", "labels": 100, "sha256": EXAMPLE_ID,
}  # fmt: skip
OPERATION = Operation(
    name="commit",
    method="POST",
    path="/commitments",
    tag="Results",
    summary="Commit to code and settings, and get label draws",
    about=(
        "For contests of the open division that rank by draws which the server issues. sha256 is of a result's code "
        "and settings as ie-crowd submit --commit computes it. The same again gets the same draws until a result is "
        "handed in. That result has a completed run of each draw, and of no other."
    ),
    run=commit,
    body=Body(ASKED, LIMITS, "The contest, and the hash.", _EXAMPLE),
    answers={
        200: Answer("It was made before, and no result is handed in yet: the same draws.", MADE),
        201: Answer("Kept, with draws that nobody has known before.", MADE),
        404: Answer("No such challenge or task."),
        409: Answer("This contest issues no draws, or the account has made too many commitments in it."),
    },
    role="contributor",
)
