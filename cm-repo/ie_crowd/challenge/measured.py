"""What the rules say about how a result is measured, and by which rules it was made, where a rank asks for it.

The open division leaves settings free, those that measure among them: a probe of one epoch reads little, so that little
seems to leak; likelihoods of binarised images are other numbers. And a result is checked by the rules that it names:
whoever names old ones chooses draws on which settings were chosen, and need not have newer metrics. A check allows
both, for results of that time; a rank asks for the measure of the closed division, and for rules that are not older.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ie_crowd.challenge import moments
from ie_crowd.challenge.fields import Reader
from ie_crowd.challenge.fixed import Fixed

DIVISION = "open"  # the closed one pins them already


@dataclass(frozen=True)
class Measured:
    """``settings``: what measures. ``since``: UTC. ``of``: by data set and supervision, what the closed one pins."""

    settings: tuple[str, ...]
    since: str
    of: Mapping[tuple[str, str], Mapping[str, Any]]

    def fixed(self, dataset: str, supervision: str) -> Fixed | None:
        """What a rank of the open division asks for in that task; None where nothing is pinned."""
        config = self.of.get((dataset, supervision))
        return Fixed(config, {}, self.since) if config else None


@dataclass(frozen=True)
class Made:
    """``least``: the rules_version that a rank asks for. ``since``: UTC."""

    least: int
    since: str

    def why(self, version: int) -> str:
        """Why a result of those rules has no rank; "" where it may have one."""
        return "" if version >= self.least else f"made under rules {version}, asked: {self.least} or later"


def parse(raw: Any, reader: Reader, config: Mapping[str, str]) -> Measured | None:
    """The key ``evidence.measured`` of rules.yaml; None where it is absent. Raises ValueError naming the place.

    What is asked for of each task stands elsewhere in the rules: ``of`` is filled in when they are read.
    """
    if raw is None:
        return None
    where = "evidence.measured"
    value = reader.mapping(raw, where, "settings since")
    settings = tuple(
        reader.one_of(key, f"{where}.settings", tuple(config))
        for key in reader.items(value["settings"], f"{where}.settings")
    )
    if not settings:
        raise reader.fail(f"{where}.settings", [], "at least one configuration key")
    return Measured(settings, moments.parse(value["since"], f"{where}.since", reader), {})


def parse_made(raw: Any, reader: Reader, newest: int) -> Made | None:
    """The key ``evidence.made_under``; None where it is absent. ``newest``: the version of these rules."""
    if raw is None:
        return None
    where = "evidence.made_under"
    value = reader.mapping(raw, where, "least since")
    least = value["least"]
    if isinstance(least, bool) or not isinstance(least, int) or not 1 <= least <= newest:
        raise reader.fail(f"{where}.least", least, f"a rules_version from 1 to {newest}")
    return Made(least, moments.parse(value["since"], f"{where}.since", reader))
