"""What each setting of a configuration must be by itself: its type, its range, one of its choices."""

from __future__ import annotations

import dataclasses
from typing import Any


def choice(name: str, got: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``got`` is one of the ``choices``."""
    if got not in choices:
        raise ValueError(f"{name}: got {got!r}, expected one of: {', '.join(choices)}")


def kind(spec: dataclasses.Field, got: object) -> None:
    """Raise ValueError unless ``got`` is of the field's type."""
    expected = {
        "int": (int,),
        "float": (int, float),
        "str": (str,),
        "bool": (bool,),
        "int | str": (int, str),
    }[str(spec.type)]
    is_number_but_bool = isinstance(got, bool) and spec.type != "bool"
    if is_number_but_bool or not isinstance(got, expected):
        names = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
        raise ValueError(f"{spec.name}: got {got!r}, expected {names.get(str(spec.type), 'a whole number or all')}")


def interval(spec: dataclasses.Field, got: Any) -> None:
    """Raise ValueError unless ``got`` lies in the field's closed range."""
    low, high, unit = (spec.metadata[key] for key in ("low", "high", "unit"))
    # Written so that NaN, which compares false with everything, is refused too.
    if low is not None and not low <= got <= high:
        raise ValueError(f"{spec.name}: got {got}, expected {low} to {high}{' ' + unit if unit else ''}")
