"""The operations about evidence: which files a result rests on, taking one in, giving one out, what was verified."""

from __future__ import annotations

from typing import Any

from starlette.responses import FileResponse, JSONResponse, Response

from ie_crowd.evidence import files, queue, taken
from ie_crowd.formats import png, strict
from ie_crowd.site.api.operations import (
    COUNT,
    MOMENT,
    NULLABLE,
    RESULT_ID,
    TEXT,
    Answer,
    Body,
    Call,
    Operation,
    Parameter,
    array,
    by_name,
    exactly,
)
from ie_crowd.site.api.results import GONE, found_result
from ie_crowd.site.middleware import permissions
from ie_crowd.site.middleware.problem_details import Problem

OCTETS = "application/octet-stream"
LARGEST = 32 * 2**20  # of one file that is sent; a folder may hold larger ones
PATH = Parameter(
    "path",
    {
        "type": "string",
        "maxLength": 200,
        "pattern": "^(runs/[0-9]{1,4}|figures)/[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}$",
        "description": "a path below runs/ or figures/, as the result lists it",
    },
    "Which of the result's files it is.",
    "runs/0/model.safetensors",
    required=True,
)


def listed(call: Call) -> Response:
    """The evidence that a result lists, what of it is here, and its verifications."""
    found = found_result(call, call.values["id"])
    document, here = queue.document(call.engine, found["id"]), files.stored(call.engine, found["id"])
    try:
        asked, problem = files.asked(document), None
    except ValueError as error:  # larger than what is taken
        asked, problem = {}, str(error)
    rows = [
        {"path": path, "sha256": one.sha256, "bytes": one.bytes, "needed": one.needed, "here": path in here}
        for path, one in asked.items()
    ]
    told = [
        {name: row[name] for name in ("depth", "state", "asked", "ended", "outcome", "detail", "platform")}
        for row in queue.history(call.engine, found["id"])
    ]
    return JSONResponse({"files": rows, "problem": problem, "level": found["evidence"], "verifications": told})


def take(call: Call) -> Response:
    """Take one file in, from whoever uploaded the result, or a reviewer."""
    account = call.account
    assert account is not None
    found = found_result(call, call.values["id"])
    if not permissions.may_see_unpublished(account, found):
        raise Problem(403, "evidence comes from whoever uploaded the result, or from a reviewer")
    try:
        store = files.of(call.engine)
        new = files.add(call.engine, store, found["id"], call.values["path"], [call.content], account["name"])
    except files.Away as error:
        raise Problem(503, str(error)) from None
    return JSONResponse({"path": call.values["path"], "new": new}, 201 if new else 200)


def give(call: Call) -> Response:
    """One file, by its path in the result."""
    found = found_result(call, call.values["id"])
    sha256 = files.stored(call.engine, found["id"]).get(call.values["path"])
    try:
        path = files.of(call.engine).local(sha256) if sha256 is not None else None
    except files.Away as error:
        raise Problem(503, str(error)) from None
    if path is None or not path.is_file():
        raise Problem(404, f"{call.values['path']} of result {found['id'][:12]}… is not here")
    if taken.PICTURE.fullmatch(call.values["path"]):  # without its texts, which may name people and places
        content = png.clean(strict.read_bytes(path, png.MOST_BYTES), call.values["path"])[2]
        return Response(content, media_type=OCTETS, headers={"Content-Disposition": "attachment"})
    return FileResponse(path, media_type=OCTETS, headers={"Content-Disposition": "attachment"})


_FILE = exactly(path=TEXT, sha256=TEXT, bytes=COUNT, needed={"type": "boolean"}, here={"type": "boolean"})
_PLATFORM: dict[str, Any] = by_name({})
_VERIFIED = exactly(
    depth=TEXT, state=TEXT, asked=MOMENT, ended=NULLABLE, outcome=NULLABLE, detail=TEXT, platform=_PLATFORM
)

OPERATIONS = (
    Operation(
        "listEvidence", "GET", "/results/{id}/evidence", "Evidence", "Files that it rests on, and verifications",
        listed,
        {200: Answer("What it lists, what of it is here, and what came of looking at it.", exactly(
            files=array(_FILE), problem=NULLABLE, level=TEXT, verifications=array(_VERIFIED),
        )), **GONE},
        (RESULT_ID,), viewer=True,
    ),
    Operation(
        "addEvidence", "POST", "/results/{id}/evidence", "Evidence",
        "Add weights, predictions, learning histories or pictures", take,
        {
            200: Answer("It was here already.", exactly(path=TEXT, new={"type": "boolean"})),
            201: Answer("Taken in; with the last that is needed, the result waits to be verified.", exactly(
                path=TEXT, new={"type": "boolean"},
            )),
            **GONE,
        },
        (RESULT_ID, PATH),
        body=Body({"type": "string", "format": "binary"}, strict.Limits(size=LARGEST), "The file as it is.", raw=True,
                  media=OCTETS, seconds=300),
        role="contributor",
        about="Only a file that the result lists, by hash and size. From whoever uploaded it, or a reviewer. Histories "
        "and pictures are shown on its page; pictures are handed out without their texts.",
        kept=True,
    ),
    Operation(
        "readEvidence", "GET", "/results/{id}/evidence/file", "Evidence", "One of its files", give,
        {200: Answer("The file.", None, OCTETS), **GONE}, (RESULT_ID, PATH), viewer=True,
    ),
)  # fmt: skip
