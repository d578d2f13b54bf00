"""Check the fields of a challenge's YAML files, and of configurations by the types that its rules give them.

A refusal names file, place, value and what was expected. A type is a text such as "integer or null".
"""

from __future__ import annotations

import functools
import re
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,)}
NULL = "null"
_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_HASH = re.compile(r"[0-9a-f]{64}")


class Reader:
    """Checks of the values of one file, by whose ``name`` the messages begin. Every method raises ValueError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fail(self, where: str, got: Any, expected: str) -> ValueError:
        """The error to raise."""
        return ValueError(f"{self.name}: {where} is {got!r:.80}, expected {expected}")

    def mapping(self, value: Any, where: str, keys: str = "", optional: str = "") -> dict[str, Any]:
        """``value`` as a mapping; with ``keys``, exactly those and any of ``optional``."""
        if not isinstance(value, dict):
            raise self.fail(where, value, "a mapping")
        if keys:
            missing = [key for key in keys.split() if key not in value]
            unknown = [key for key in value if key not in (keys + " " + optional).split()]
            if missing or unknown:
                raise self.fail(where, sorted(value), f"the keys: {keys} {optional}".strip())
        return value

    def items(self, value: Any, where: str) -> list[Any]:
        """``value`` as a list."""
        if not isinstance(value, list):
            raise self.fail(where, value, "a list")
        return value

    def names(self, value: Any, where: str) -> dict[str, Any]:
        """A mapping whose keys are names."""
        for key in self.mapping(value, where):
            if not _NAME.fullmatch(key) or len(key) > 64:
                raise self.fail(where, key, "names of lower-case letters, digits and single - _ .")
        return value

    def number(self, value: Any, where: str) -> float:
        """``value`` as a number, which true and false are not."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(where, value, "a number")
        return value

    def text(self, value: Any, where: str) -> str:
        """``value`` as a text that is not empty."""
        if not isinstance(value, str) or not value:
            raise self.fail(where, value, "a text")
        return value

    def hash(self, value: Any, where: str) -> str | None:
        """A SHA-256, or None for one that is not pinned yet."""
        if value is None:
            return None
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise self.fail(where, value, "a SHA-256 in lower-case hex, or null")
        return value

    def one_of(self, value: Any, where: str, allowed: tuple[str, ...]) -> str:
        """``value`` as one of the allowed texts."""
        if value not in allowed:
            raise self.fail(where, value, " or ".join(allowed))
        return str(value)


def has_type(value: Any, kind: str) -> bool:
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
