"""What the curves and figures of a challenge's runs show, from its ``captions.yaml``: words only, nothing is judged.

A challenge without that file gets the names themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ie_crowd import document

CAPTIONS = "captions.yaml"


class Curve(NamedTuple):
    """Unit and meaning of one key of metrics.jsonl."""

    unit: str
    what: str


@dataclass(frozen=True)
class Captions:
    """``curves`` by key of metrics.jsonl; ``figures`` by name without .png, None: left out of the page. In order."""

    curves: dict[str, Curve] = field(default_factory=dict)
    figures: dict[str, str | None] = field(default_factory=dict)


def load(folder: Path) -> Captions:
    """Read ``folder/captions.yaml``; no such file gives no captions. Raises ValueError naming what is wrong."""
    path = folder / CAPTIONS
    if not path.exists():
        return Captions()
    name, raw = document.name_of(path), document.read_yaml(path)
    if not isinstance(raw, dict) or set(raw) - {"curves", "figures"}:
        raise ValueError(f"{name}: expected the keys curves and figures")
    curves = {}
    for key, value in _mapping(raw.get("curves", {}), f"{name}: curves").items():
        if not isinstance(value, dict) or set(value) != {"unit", "what"}:
            raise ValueError(f"{name}: curves.{key} is {value!r:.80}, expected the keys unit and what")
        curves[key] = Curve(
            _text(value["unit"], f"{name}: curves.{key}"), _text(value["what"], f"{name}: curves.{key}")
        )
    figures = _mapping(raw.get("figures", {}), f"{name}: figures").items()
    return Captions(curves, {key: value and _text(value, f"{name}: figures.{key}") for key, value in figures})


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r:.80}, expected a mapping")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} holds {value!r:.80}, expected a text")
    return value
