"""A grid's axes as what Optuna may suggest, so that a search and a grid are asked for in the same words."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Axes = Mapping[str, Sequence[Any]]


class Suggests(Protocol):
    """The part of `optuna.Trial` that is used here."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None) -> float:
        """A number."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of some values that have no order."""


def suggested(trial: Suggests, axes: Axes) -> dict[str, Any]:
    """One value for each axis. An axis of evenly spaced numbers keeps its order, so that what lies between two good
    ones is tried; any other is a choice."""
    return {name: values[0] if len(values) == 1 else _one(trial, name, values) for name, values in axes.items()}


def searched(axes: Axes) -> list[str]:
    """The axes that have something to search for."""
    return [name for name, values in axes.items() if len(values) > 1]


def _one(trial: Suggests, name: str, values: Sequence[Any]) -> Any:
    step = _step(values)
    if step is None:
        return trial.suggest_categorical(name, list(values))
    low, high = values[0], values[-1]
    if all(isinstance(value, int) for value in values):
        return trial.suggest_int(name, low, high, step=step)
    near = trial.suggest_float(name, low, high, step=step)
    return min(values, key=lambda value: abs(value - near))  # the very number of the grid


def _step(values: Sequence[Any]) -> Any:
    """What lies between any two neighbours; None where that differs, or the values are no rising numbers."""
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return None
    steps = [after - before for before, after in itertools.pairwise(values)]
    even = steps[0] > 0 and all(abs(step - steps[0]) <= 1e-9 * abs(values[-1] - values[0]) for step in steps)
    return steps[0] if even else None
