"""A grid: for each axis (data set, recipe, labels, draws, any setting) the values to combine, a filter and a budget.

It comes from a YAML file, from flags, or from both (a flag replaces the file's axis). Nothing is expanded before the
number of runs is known: a grid of a million million runs is refused as fast as one of two.
"""

import difflib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ie_crowd.formats import strict

from ie_model.config import DATASETS, METHODS, RECIPES, SUPERVISIONS, Config

TASK = ("dataset", "supervision", "method", "recipe", "labels", "smoke", "epochs", "threads")
CHOICES = {
    "dataset": tuple(DATASETS),
    "supervision": SUPERVISIONS,
    "method": METHODS,
    "recipe": RECIPES,
}
NOT_AXES = {"seed": "draws", "label_seed": "draws", "device": "the flag --device"}
TYPES = {"draws": "int"} | {spec.name: str(spec.type) for spec in fields(Config) if spec.name not in NOT_AXES}
RESERVED = ("draws", "except", "only", "runs", "hours")
NAMES = (*TASK, *(name for name in TYPES if name not in TASK), *RESERVED)
ASK_FROM = 1_000  # runs; from there on --yes is needed
RUNS_MAX = 1_000_000
DRAWS_MAX = 1_000
VALUES_MAX = 10_000
RANGE = re.compile(
    r"(-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)\.\.(-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)(?:/([0-9]+(?:\.[0-9]+)?))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Grid:
    """Axes in the order in which they were named, each with its values; what is left out or alone taken; the budget."""

    axes: Mapping[str, Sequence[Any]]
    draws: Sequence[int] | int  # how many from the challenge's first one, or which
    left_out: Sequence[Mapping[str, Any]] = ()
    only: Sequence[Mapping[str, Any]] = ()
    runs: int | None = None
    hours: float | None = None

    def size(self) -> int:
        """Runs before the filter and the budget."""
        return math.prod(len(values) for values in self.axes.values()) * len(self.draw_list(0))

    def draw_list(self, first: int) -> list[int]:
        """Seed and label draw of each run of a cell."""
        return list(range(first, first + self.draws)) if isinstance(self.draws, int) else list(self.draws)

    def combinations(self) -> Iterator[dict[str, Any]]:
        """One dict of values for each cell that the filter lets through."""
        for values in itertools.product(*self.axes.values()):
            found = dict(zip(self.axes, values, strict=True))
            if self.keeps(found):
                yield found

    def keeps(self, found: Mapping[str, Any]) -> bool:
        """Whether the filter lets a cell with these values through."""
        kept = not self.only or any(_fits(found, one) for one in self.only)
        return kept and not any(_fits(found, one) for one in self.left_out)

    def text(self) -> dict[str, Any]:
        """The grid as JSON values: what must be the same to go on."""
        return {
            "axes": {name: list(values) for name, values in self.axes.items()},
            "draws": self.draws if isinstance(self.draws, int) else list(self.draws),
            "except": [dict(one) for one in self.left_out],
            "only": [dict(one) for one in self.only],
            "runs": self.runs,
            "hours": self.hours,
        }


def read(file: Path | None, given: Mapping[str, Any]) -> Grid:
    """The grid of a file, with what flags give in place of the file's. Raises ValueError with one line."""
    asked: dict[str, Any] = {}
    if file is not None:
        found = strict.read_yaml(file)
        if not isinstance(found, dict):
            raise ValueError(f"--grid={file}: expected axes with their values, such as 'labels: [100, 600]'")
        asked.update({str(name).replace("-", "_"): value for name, value in found.items()})
    asked.update({name.replace("-", "_"): value for name, value in given.items()})
    for name in asked:
        refuse_unknown(name)
    if not asked:
        raise ValueError("the grid is empty: give --grid=FILE, or axes such as --dataset=glyphs --labels=100,600")
    axes = {name: _values(name, value) for name, value in asked.items() if name not in RESERVED}
    axes = {"dataset": ["mnist"], **axes} if "dataset" not in axes else axes
    grid = Grid(
        axes=axes,
        draws=_draws(asked.get("draws", 1)),
        left_out=_filter("except", asked.get("except"), axes),
        only=_filter("only", asked.get("only"), axes),
        runs=None if asked.get("runs") is None else int(_one("runs", asked["runs"], "int", low=1)),
        hours=None if asked.get("hours") is None else float(_one("hours", asked["hours"], "float", low=0)),
    )
    if grid.size() == 0:
        raise ValueError("the grid is empty: an axis has no value")
    return grid


def refuse_unknown(name: str) -> None:
    """Raise ValueError unless this is an axis, the filter or the budget; the nearest name is suggested."""
    if name in NOT_AXES:
        raise ValueError(f"{name} is no axis of a grid: use {NOT_AXES[name]}")
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown setting {name!r}: {hint}`ie-model info` lists them, beside {', '.join(RESERVED)}")


def _values(name: str, asked: Any) -> list[Any]:
    """The values of one axis: a list, one value, or a text of both ("100,600", "1..5", "0.5..2/0.5")."""
    parts: list[Any] = []
    for one in asked if isinstance(asked, list) else [asked]:
        parts += one.split(",") if isinstance(one, str) else [one]
    found: list[Any] = []
    for part in parts:
        text = part.strip() if isinstance(part, str) else part
        if text == "":
            continue
        span = RANGE.fullmatch(text) if isinstance(text, str) else None
        found += _range(name, text, span) if span else [_one(name, text, TYPES[name])]
        if len(found) > VALUES_MAX:
            raise ValueError(f"{name}: more than {VALUES_MAX:,} values; expected fewer")
    if len(set(map(repr, found))) != len(found):
        raise ValueError(f"{name}: a value comes twice in {asked!r:.60}; expected each once")
    if not found:
        raise ValueError(f"the grid is empty: {name} has no value")
    return found


def _range(name: str, text: str, span: re.Match[str]) -> list[Any]:
    kind = TYPES.get(name, "int")
    if kind not in ("int", "float", "int | str"):
        raise ValueError(f"{name}={text}: expected {_expected(name, kind)}, no range")
    low, high = _one(name, span[1], kind), _one(name, span[2], kind)
    step = 1 if span[3] is None else _one(name, span[3], kind)
    if step <= 0 or high < low:
        raise ValueError(f"{name}={text}: expected a range from low to high, such as 1..5 or 0.5..2/0.5")
    count = math.floor((high - low) / step + 1e-9) + 1
    if count > VALUES_MAX:
        raise ValueError(f"{name}={text}: {count:,} values, expected at most {VALUES_MAX:,}")
    return (
        [low + i * step for i in range(count)] if kind != "float" else [round(low + i * step, 12) for i in range(count)]
    )


def _one(name: str, asked: Any, kind: str, low: float | None = None) -> Any:
    """One value in its setting's type."""
    text = str(asked).strip()
    found: Any = None
    if kind == "bool" and text.lower() in ("true", "false", "yes", "no"):
        found = text.lower() in ("true", "yes")
    elif "int" in kind and re.fullmatch(r"-?[0-9]{1,12}", text) and not isinstance(asked, (bool, float)):
        found = int(text)
    elif kind == "float" and not isinstance(asked, bool) and re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", text.lower()):
        found = float(text) if text.count(".") <= 1 and text.strip("-.") else None
    elif (kind == "int | str" and text == "all") or (kind == "str" and isinstance(asked, str)):
        found = text
    if found is None or (low is not None and found < low) or (name in CHOICES and found not in CHOICES[name]):
        raise ValueError(f"{name}={text:.60}: expected {_expected(name, kind)}")
    return found


def _expected(name: str, kind: str) -> str:
    if name in CHOICES:
        return f"one of {', '.join(CHOICES[name])}"
    return {
        "int": "a whole number", "float": "a number", "bool": "true or false", "int | str": "a whole number or all",
    }.get(kind, "a text")  # fmt: skip


def _draws(asked: Any) -> Sequence[int] | int:
    """How many draws (5), or which (100..104, or 3,7)."""
    if isinstance(asked, int) and not isinstance(asked, bool):
        asked = str(asked)
    if isinstance(asked, str) and asked.strip().isdigit():
        count = int(asked)
        if not 1 <= count <= DRAWS_MAX:
            raise ValueError(f"draws={asked}: expected 1 to {DRAWS_MAX} of them, or which, such as 100..104")
        return count
    found = _values("draws", asked)
    if len(found) > DRAWS_MAX or min(found) < 0 or max(found) >= 2**31:
        raise ValueError(f"draws={asked!r:.60}: expected at most {DRAWS_MAX} of them, each from 0 to 2147483647")
    return found


def _filter(name: str, asked: Any, axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Combinations of values, from [{method: m2, labels: 100}] or "method=m2 labels=100; recipe=paper"."""
    if asked is None:
        return []
    if isinstance(asked, str):
        pairs = [[word.partition("=")[::2] for word in part.split()] for part in asked.split(";") if part.strip()]
        asked = [{key: value.split("|") for key, value in one} for one in pairs]
    if not isinstance(asked, list) or not all(isinstance(one, dict) and one for one in asked):
        raise ValueError(f'{name}: expected combinations, such as --{name}="method=m2 labels=100; recipe=paper"')
    found = []
    for one in asked:
        combination = {}
        for key, value in one.items():
            if key not in axes:
                near = difflib.get_close_matches(str(key), list(axes), n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(f"{name}: {key} is no axis of this grid: {hint}it has {', '.join(axes)}")
            combination[key] = _values(key, value)
            for wanted in combination[key]:
                if wanted not in axes[key]:
                    raise ValueError(f"{name}: the grid has no {key}={wanted}: expected one of {_list(axes[key])}")
        found.append(combination)
    return found


def _list(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:8]))
    return shown + (", …" if len(values) > 8 else "")


def _fits(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(found[key] in values for key, values in wanted.items())
