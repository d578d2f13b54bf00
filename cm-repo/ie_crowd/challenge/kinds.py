"""The types that rules give the keys of a configuration, such as "integer or null"."""

from __future__ import annotations

import functools
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,)}
NULL = "null"


def is_of(value: Any, kind: str) -> bool:
    """Whether a value of JSON or YAML is of the type. 1.0 is the integer 1; true and false are no numbers."""
    names, types = _parsed(kind)
    if type(value) in types:  # most are, and millions are asked about
        return True
    if value is None:
        return NULL in names
    if isinstance(value, bool):
        return "boolean" in names
    if isinstance(value, float) and value.is_integer() and "integer" in names:
        return True
    return isinstance(value, types)


@functools.cache
def _parsed(kind: str) -> tuple[frozenset[str], tuple[type, ...]]:
    names = frozenset(kind.split(" or "))
    return names, tuple(one for name in names for one in TYPES.get(name, ()))
