"""What a configuration may ask where some classes are never trained on: labels and episodes."""

from __future__ import annotations

from typing import Any

from ie_model.facts.datasets import DatasetFacts


def check_episodes(
    facts: DatasetFacts,
    *,
    dataset: str,
    supervision: str,
    method: str,
    labels: Any,
    batch_size: int,
    per_class: int,
) -> None:
    """Raise ValueError for settings that cannot be, in one line."""
    if not facts.unseen:
        return
    if supervision != "supervised" or method != "equivae":
        raise ValueError(
            f"{dataset} is about classes that no model has seen: expected supervision supervised and method "
            "equivae; every run trains M2 and a prototypical network beside it"
        )
    each = facts.each
    if not isinstance(labels, int) or labels % each or not 2 * each <= labels <= facts.train:
        raise ValueError(
            f"labels: got {labels}, expected {each} for each class to train on, from {2 * each} to {facts.train} "
            f"({facts.classes} classes)"
        )
    if batch_size < 2 * per_class:
        raise ValueError(
            f"batch_size: got {batch_size}, expected at least {2 * per_class}, two classes of per_class images"
        )
    if per_class > each:
        raise ValueError(f"per_class: got {per_class}, expected 2 to {each}, the images of a class")
