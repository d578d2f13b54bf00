"""What the rules say about label draws that a server issues, where who submits may otherwise choose them.

In the open division runs may have any seeds, so the best of many could be handed in. A contest that asks for issued
draws ranks only results whose code and settings were committed to before the draws were known: see
``result/commitment.py`` for what is committed to, ``store/proofs/commitments.py`` for what a server does.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ie_crowd.challenge import moments
from ie_crowd.challenge.fields import Reader

DIVISION = "open"  # in the closed one the rules fix the draws
MOST_DRAWS = 100
GRID = "grid"  # placeholder: a file of the settings and draws


@dataclass(frozen=True)
class Issued:
    """``draws``: how many a server issues for a commitment. ``most``: commitments of one account in one contest within
    thirty days. ``since``: UTC; what came before is ranked as it was. ``argv``: the command that trains with them, with
    {grid}, a file of settings and draws, and {config.KEY}. ``datasets``: whose contests ask for it; none: all."""

    draws: int
    most: int
    since: str
    argv: Sequence[str] = ()
    datasets: Sequence[str] = ()

    def asked(self, dataset: str, division: str) -> bool:
        """Whether a contest of that data set and division ranks by issued draws only."""
        return division == DIVISION and (not self.datasets or dataset in self.datasets)

    def stands(self, received: str, created: str, uploaded: bool) -> bool:
        """Whether a result is from before, and ranked as it was: see ``moments``."""
        return moments.before(self.since, received, created, uploaded)

    def command(self, grid: str, config: Mapping[str, Any]) -> list[str]:
        """The argv of the training, from a file of settings and draws; [] where the rules state none."""
        return [
            "".join(text + _value(name, grid, config) for text, name, _, _ in string.Formatter().parse(part))
            for part in self.argv
        ]

    def apart(self) -> set[str]:
        """The settings that the command has as arguments of their own, and its file has not."""
        return {name.removeprefix("config.") for name in _names(self.argv) if name != GRID}


def _value(name: str | None, grid: str, config: Mapping[str, Any]) -> str:
    if name is None:
        return ""
    return grid if name == GRID else str(config[name.removeprefix("config.")])


def _names(argv: Iterable[str]) -> list[str]:
    return [name for part in argv for _, name, _, _ in string.Formatter().parse(part) if name is not None]


def parse(raw: Any, reader: Reader, datasets: Iterable[str], config: Iterable[str]) -> Issued | None:
    """The key ``evidence.issued`` of rules.yaml; None where it is absent. Raises ValueError naming the place."""
    if raw is None:
        return None
    where, known = "evidence.issued", tuple(datasets)
    value = reader.mapping(raw, where, "draws most since", "argv datasets")
    draws, most = (reader.number(value[name], f"{where}.{name}") for name in ("draws", "most"))
    if draws != int(draws) or not 1 <= draws <= MOST_DRAWS:
        raise reader.fail(f"{where}.draws", draws, f"a whole number from 1 to {MOST_DRAWS}")
    if most != int(most) or not 1 <= most <= 1000:
        raise reader.fail(f"{where}.most", most, "a whole number from 1 to 1000")
    since = moments.parse(value["since"], f"{where}.since", reader)
    argv = tuple(reader.text(part, f"{where}.argv") for part in reader.items(value.get("argv", []), f"{where}.argv"))
    allowed = {GRID, *(f"config.{key}" for key in config)}
    try:
        unknown = sorted(set(_names(argv)) - allowed)
    except ValueError:
        raise reader.fail(f"{where}.argv", argv, "placeholders {grid} and {config.KEY}") from None
    if unknown:
        raise reader.fail(f"{where}.argv", unknown[0], "placeholders {grid} and {config.KEY}")
    names = tuple(
        reader.one_of(one, f"{where}.datasets", known)
        for one in reader.items(value.get("datasets", []), f"{where}.datasets")
    )
    return Issued(int(draws), int(most), since, argv, names)
