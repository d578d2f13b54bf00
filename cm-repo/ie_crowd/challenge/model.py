"""A challenge: the paper, tasks, metrics, data and rules that its ``rules.yaml`` states, as typed values.

Nothing about any paper is written in this library; a folder with a ``rules.yaml`` is all that a new challenge needs.
The format of the file is described at the top of the file itself; `load` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_crowd.challenge import evidence
from ie_crowd.challenge.bands import Band
from ie_crowd.challenge.verification import Recipe

METHOD_LENGTH = 64  # characters: what a store keeps of the values that tell methods apart


@dataclass(frozen=True)
class Metric:
    """One metric: its unit, which way is better, the values it can take, and what guessing gives (if that matters).

    ``recompute`` and ``rerun`` are by how much, in the metric's unit, it may differ on another platform when it is
    computed again from the same weights, or after training again with the same seeds. None: the rules do not say.
    ``since``: the rules_version that it came with; results of earlier rules need not have it.
    """

    unit: str
    direction: str
    low: float
    high: float
    chance: float | None
    what: str
    recompute: float | None = None
    rerun: float | None = None
    since: int = 1


@dataclass(frozen=True)
class Pin:
    """What the closed division asks of one configuration key: one of some values, or a range."""

    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is what the rules pin."""
        if self.values:
            for allowed in self.values:  # noqa: SIM110 any() takes thrice as long, for each key of each result
                if same(value, allowed):
                    return True
            return False
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.values:
            return " or ".join(map(repr, self.values))
        return f"{'any' if self.low is None else self.low} to {'any' if self.high is None else self.high}"


@dataclass(frozen=True)
class Task:
    """A data set and a kind of supervision: the label counts of the closed division, metrics of every result.

    No ``labels``: any count.
    """

    dataset: str
    supervision: str
    labels: tuple[int | str, ...]
    metrics: tuple[str, ...]
    pinned: Mapping[str, Pin]
    pinned_by_labels: Mapping[int | str, Mapping[str, Pin]]  # besides, or instead, for some of the label counts
    bands: Mapping[str, tuple[Band, ...]]


@dataclass(frozen=True)
class Validity:
    """What makes runs count: how many must complete, how seeds are chosen, and which throughput is believable."""

    completed_runs: int
    first_seed: int | None  # closed division: run i has seed and label_seed first_seed + i; None: any
    images_per_second: float


@dataclass(frozen=True)
class Methods:
    """A configuration key that tells methods apart: the paper's own value, and the metrics that others cannot have."""

    paper: str
    without: Mapping[str, tuple[str, ...]]
    unnamed: bool = False  # a result that does not have the key is not named by it, instead of by the paper's value
    keeps: bool = False  # results with another value are asked whether they keep what the paper claims


@dataclass(frozen=True)
class Where:
    """What the closed division asks of configurations with certain values of some keys, beyond what it asks of all."""

    config: Mapping[str, Any]
    pinned: Mapping[str, Pin]

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether the configuration is one of these."""
        return all(key in config and same(config[key], value) for key, value in self.config.items())


@dataclass(frozen=True)
class Added:
    """A configuration key that came with later rules: with which version, and the value that all had before."""

    version: int
    before: Any


@dataclass(frozen=True)
class Challenge:
    """Everything that one ``rules.yaml`` states."""

    id: str
    rules_version: int
    paper: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    datasets: Mapping[str, Mapping[str, str | None]]  # file to SHA-256; None: not pinned
    splits: Mapping[str, str | None]
    tasks: tuple[Task, ...]
    config: Mapping[str, str]
    added: Mapping[str, Added]
    methods: Mapping[str, Methods]
    pinned: Mapping[str, Pin]
    pinned_where: tuple[Where, ...]
    validity: Validity
    verification: Mapping[str, Recipe]  # recompute and rerun, as far as the rules give them
    folder: Path
    evidence: evidence.Policy = evidence.DEFAULT
    earlier: tuple[Challenge, ...] = ()  # rules that stand for results of their version and before; the oldest first

    def of(self, result: Mapping[str, Any]) -> Challenge:
        """The rules that a result is judged by: those it was made under, where they are kept, else these."""
        made = result["challenge"]["rules_version"]
        return next((challenge for challenge in self.earlier if made <= challenge.rules_version), self)

    def task(self, dataset: str, supervision: str) -> Task | None:
        """The task of that data set and supervision, or None if the rules ask no such task."""
        for task in self.tasks:
            if (task.dataset, task.supervision) == (dataset, supervision):
                return task
        return None

    def method(self, config: Mapping[str, Any]) -> str:
        """The values of the keys that tell the method of a result from others; "" where the rules name no such key.

        A result without the key is from before there was a choice, and so of the paper's method, or not named by it.
        """
        named = (config.get(key, None if known.unnamed else known.paper) for key, known in self.methods.items())
        return ", ".join(str(value) for value in named if value is not None)[:METHOD_LENGTH]

    def unnamed(self, config: Mapping[str, Any]) -> bool:
        """Whether a result is from before its method had a name: whether it is the paper's own, nothing in it says."""
        return any(known.unnamed and key not in config for key, known in self.methods.items())

    def other_method(self, config: Mapping[str, Any]) -> str:
        """The key, value and the paper's own value where a result is of another method than the paper's, else ""."""
        return ", ".join(
            f"{key} {str(config[key])[:METHOD_LENGTH]} (the paper's: {known.paper})"
            for key, known in self.methods.items()
            if key in config and config[key] != known.paper
        )

    def should_keep(self, config: Mapping[str, Any]) -> str:
        """Key and value where a result is no more than another version of the paper's method, else ""."""
        others = [key for key, known in self.methods.items() if key in config and config[key] != known.paper]
        if not all(self.methods[key].keeps for key in others):
            return ""
        return ", ".join(f"{key} {str(config[key])[:METHOD_LENGTH]}" for key in others)

    def without(self, config: Mapping[str, Any]) -> frozenset[str]:
        """The metrics that a result with this configuration must not have."""
        return frozenset(
            name for key, known in self.methods.items() for name in known.without.get(str(config.get(key)), ())
        )

    def whole_config(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of a result, with the keys that its rules did not have yet at the values of that time."""
        made = result["challenge"]["rules_version"]
        before = {key: one.before for key, one in self.added.items() if made < one.version}
        return {**before, **result["config"]}

    def pins(self, task: Task, labels: Any, config: Mapping[str, Any] | None = None) -> dict[str, Pin]:
        """What the closed division asks of each configuration key in that task with so many labels, these included.

        ``config``: where the division asks otherwise of some configurations, which of them; None: of none.
        """
        where = {key: pin for some in self.pinned_where if some.holds(config or {}) for key, pin in some.pinned.items()}
        return {
            **self.pinned,
            **task.pinned,
            **task.pinned_by_labels.get(labels, {}),
            **where,
            **({"labels": Pin(values=task.labels)} if task.labels else {}),
        }

    def departures(self, task: Task, labels: Any, config: Mapping[str, Any]) -> list[str]:
        """The keys of ``config`` (and ``labels``) whose values depart from what the closed division pins, sorted."""
        pinned, config = self.pins(task, labels, config), {**config, "labels": labels}
        return sorted(key for key, pin in pinned.items() if key not in config or not pin.holds(config[key]))


def same(left: Any, right: Any) -> bool:
    """Equality of JSON scalars: 1 and 1.0 are the same number, true and 1 are not the same value."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)
