"""The moment from which a key of the evidence policy stands: what is from before keeps the rank that it had."""

from __future__ import annotations

import re
from typing import Any

from ie_crowd.challenge.fields import Reader

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def parse(value: Any, where: str, reader: Reader) -> str:
    """A moment in UTC, as every table of a store holds it. Raises ValueError naming the place."""
    text = reader.text(value, where)
    if not _MOMENT.fullmatch(text):
        raise reader.fail(where, text, "a moment in UTC, quoted, as 2026-01-02T03:04:05Z")
    return text


def before(since: str, received: str, created: str, uploaded: bool) -> bool:
    """Whether a result is from before ``since``: by when it was received, or, if the operator took it in, was made.

    When it was made is what its document says, and nobody who uploads is asked for that.
    """
    return received < since or (not uploaded and created < since)
