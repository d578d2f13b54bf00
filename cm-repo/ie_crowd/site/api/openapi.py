"""The description of the API, OpenAPI 3.1, made from the operations themselves."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column

from ie_crowd.challenge import evidence
from ie_crowd.formats import schema
from ie_crowd.site.api import commitments, signatures
from ie_crowd.site.api.operations import (
    COUNT,
    EXAMPLE_ID,
    ID,
    INTEGER,
    LABELS_SHOWN,
    MOMENT,
    NULLABLE,
    NUMBER,
    PREFIX,
    STATE,
    TEXT,
    Operation,
    array,
    by_name,
    exactly,
)
from ie_crowd.site.middleware import problem_details
from ie_crowd.site.middleware.problem_details import MEDIA
from ie_crowd.store import tables

TAGS = {
    "Results": "What was submitted and published.",
    "Challenge": "Rules, claims, checklists, ranks.",
    "Evidence": "What results rest on: weights and predictions, and what came of looking at them.",
    "Charts": "The numbers behind charts.",
    "Exports": "Whole tables.",
    "People": "With a token that the operator gave out.",
}
ABOUT = """\
Everything the site shows, for programs. Reading needs no account; `ETag` and `If-None-Match` spare what has not
changed, and any page may read it (CORS). Writing needs `Authorization: Bearer TOKEN`. Every problem is one
`application/problem+json` object (RFC 9457). A result is told by its id, the SHA-256 of its canonical
JSON (RFC 8785)."""
# What every operation may answer, by what asks for it.
PROBLEMS = {
    400: "A parameter, or the body, is not what was asked for.",
    401: "There is no token, or it is not good.",
    403: "The account may not do this.",
    404: "There is no such result.",
    408: "The body did not come in time.",
    413: "The body is too long.",
    414: "The address is too long.",
    415: "The body is not plain application/json.",
    421: "This server is not the host that was asked for.",
    422: "The body is JSON of another form, or cannot be what it says.",
    429: "Too often; Retry-After says when to come back.",
    431: "There are too many headers, or one is too long.",
}
HEADERS = {
    "Link": "Where the other pages are (RFC 8288): first, prev, next, last.",
    "Location": "The address of the result in the API.",
    "Retry-After": "Seconds to wait.",
    "ETag": "What to send as If-None-Match.",
}


def document(operations: Iterable[Operation], base_path: str = "") -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ie_crowd",
            "version": _version(),
            "summary": "A crowd benchmark's results",
            "description": ABOUT,
        },
        "servers": [{"url": base_path + PREFIX}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
            "headers": {name: {"description": about, "schema": TEXT} for name, about in HEADERS.items()},
        },
    }


def _version() -> str:
    try:
        return importlib.metadata.version("ie-repr")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.where,
                "required": parameter.required,
                "description": parameter.about,
                "schema": dict(parameter.schema),
                **({"example": parameter.example} if parameter.example is not None else {}),
            }
            for parameter in operation.parameters
        ],
        "responses": {str(status): _answer(operation, status) for status in sorted(statuses(operation))},
    }
    if operation.about:
        found["description"] = operation.about
    if operation.role:
        found["security"] = [{"token": []}]
        found["description"] = f"{operation.about} Needs the role {operation.role}, or a higher one.".strip()
    elif operation.viewer:
        found["security"] = [{}, {"token": []}]
    if operation.body is not None:
        media: dict[str, Any] = {"schema": operation.body.schema}
        if operation.body.example is not None:
            media["example"] = operation.body.example
        about = f"{operation.body.about} At most {operation.body.limits.size:,} bytes."
        found["requestBody"] = {"required": True, "description": about, "content": {operation.body.media: media}}
    return found


def statuses(operation: Operation) -> set[int]:
    """Every status that an operation may answer with."""
    found = {*operation.answers, 400, 414, 421, 429, 431}
    if operation.role:
        found |= {401, 403}
    if operation.viewer:
        found |= {401}
    if operation.body is not None:
        found |= {408, 413, 415, 422}
    if any(parameter.where == "path" for parameter in operation.parameters):
        found |= {404}
    if operation.method == "GET" and not operation.role:
        found |= {304}
    return found


def _answer(operation: Operation, status: int) -> dict[str, Any]:
    answer = operation.answers.get(status)
    names = answer.headers if answer else ()
    if status == 304:
        return {"description": "Nothing has changed."}
    if status == 200 and operation.method == "GET" and not operation.role:
        names = (*names, "ETag")
    if status == 429:
        names = ("Retry-After",)
    found: dict[str, Any] = {"description": answer.about if answer else PROBLEMS[status]}
    if names:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    if status >= 400:
        found["content"] = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    elif answer is not None and answer.schema is not None:
        found["content"] = {answer.media: {"schema": answer.schema}}
        if operation.name == "exportTable":
            found["content"]["text/csv"] = {"schema": TEXT}
    return found


@functools.cache
def _result_schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema.SCHEMA.read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if not key.startswith("$")}


def _of_column(column: Column[Any]) -> dict[str, Any]:
    """The schema of what a list shows of a column; a result may have no submitter, and a withdrawn one no machine."""
    kinds: dict[type, str] = {str: "string", int: "integer", float: "number"}
    kind = kinds[column.type.python_type]
    nullable = column.nullable or column.table in (tables.submitter, tables.machine)
    return {"type": [kind, "null"] if nullable else kind}


def schemas() -> dict[str, Any]:
    """The schemas that several operations refer to."""
    metric = exactly(mean={"type": "number"}, sd=NUMBER, n=COUNT, ci95=NUMBER)
    told = {
        **{name: _of_column(column) for name, column in tables.LISTED.items()},
        "id": ID,
        "state": STATE,
        "received": MOMENT,
        "published": {"anyOf": [MOMENT, {"type": "null"}]},
        "created": MOMENT,
        "labels": LABELS_SHOWN,
        "division": {"enum": ["closed", "open"]},
        "variant": {**TEXT, "description": "What tells configurations of a method apart; empty: the closed one."},
        "runs": COUNT,
        "completed": COUNT,
        "evidence": {"enum": list(evidence.LEVELS), "description": "The level that the result has by itself."},
        "place": {**NULLABLE, "description": "Path in the folder or checkout that was taken in."},
        "metrics": by_name(metric),
    }
    run = exactly(
        number=COUNT,
        seed=INTEGER,
        label_seed=INTEGER,
        status={"enum": ["completed", "failed"]},
        epochs=COUNT,
        wall_seconds=NUMBER,
        images_per_second=NUMBER,
        model_sha256=NULLABLE,
        metrics=by_name({"type": "number"}),
    )
    reason = exactly(name=TEXT, evidence=TEXT, detail=TEXT)
    reason["example"] = {"name": "copy", "evidence": "/runs", "detail": f"holds the raw values of result {EXAMPLE_ID}"}
    uploaded_by = {**NULLABLE, "description": "Only for reviewers, and for that account."}
    return {
        "Problem": {
            **problem_details.SCHEMA,
            "example": {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no result …"},
        },
        "Reason": reason,
        "Row": exactly(**told),
        "Full": exactly(
            {"uploaded_by": uploaded_by},
            reproduced_by=array(TEXT),
            awaiting_word={
                **array(TEXT),
                "description": "Who agrees, and waits for a reviewer's word that the two are independent.",
            },
            independent_of={
                **array(exactly(name=TEXT, by=TEXT, note=TEXT, created=MOMENT)),
                "description": "From whom its submitter is independent, and which reviewer said so.",
            },
            unranked={**TEXT, "description": "Why it has no rank; empty where it has one, or where nothing is ranked."},
            draws=commitments.DRAWS,
            signed=signatures.SIGNED,
            **{**told, "runs": array(run)},
            reasons=array({"$ref": "#/components/schemas/Reason"}),
            rules_version=INTEGER,
            judged_version=INTEGER,
        ),
        "Result": _result_schema(),
    }
