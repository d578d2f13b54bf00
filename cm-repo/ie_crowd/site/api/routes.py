"""The JSON API under /api/v1: all its operations, and the description that is made from them."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

from starlette.responses import JSONResponse, Response

from ie_crowd.site.api import challenge, commitments, evidence, exports, openapi, people, results, signatures, upload
from ie_crowd.site.api.endpoint import routes_of
from ie_crowd.site.api.operations import TEXT, Answer, Call, Operation, array, by_name, exactly


def description(call: Call) -> Response:
    """The description of the API."""
    return JSONResponse(described(call.request.app.state.settings.base_path))


@functools.lru_cache(maxsize=8)
def described(base_path: str) -> dict[str, Any]:
    """The OpenAPI document of a site that lies at that path."""
    return openapi.document(OPERATIONS, base_path)


def _etag(call: Call) -> str:
    text = json.dumps(described(call.request.app.state.settings.base_path))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


OPERATIONS: tuple[Operation, ...] = (
    *results.OPERATIONS,
    upload.OPERATION,
    commitments.OPERATION,
    signatures.OPERATION,
    *evidence.OPERATIONS,
    *challenge.OPERATIONS,
    *exports.OPERATIONS,
    *people.OPERATIONS,
    Operation(
        "readDescription",
        "GET",
        "/openapi.json",
        "Challenge",
        "This description",
        description,
        {
            200: Answer(
                "OpenAPI 3.1.",
                exactly(
                    openapi=TEXT,
                    info=by_name({}),
                    servers=array(by_name(TEXT)),
                    tags=array(by_name(TEXT)),
                    paths=by_name(by_name({})),
                    components=by_name(by_name({})),
                ),
            )
        },
        etag=_etag,
    ),
)
routes = routes_of(OPERATIONS)
