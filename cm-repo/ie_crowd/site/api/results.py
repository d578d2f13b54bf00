"""The reading operations about results: lists, one result, two side by side, what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from ie_crowd.ranking import compare
from ie_crowd.site.api.operations import (
    COUNT,
    FILTERS,
    ID,
    INTEGER,
    MOMENT,
    NAME,
    NULLABLE,
    NUMBER,
    RESULT_ID,
    TEXT,
    Answer,
    Call,
    Operation,
    Parameter,
    array,
    exactly,
    integer,
)
from ie_crowd.site.middleware import permissions
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.site.rendering import evidence, issued, result_files, side_by_side
from ie_crowd.store import query, tables
from ie_crowd.store.filters import MOST_ROWS, Filter
from ie_crowd.store.people import comments as store_comments
from ie_crowd.store.people import independence, moderation
from ie_crowd.store.proofs import signatures as store_signatures

METRIC = {**NAME, "description": "the name of a metric"}
METRICS = {
    "type": "string",
    "maxLength": 1000,
    "pattern": "^[a-z0-9]+(?:[-_.][a-z0-9]+)*(?:,[a-z0-9]+(?:[-_.][a-z0-9]+)*)*$",
    "description": "names of metrics with commas between them",
}
ROW = {"$ref": "#/components/schemas/Row"}


def chosen(values: Mapping[str, Any]) -> Filter:
    """The filter that the parameters ask for."""
    return Filter(**{name: values[name] for name in Filter._fields if name in values})


def results(call: Call) -> Response:
    """A page of published results."""
    values = call.values
    page, size = values.get("page", 1), values.get("size", 50)
    sort, descending = values.get("sort", "published"), values.get("order", "descending") == "descending"
    names = (
        values["metrics"].split(",") if "metrics" in values else list(call.request.app.state.content.challenge.metrics)
    )
    found = query.results(
        call.engine, chosen(values), sort=sort, descending=descending, page=page, size=size, metrics=names
    )
    response = JSONResponse({"total": found.total, "page": page, "size": size, "results": found.rows})
    response.headers["Link"] = pages(call, page, max(1, -(-found.total // size)))
    return response


def pages(call: Call, page: int, last: int) -> str:
    """The Link header of one of several pages (RFC 8288)."""
    numbers = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    path = call.request.url.path.removeprefix(call.request.app.state.settings.base_path)
    return ", ".join(
        f'<{call.link(path, **{**call.values, "page": number})}>; rel="{rel}"'
        for rel, number in numbers.items()
        if 1 <= number <= last
    )


def found_result(call: Call, result_id: str) -> dict[str, Any]:
    """A result that whoever asks may see. Raises Problem 404 or 410."""
    found = query.one(call.engine, result_id)
    if found is None:
        raise Problem(404, f"there is no result {result_id[:12]}…")
    if found["state"] == tables.WITHDRAWN:
        raise Problem(410, f"result {result_id[:12]}… was withdrawn", reasons=found["reasons"])
    if not permissions.may_see(call.account, found):
        raise Problem(404, f"result {result_id[:12]}… is not published")
    return found


def result(call: Call) -> Response:
    """One result."""
    found = found_result(call, call.values["id"])
    if not permissions.may_see_unpublished(call.account, found):
        del found["uploaded_by"]  # somebody may publish under no name
    shown = evidence.of(call.request.app.state, found)
    found |= {"reproduced_by": shown.by, "awaiting_word": shown.awaiting, "unranked": shown.unranked}
    words = independence.of(call.engine, found["submitter"])
    found["independent_of"] = [{"name": name, **said} for name, said in words.items()]
    found["signed"] = store_signatures.of_result(call.engine, found["id"])
    found["runs"] = query.runs(call.engine, found["id"])
    draws = issued.of(call.request.app.state, found)
    found["draws"] = None if draws is None else draws._asdict()
    return JSONResponse(found)


def original(call: Call) -> Response:
    """The document, byte for byte as it came."""
    found = found_result(call, call.values["id"])
    content = query.original(call.engine, found["id"])
    if content is None:
        raise Problem(404, f"the document of result {found['id'][:12]}… is not here")
    return Response(content, media_type="application/json")


def comparison(call: Call) -> Response:
    """Two to six results side by side: the first two line by line, and all of them with the best of each metric."""
    chosen = [found_result(call, call.values[name]) for name in NAMES if name in call.values]
    found = list({row["id"]: row for row in chosen}.values())
    documents = [result_files.parsed(call.engine, row["id"]) for row in found]
    shown = side_by_side.together(call.request.app.state, found, documents)

    def told(name: str, place: int, cell: compare.Cell) -> dict[str, Any] | None:
        if cell.aggregate is None:
            return None
        images = shown.over_images.get((name, place))
        return {
            **{key: cell.aggregate[key] for key in ("value", "sd", "n", "ci95")},
            "best": cell.best,
            "behind": cell.behind._asdict() if cell.behind else None,
            "over_images": images._asdict() if images else None,
        }

    metrics = [
        {"name": line.name, "cells": [told(line.name, place, cell) for place, cell in enumerate(line.cells)]}
        for line in shown.metrics
    ]
    answer = {
        "rows": [row._asdict() for row in compared(call)],
        "results": [row["id"] for row in found],
        "same_task": shown.same_task,
        "metrics": metrics,
        "differing": [line._asdict() for line in compare.differing(documents)],
    }
    return JSONResponse(answer)


def compared(call: Call) -> list[compare.Row]:
    """The lines of the comparison of the first two."""
    documents = []
    for name in "ab":
        found = found_result(call, call.values[name])
        documents.append(result_files.parsed(call.engine, found["id"]))
    rows = compare.compare(*documents)
    return [row for row in rows if row.differs] if call.values.get("only") == "differences" else rows


def comments(call: Call) -> Response:
    """What was said of a result, or of the paper."""
    if "id" in call.values:
        found_result(call, call.values["id"])
    rows = store_comments.comments(call.engine, call.values.get("id"), viewer=call.account)
    kept = ("by", "role", "text", "created", "state")
    found = [{"number": row["pk"], "reply_to": row["parent_pk"], **{key: row[key] for key in kept}} for row in rows]
    return JSONResponse({"comments": found})


def objections(call: Call) -> Response:
    """Objections against a result."""
    found_result(call, call.values["id"])
    rows = moderation.objections(call.engine, call.values["id"])
    kept = ("by", "reason", "created", "state", "decision")
    return JSONResponse({"objections": [{"number": row["pk"], **{key: row[key] for key in kept}} for row in rows]})


def signatures(call: Call) -> Response:
    """Who signed which item of a checklist."""
    found_result(call, call.values["id"])
    return JSONResponse({"signatures": store_comments.signatures(call.engine, call.values["id"])})


_ANSWERS = {"type": ["integer", "null"], "description": "the number of the comment that it answers"}
_COMMENT = exactly(number=INTEGER, reply_to=_ANSWERS, by=TEXT, role=TEXT, text=TEXT, created=MOMENT, state=TEXT)
_COMMENTS = exactly(comments=array(_COMMENT))
GONE = {410: Answer("It was withdrawn; the reasons say why.")}
LIST = (
    Parameter("sort", METRIC, "published, created, wall_seconds, submitter, labels, or a metric.", "published"),
    Parameter(
        "order",
        {"type": "string", "enum": ["ascending", "descending"]},
        "Which way (default: descending).",
        "ascending",
    ),
    Parameter("page", integer(1, 10**6), "From 1.", 1),
    Parameter("size", integer(1, MOST_ROWS), "Results of a page (default: 50).", 50),
    Parameter("metrics", METRICS, "Which metrics to show (default: the challenge's).", "classification.error"),
)
NAMES = "abcdef"[: side_by_side.MOST]
TWO = (
    Parameter("a", ID, "Id of one result.", required=True),
    Parameter("b", ID, "Id of the other.", required=True),
    *(Parameter(name, ID, "Id of one more.") for name in NAMES[2:]),
    Parameter("only", {"type": "string", "enum": ["differences"]}, "Leave out what is alike."),
)
_BEHIND = exactly(mean=NUMBER, half=NUMBER, p=NUMBER, how=TEXT)
_IMAGES = exactly(mean=NUMBER, low=NUMBER, high=NUMBER, draws=COUNT, images=COUNT)
_CELL = exactly(
    value=NUMBER,
    sd=NUMBER,
    n=COUNT,
    ci95=NUMBER,
    best={"type": "boolean"},
    behind={"anyOf": [_BEHIND, {"type": "null"}], "description": "it minus the best; null for the best itself"},
    over_images={
        "anyOf": [_IMAGES, {"type": "null"}],
        "description": "it minus the best, with the 95 % interval over draws and images, from recomputed predictions",
    },
)
_METRIC = exactly(name=TEXT, cells=array({"anyOf": [_CELL, {"type": "null"}]}))
_LIST = exactly(total=COUNT, page=INTEGER, size=INTEGER, results=array(ROW))

OPERATIONS = (
    Operation(
        "listResults", "GET", "/results", "Results", "Published results", results,
        {200: Answer("A page of them.", _LIST, headers=("Link",)), 404: Answer("No result has such a metric.")},
        (*FILTERS, *LIST),
        about="Pages are led to by Link headers: first, prev, next, last.",
    ),
    Operation(
        "readResult", "GET", "/results/{id}", "Results", "One result with its runs", result,
        {200: Answer("The result.", {"$ref": "#/components/schemas/Full"}), **GONE},
        (RESULT_ID,), viewer=True,
        about="One that is not published is there for reviewers and for whoever uploaded it.",
    ),
    Operation(
        "readDocument", "GET", "/results/{id}/result.json", "Results", "Its result.json, byte for byte", original,
        {200: Answer("The document.", {"$ref": "#/components/schemas/Result"}), **GONE},
        (RESULT_ID,), viewer=True,
    ),
    Operation(
        "listComments", "GET", "/results/{id}/comments", "Results", "Comments on it", comments,
        {200: Answer("The oldest first.", _COMMENTS), **GONE}, (RESULT_ID,), viewer=True,
    ),
    Operation(
        "listObjections", "GET", "/results/{id}/objections", "Results", "Objections against it", objections,
        {200: Answer(
            "The oldest first.",
            exactly(objections=array(exactly(
                number=INTEGER, by=TEXT, reason=TEXT, created=MOMENT, state=TEXT, decision=NULLABLE
            ))),
        ), **GONE},
        (RESULT_ID,), viewer=True,
    ),
    Operation(
        "listSignatures", "GET", "/results/{id}/signatures", "Results", "Checklist items that reviewers signed",
        signatures,
        {200: Answer(
            "By checklist.",
            exactly(signatures=array(exactly(
                by=TEXT, checklist=TEXT, item=TEXT, state=TEXT, note=TEXT, created=MOMENT
            ))),
        ), **GONE},
        (RESULT_ID,), viewer=True,
    ),
    Operation(
        "compareResults", "GET", "/comparison", "Results", "Two to six results side by side", comparison,
        {200: Answer(
            "Every line of the first two, by section; then all of them, in the order of `results`.",
            exactly(
                rows=array(exactly(
                    section=TEXT, name=TEXT, left={}, right={}, differs={"type": "boolean"}, p=NUMBER
                )),
                results=array(ID), same_task={"type": "boolean"}, metrics=array(_METRIC),
                differing=array(exactly(section=TEXT, name=TEXT, cells=array({}))),
            ),
        ), 404: Answer("One of them is not there."), **GONE},
        TWO, viewer=True,
    ),
    Operation(
        "listPaperComments", "GET", "/comments", "Results", "Comments on the paper", comments,
        {200: Answer("The oldest first.", _COMMENTS)}, viewer=True,
    ),
)  # fmt: skip
