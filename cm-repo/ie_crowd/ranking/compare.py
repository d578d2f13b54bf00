"""Results side by side: what differs in task, configuration, machine, software, cost and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ie_crowd.ranking import significance

SECTIONS = ("challenge", "task", "config", "system", "software", "cost", "provenance")


class Row(NamedTuple):
    """One line: ``left`` and ``right`` are JSON values, None where a side has none. ``p`` is for metrics only."""

    section: str
    name: str
    left: Any
    right: Any
    differs: bool
    p: float | None = None


class Cell(NamedTuple):
    """A metric of one of several results: its aggregate, None where it has none, and how far it lies from the best.

    ``behind``: this one minus the best; None for the best itself, and where a side has no value of any run.
    """

    aggregate: Mapping[str, Any] | None
    best: bool
    behind: significance.Difference | None


class Several(NamedTuple):
    """One line of several results: a cell, or a JSON value, for each."""

    section: str
    name: str
    cells: list[Any]


def best_of(documents: Sequence[Mapping[str, Any]], distance: Mapping[str, Callable[[float], float]]) -> list[Several]:
    """The metrics of several results of one task, each with the best mean and by how much the others differ from it.

    ``distance``: of a metric's value, less for what is better. A metric that it does not name has no best.
    """
    names = list(dict.fromkeys(name for document in documents for name in document["metrics"]))
    lines = []
    for name in names:
        found = [document["metrics"].get(name) for document in documents]
        how = distance.get(name)
        means = [how(one["value"]) if one and how else None for one in found]
        there = [mean for mean in means if mean is not None]
        first = means.index(min(there)) if len(there) > 1 else None
        best = _values(documents[first], name) if first is not None else {}
        cells = []
        for index, (document, aggregate) in enumerate(zip(documents, found, strict=True)):
            own = _values(document, name)
            behind = _behind(own, best) if own and best and index != first else None
            cells.append(Cell(aggregate, index == first, behind))
        lines.append(Several("metrics", name, cells))
    return lines


def _behind(own: Mapping[Any, float], best: Mapping[Any, float]) -> significance.Difference:
    """How far one lies from the best; a mean that only rounding of sums has left is none."""
    found = significance.difference(own, best)
    noise = 1e-12 * max(map(abs, (*own.values(), *best.values())))
    return found._replace(mean=0.0) if abs(found.mean) <= noise else found


def differing(documents: Sequence[Mapping[str, Any]]) -> list[Several]:
    """What is not the same in all of several results, by section; None where one has no such value."""
    lines = []
    for section in SECTIONS:
        flats = [flat(document[section]) for document in documents]
        for name in dict.fromkeys(name for one in flats for name in one):
            cells = [one.get(name) for one in flats]
            if not all(_same(cells[0], cell) for cell in cells[1:]):
                lines.append(Several(section, name, cells))
    return lines


def compare(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Row]:
    """Every line of two documents that the schema accepts, by section; metrics last.

    A metric's ``left`` and ``right`` are {value, sd, n, ci95}; it differs where a test over the runs finds a
    difference at 5 % (``p``): draw by draw where both have the same draws, by Welch else (``significance.difference``).
    With one run on a side there is nothing to test, and it differs if the values do.
    """
    rows = []
    for section in SECTIONS:
        one, other = (flat(document[section]) for document in (left, right))
        for name in [*one, *(name for name in other if name not in one)]:
            mine, theirs = one.get(name), other.get(name)
            rows.append(Row(section, name, mine, theirs, not _same(mine, theirs)))
    metrics = [*left["metrics"], *(name for name in right["metrics"] if name not in left["metrics"])]
    return rows + [_metric(name, left, right) for name in metrics]


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The scalars below a value by their names: nested keys joined by a space, packages by their own name."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= flat(inner, f"{name} {key}".strip())
        return found
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) and set(item) == {"name", "version"} for item in value):
            return {str(item["name"]): item["version"] for item in value}
        found = {}
        for number, inner in enumerate(value, 1):
            found |= flat(inner, f"{name} {number}".strip())
        return found
    return {name: value}


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _metric(name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> Row:
    shown = [
        {key: document["metrics"][name][key] for key in ("value", "sd", "n", "ci95")}
        if name in document["metrics"]
        else None
        for document in (left, right)
    ]
    values = [_values(document, name) for document in (left, right)]
    if not all(values) or (found := significance.difference(*values)).p is None:
        means = [row["value"] if row else None for row in shown]
        return Row("metrics", name, shown[0], shown[1], not _same(*means))
    return Row("metrics", name, shown[0], shown[1], found.p <= significance.ALPHA, found.p)


def _values(document: Mapping[str, Any], name: str) -> dict[tuple[int, int], float]:
    """A metric of each completed run, by its seed and label draw."""
    return {
        (run["seed"], run["label_seed"]): run["metrics"][name]
        for run in document["runs"]
        if run["status"] == "completed" and name in run["metrics"]
    }
