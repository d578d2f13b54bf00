"""What an API says when something goes wrong: one JSON object of one form (RFC 9457, application/problem+json)."""

from __future__ import annotations

import http
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

MEDIA = "application/problem+json"
LONGEST = 500  # of what is said

# What the description of the API says of it.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, what was expected, what to do."},
        "reasons": {"type": "array", "items": {"$ref": "#/components/schemas/Reason"}},
    },
}


class Problem(Exception):
    """Ends the handling of a request with this status; ``detail`` is one line for a person.

    ``read``: bytes of the body that were read when it was given up. ``more``: members of the answer.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, *, read: int = 0, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.read, self.more = status, detail, dict(headers or {}), read, more


def response(status: int, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """The answer for a problem; ``more`` are members beside the standard's own."""
    title = http.HTTPStatus(status).phrase
    found = {"type": "about:blank", "title": title, "status": status, "detail": (detail or title)[:LONGEST], **more}
    return Response(
        json.dumps(found) + "\n", status, headers={**(headers or {}), "Cache-Control": "no-store"}, media_type=MEDIA
    )
