"""JSON in and out at the speed of orjson where it is installed, for callers that can tell when its answer will not do.

orjson is stricter than Python's json in some things and laxer in others (it takes the last of two equal keys, and
writes NaN as null). So ``loads`` and ``dumps`` may say None, "ask the plain way", and never say what they know is not
so.
"""

from __future__ import annotations

from typing import Any

orjson: Any
try:
    import orjson
except ImportError:  # part of the extra `site`: many results are read there
    orjson = None

_LITERALS = frozenset(("true", "false", "null"))
_BLANK = str.maketrans("[]{},:", "      ")


def sorted_text(value: Any) -> str | None:
    """Compact JSON with sorted keys, where that is plain ASCII; None where orjson cannot. NaN must not be in it."""
    if orjson is None:
        return None
    strict = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    try:
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | strict)
    except TypeError:
        return None
    return str(content, "ascii") if content.isascii() else None


def loads(content: str, outside: str) -> Any:
    """The JSON document, or None where the plain reader has to look at it; ``outside`` is the text but for its strings.

    ``content`` holds ASCII only, and no escapes but of quotation marks and backslashes.
    What is returned has no two equal keys in one object, no integer of sixteen digits, no exponent: nothing in which
    two readers of JSON differ.
    """
    if orjson is None or not _plain_numbers(set(outside.translate(_BLANK).split()) - _LITERALS):
        return None
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    # Written again, every string is as it was (nothing in it but ASCII, quotation marks and backslashes): the second of
    # two equal keys takes the place of the first, whose marks are missing then.
    return document if orjson.dumps(document).count(b'"') == content.count('"') else None


def _plain_numbers(tokens: set[str]) -> bool:
    """Whether all are short integers or decimal fractions of ordinary length, should they be numbers at all."""
    joined = "".join(tokens)
    if "e" in joined or "E" in joined or "-0" in tokens:
        return False
    return all(len(token) < 30 and "." in token for token in tokens if len(token) >= 16)
