"""What each recipe and task fixes among the settings of `config`, and what runs had before a setting was there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ie_model.facts.datasets import DatasetFacts

COLOUR_CLASSIFIER_WEIGHT = 10_000.0  # nats: the bound of a colour image is over 100 times that of a grey one
MOVED_WEIGHT = 100.0  # nats
# Settings that came later: what every run had before there was a choice.
BEFORE: dict[str, Any] = {
    "smoothness_until": 0.8,
    "eager": True,
    "pose_gain": 0.0,
    "free_nats": 0.0,
    "moved_ramp": 0.0,
    "recipe": "closed",
    "modulated": False,
    "decoder_norm": "batch",
    "complementary": "labelled",
    "complementary_groups": 1,
    "moments_weight": 0.0,
    "posed_weight": 0.0,
    "sum_tolerance": 0.0,
    "posed_images": 4096,
}
# The paper's objective from first step to last. A setting that would change it is refused in that recipe.
PAPERS: dict[str, Any] = {
    "pose_gain": 0.0,
    "labelled_decoded": 4096,
    "labelled_weight": 1.0,
    "warm_up_steps": 0,
    "kl_start": 1.0,
    "free_nats": 0.0,
    "balance_weight": 0.0,
    "smoothness_weight": 0.0,
    "complementary": "labelled",
    "complementary_groups": 1,
    "moments_weight": 0.0,
    "posed_weight": 0.0,
    "moved_weight": 0.0,
}
# Chosen on validation images, where the paper's text leaves it open to us.
PAPERS_TOLERANCE = 0.01  # nats
PAPERS_CHOICES: dict[str, Any] = {
    "sum_tolerance": PAPERS_TOLERANCE,
    "classifier_weight": 10.0,
    "modulated": False,
    "decoder_norm": "layer",
}
# What was never tried with all labels, nor on colours, is not done there.
UNTRIED: dict[str, Any] = {
    "modulated": False,
    "kl_start": 4.0,
    "complementary": "labelled",
    "complementary_groups": 1,
    "moments_weight": 0.0,
    "posed_weight": 0.0,
}
# With all labels free nats let v tell the class of real images more than it may, and a dearer v tells it less.
SUPERVISED_ON_IMAGES = {"kl_start": 5.0, "epochs": 30, "per_class": 15}
SUPERVISED_ON_GLYPHS = {"free_nats": 0.3}
# Classes that are never seen in training: chosen on validation classes, which are no part of either side.
NEW_CLASSES_LABELS = 4000  # 200 classes of 20 images each, or the fewest of the data set
NEW_CLASSES: dict[str, Any] = {
    "invariant_dim": 64,
    "batch_size": 96,
    "per_class": 6,
    "epochs": 8,
    "epoch_images": 14_400,
    "kl_start": 2.0,
    "classifier_weight": 10.0,
    "complementary": "labelled",
    "complementary_groups": 1,
    "moments_weight": 0.0,
    "posed_weight": 0.0,
    "judge_epochs": 12,
    "likelihood_images": 200,
}
NEW_CLASSES_SMOKE: dict[str, Any] = {"labels": 1000, "epoch_images": 1920, "judge_epochs": 4}
# Own data: about as many steps as on MNIST, however many images there are, and not too many labelled ones in a step
OWN_STEPS, OWN_MOST_EPOCHS, OWN_LABELLED_OF_STEP = 3500, 300, 200
OWN_JUDGED, OWN_PROBED, OWN_MOST_AGAIN = 220_000, 550_000, 100  # images that a judge and a probe learn from, in all
MANY_LABELS = 600  # from so many on more epochs lower the error further
MANY_LABELS_EPOCHS = 12
COLOUR_EPOCHS = 7  # a colour image takes longer: the default run is to stay under ten minutes


METHOD_NAMES = {"equivae": "EquiVAE", "m2": "M2", "q-only": "q(y|x) alone"}
RECIPE_NAMES = {"paper": "as in the paper", "closed": "improved", "open": "improved, with moved copies"}


def for_own_data(facts: DatasetFacts, supervision: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that follow the number of images and classes of a user's own data."""
    supervised = supervision == "supervised"
    per_class = max(2, min(15 if supervised else 5, OWN_LABELLED_OF_STEP // facts.classes, facts.smallest_class))
    batch = min(125, facts.train)
    of_step = facts.classes * per_class if supervised else batch
    steps = math.ceil(facts.train / (given.get("batch_size") or of_step))
    return {
        "per_class": per_class,
        "batch_size": batch,
        "epochs": min(OWN_MOST_EPOCHS, max(8, math.ceil(OWN_STEPS / steps))),
        "judge_epochs": min(OWN_MOST_AGAIN, max(4, math.ceil(OWN_JUDGED / facts.train))),
        "probe_epochs": min(OWN_MOST_AGAIN, max(10, math.ceil(OWN_PROBED / facts.train))),
    }


def name(method: str, recipe: str) -> str:
    """What figures and tables call a method and its recipe: "EquiVAE, improved"."""
    return f"{METHOD_NAMES.get(method, method)}, {RECIPE_NAMES.get(recipe, recipe)}"


def upgraded(stored: dict[str, Any]) -> dict[str, Any]:
    """Settings that an earlier version stored, with what has come since at the values of that time."""
    known = {name: value for name, value in stored.items() if name != "open"}
    if stored.get("open") is True:  # until there were three recipes there was this setting
        known["recipe"] = "open"
    return BEFORE | known
