"""The canonical form of a JSON document, on which the identity of a result rests: RFC 8785, the JSON canonicalisation.

UTF-8, no whitespace, keys sorted by UTF-16 code units, numbers as ECMAScript prints them: 1.0 and 1 are the same
value and the same bytes, in any language. Integers beyond 2^53 - 1 are refused, because other languages would round
them.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

LARGEST_INTEGER = 2**53 - 1


def canonical(document: Any) -> bytes:
    """The RFC 8785 form of a JSON value. Raises ValueError for what JSON cannot hold everywhere alike."""
    return _canonical(document).encode("utf-8")


def identity(document: dict[str, Any]) -> str:
    """SHA-256 (hex) of the canonical form of ``document`` without its own ``id``."""
    return hashlib.sha256(canonical({key: value for key, value in document.items() if key != "id"})).hexdigest()


def _canonical(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            raise ValueError("a string with a lone surrogate has no canonical form")
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"the integer {value} is beyond 2^53 - 1")
        return str(value)
    if isinstance(value, float):
        return _canonical_float(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key that is not a string has no canonical form")
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_canonical(key)}:{_canonical(value[key])}" for key in keys) + "}"
    raise ValueError(f"a {type(value).__name__} has no canonical form")


def _canonical_float(value: float) -> str:
    """The number as ECMAScript's Number.prototype.toString prints it (Python's repr holds the same shortest digits)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS * 10^point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = f"e{point - 1:+d}"
    return sign + digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + tail
