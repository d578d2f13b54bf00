"""Read and check the claims of a paper from ``claims.yaml``; ``check.claims`` tests results against them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_crowd.challenge.fields import Reader
from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import strict

CLAIMS = "claims.yaml"
COMPARISONS = ("at-most", "at-least", "below-metric", "near-chance")


@dataclass(frozen=True)
class Claim:
    """One statement of the paper. ``value`` and ``tolerance`` are in the metric's unit; None: nobody filled them in.

    ``tasks``: "dataset/supervision"; ``labels``: one label count, or None for all. ``other``: the metric that
    below-metric compares with, run by run. ``since``: the first rules_version whose results it is asked of.
    """

    id: str
    text: str
    tasks: tuple[str, ...]
    labels: int | str | None
    metric: str
    comparison: str
    value: float | None
    tolerance: float | None
    other: str | None
    threshold: str
    source: str
    since: int = 1


def load(folder: Path, challenge: Challenge) -> tuple[Claim, ...]:
    """The claims in ``folder/claims.yaml``, in its order; none if there is no such file.

    Raises ValueError naming the file, the claim, what it holds and what was expected.
    """
    path = folder / CLAIMS
    if not path.exists():
        return ()
    reader = Reader(strict.name_of(path))
    top = reader.mapping(strict.read_yaml(path), "the file", "claims", "published")  # published: for figures
    found = tuple(
        _claim(raw, f"claims[{index}]", reader, challenge)
        for index, raw in enumerate(reader.items(top["claims"], "claims"))
    )
    ids = [claim.id for claim in found]
    for claim_id in ids:
        if ids.count(claim_id) > 1:
            raise reader.fail("claims", claim_id, "an id that no other claim has")
    return found


def _claim(raw: Any, where: str, reader: Reader, challenge: Challenge) -> Claim:
    value = reader.mapping(
        raw, where, "id text tasks metric comparison tolerance source", "labels value other threshold since"
    )
    reader.names({reader.text(value["id"], f"{where}.id"): None}, f"{where}.id")
    comparison = reader.one_of(value["comparison"], f"{where}.comparison", COMPARISONS)
    if (comparison == "below-metric") != ("other" in value) or (comparison == "below-metric") == ("value" in value):
        raise reader.fail(where, sorted(value), "the key other with below-metric, and value with any other comparison")
    tasks = tuple(f"{task.dataset}/{task.supervision}" for task in challenge.tasks)
    numbers = {
        key: None if value.get(key) is None else reader.number(value[key], f"{where}.{key}")
        for key in ("value", "tolerance")
    }
    if (numbers["tolerance"] or 0) < 0:
        raise reader.fail(f"{where}.tolerance", numbers["tolerance"], "a number from 0")
    labels = value.get("labels")
    if labels not in (None, "all") and (isinstance(labels, bool) or not isinstance(labels, int)):
        raise reader.fail(f"{where}.labels", labels, "a whole number or all")
    metrics = tuple(challenge.metrics)
    return Claim(
        id=value["id"],
        text=reader.text(value["text"], f"{where}.text"),
        tasks=tuple(
            reader.one_of(task, f"{where}.tasks", tasks) for task in reader.items(value["tasks"], f"{where}.tasks")
        ),
        labels=labels,
        metric=reader.one_of(value["metric"], f"{where}.metric", metrics),
        comparison=comparison,
        **numbers,
        other=reader.one_of(value["other"], f"{where}.other", metrics) if "other" in value else None,
        threshold=str(value.get("threshold", "")),
        source=reader.text(value["source"], f"{where}.source"),
        since=int(reader.number(value.get("since", 1), f"{where}.since")),
    )
