"""What the curves and figures of a challenge's runs show, from its ``captions.yaml``: words only, nothing is judged.

A challenge without that file gets the names themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ie_crowd.challenge.fields import Reader
from ie_crowd.formats import strict

CAPTIONS = "captions.yaml"


class Curve(NamedTuple):
    """Unit and meaning of one key of metrics.jsonl."""

    unit: str
    what: str


@dataclass(frozen=True)
class Captions:
    """``curves`` by key of metrics.jsonl; ``figures`` by name without .png, None: left out of the page. In order.

    ``headline``: what is said beside the headline numbers; "": nothing.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    figures: dict[str, str | None] = field(default_factory=dict)
    headline: str = ""


def load(folder: Path) -> Captions:
    """Read ``folder/captions.yaml``; no such file gives no captions. Raises ValueError naming what is wrong."""
    path = folder / CAPTIONS
    if not path.exists():
        return Captions()
    reader = Reader(strict.name_of(path))
    top = {"curves": {}, "figures": {}, "headline": "", **reader.mapping(strict.read_yaml(path), "the file")}
    reader.mapping(top, "the file", "curves figures headline")
    curves = {}
    for key, raw in reader.mapping(top["curves"], "curves").items():
        value = reader.mapping(raw, f"curves.{key}", "unit what")
        curves[key] = Curve(*(reader.text(value[word], f"curves.{key}.{word}") for word in ("unit", "what")))
    figures = reader.mapping(top["figures"], "figures").items()
    shown = {key: raw if raw is None else reader.text(raw, f"figures.{key}") for key, raw in figures}
    return Captions(curves, shown, top["headline"] and reader.text(top["headline"], "headline"))
