"""JSON in and out at the speed of orjson where it is installed, for callers that can tell when its answer will not do.

orjson is stricter than Python's json in some things and laxer in others (it takes the last of two equal keys, and
writes NaN as null). So ``loads`` and ``dumps`` may say None, "ask the plain way", and never say what they know is not
so.
"""

from __future__ import annotations

import json
from typing import Any

orjson: Any
try:
    import orjson
except ImportError:  # part of the extra `site`: many results are read there
    orjson = None

_LITERALS = frozenset(("true", "false", "null"))
_BLANK = str.maketrans("[]{},:", "      ")


def text(value: Any) -> str:
    """Compact JSON to look at, not to keep: the keys in their own order."""
    if orjson is not None:
        try:
            return str(orjson.dumps(value), "utf-8")
        except TypeError:
            pass
    return json.dumps(value, ensure_ascii=False)


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

    What is returned has no two equal keys in one object, no integer of sixteen digits, no exponent: nothing in which
    two readers of JSON differ.
    """
    if orjson is None or not all(map(_plain_number, set(outside.translate(_BLANK).split()))):
        return None
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return document if _keys(document) == outside.count(":") else None


def _plain_number(token: str) -> bool:
    """A literal, a short integer, or a decimal fraction of ordinary length."""
    if token in _LITERALS:
        return True
    if "e" in token or "E" in token or token == "-0":  # noqa: S105 a number
        return False
    return len(token) < 16 or ("." in token and len(token) < 30)


def _keys(value: Any) -> int:
    """How many keys all objects of a document have."""
    kind = type(value)
    if kind is dict:
        count = len(value)
        for inner in value.values():
            if type(inner) is dict or type(inner) is list:
                count += _keys(inner)
        return count
    return sum([_keys(inner) for inner in value if type(inner) in (dict, list)]) if kind is list else 0
