"""Bodies of forms, ``application/x-www-form-urlencoded``, read by limits: how large, which fields, how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ie_crowd.site.middleware.guard import LARGEST_BODY

KIND = "application/x-www-form-urlencoded"
MOST_FIELDS = 24
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


async def read(request: Request, longest: Mapping[str, int]) -> dict[str, str]:
    """The fields that ``longest`` names, with how many characters each may have; a missing one is "".

    Raises HTTPException (400, 413 or 415) for anything that a form of this site cannot have sent.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != KIND or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise HTTPException(415, f"A form comes as {KIND}.")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "A form comes as it is, not packed.")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise HTTPException(413, f"A form has at most {LARGEST_BODY:,} bytes.")
        parts.append(part)
    return parse(b"".join(parts), longest)


def parse(body: bytes, longest: Mapping[str, int]) -> dict[str, str]:
    """``read`` for the bytes of a body."""
    found = dict.fromkeys(longest, "")
    if not body:
        return found
    pairs = body.split(b"&", MOST_FIELDS)
    if len(pairs) > MOST_FIELDS:
        raise HTTPException(400, f"A form has at most {MOST_FIELDS} fields.")
    seen = set()
    for pair in pairs:
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _text(raw_name), _text(raw_value)
        if name not in longest:
            raise HTTPException(400, "The form has a field that this page does not know.")
        if name in seen:
            raise HTTPException(400, f"The field {name} came twice.")
        if len(value) > longest[name]:
            raise HTTPException(400, f"The field {name} has more than {longest[name]:,} characters.")
        seen.add(name)
        found[name] = value
    return found


def _text(raw: bytes) -> str:
    try:
        written = raw.decode("ascii")
        if _BROKEN.search(written):
            raise ValueError
        text = unquote_to_bytes(written.replace("+", " ")).decode("utf-8")
    except ValueError:
        raise HTTPException(400, "The form is not text in UTF-8.") from None
    if _CONTROL.search(text):
        raise HTTPException(400, "The form holds a control character.")
    return text
