"""The canonical form of a JSON document, on which the identity of a result rests: RFC 8785, the JSON canonicalisation.

UTF-8, no whitespace, keys sorted by UTF-16 code units, numbers as ECMAScript prints them: 1.0 and 1 are the same
value and the same bytes, in any language. Integers beyond 2^53 - 1 are refused, because other languages would round
them.
"""

from __future__ import annotations

import functools
import hashlib
import math
from json.encoder import encode_basestring
from typing import Any

from ie_crowd.formats import fast_json

LARGEST_INTEGER = 2**53 - 1


def canonical(document: Any) -> bytes:
    """The RFC 8785 form of a JSON value. Raises ValueError for what JSON cannot hold everywhere alike."""
    return _canonical(document).encode("utf-8")


def identity(document: dict[str, Any]) -> str:
    """SHA-256 (hex) of the canonical form of ``document`` without its own ``id``."""
    return identity_of(parts(document))


def parts(document: dict[str, Any]) -> dict[str, str]:
    """The canonical form of each value of a document whose keys are strings, in the order of its canonical form."""
    return {key: of_parsed(document[key]) for key in _sorted(document)}


def identity_of(known: dict[str, str]) -> str:
    """As ``identity``, of a document's ``parts``."""
    text = ",".join([f"{_canonical_key(key)}:{part}" for key, part in known.items() if key != "id"])
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()


def of_parsed(value: Any) -> str:
    """The canonical form of a value whose keys are strings (as all that JSON gives), as text: fast for large ones."""
    if type(value) in (dict, list):
        try:
            text = fast_json.sorted_text(value if _ordinary(value) else _whole_numbers(value))
        except OverflowError:
            text = None
        if text is not None:
            return text
    return _canonical(value)


def _ordinary(value: Any) -> bool:
    """Whether every number of a value is printed alike by all: a short decimal fraction or a safe integer."""
    for inner in value.values() if type(value) is dict else value:
        kind = type(inner)
        if kind is str:
            continue
        if kind is float:
            if inner.is_integer() or not 1e-4 < abs(inner) < 1e15:
                return False
        elif kind is int:
            if not -LARGEST_INTEGER <= inner <= LARGEST_INTEGER:
                return False
        elif (kind is dict or kind is list) and not _ordinary(inner):
            return False
    return True


def _whole_numbers(value: Any) -> Any:
    """The same value, with 2 for 2.0. Raises OverflowError for a number that encoders print in several ways."""
    kind = type(value)
    if kind is dict:
        return {key: inner if type(inner) is str else _whole_numbers(inner) for key, inner in value.items()}
    if kind is list:
        return [_whole_numbers(inner) for inner in value]
    if kind is float and not 1e-4 < abs(value) < 1e15 and value != 0:
        raise OverflowError
    if kind is int and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise OverflowError
    return int(value) if kind is float and value.is_integer() else value


def _canonical(value: Any) -> str:
    # The exact types first, by how often they come: a result is mostly strings in small objects.
    kind = type(value)
    if kind is str:
        return _canonical_string(value)
    if kind is dict:
        return "{" + ",".join([f"{_canonical_key(key)}:{_canonical(value[key])}" for key in _sorted(value)]) + "}"
    if kind is list or kind is tuple:
        return "[" + ",".join(map(_canonical, value)) + "]"
    if kind is float:
        return _canonical_float(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"the integer {value} is beyond 2^53 - 1")
        return str(value)
    bases: tuple[type[Any], ...] = (str, dict, list, float, int)
    for base in bases:
        if isinstance(value, base):
            return _canonical(base(value))
    raise ValueError(f"a {kind.__name__} has no canonical form")


def _sorted(document: dict[Any, Any]) -> list[str]:
    """The keys by their UTF-16 code units, which is the order of the characters themselves below U+D800."""
    if not all(type(key) is str for key in document):
        raise ValueError("a key that is not a string has no canonical form")
    if all(map(str.isascii, document)):
        return sorted(document)
    return sorted(document, key=lambda key: key.encode("utf-16-be", "surrogatepass"))


def _canonical_string(value: str) -> str:
    if not value.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise ValueError("a string with a lone surrogate has no canonical form")
    return encode_basestring(value)


# Keys are few and come again in every result.
_canonical_key = functools.lru_cache(maxsize=4096)(_canonical_string)


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
