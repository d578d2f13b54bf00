"""Which tasks `_references` runs, and how long a run of each kind takes.

The reference results are what other people's are held against. The seconds are for the estimate before work starts;
as soon as one task is done, the machine's own pace corrects them.
"""

from collections.abc import Mapping
from typing import Any

RUNS, RUNS_ELSEWHERE = 10, 5  # label draws of MNIST's default task, which others are compared with, and of other tasks
DEFAULT: Mapping[str, Any] = {}
MANY = ({"labels": 600}, {"labels": 1000}, {"labels": 3000})
ALL = {"supervision": "supervised"}


def _with_both_recipes(*asked: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"seeds": RUNS_ELSEWHERE, "recipe": recipe, **one} for recipe in ("closed", "paper") for one in asked)


# data set -> what each task asks for beyond the defaults; first what most is compared with.
REFERENCES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "mnist": (
        *(
            {"seeds": RUNS, "method": method, "recipe": recipe}
            for method in ("equivae", "m2", "q-only")
            for recipe in ("closed", "paper", "open")
        ),
        *_with_both_recipes(*MANY, ALL),
    ),
    "fashion-mnist": _with_both_recipes(DEFAULT, *MANY, ALL),
    "glyphs": _with_both_recipes(DEFAULT, ALL),
}

# (method, supervision, recipe) -> CPU seconds of one epoch on MNIST, one thread of an AMD EPYC that multiplies matrices
# at 34 GFLOP/s: 15 steps times their number; paper, EquiVAE: the mean of seven epochs, since its steps get cheaper, and
# M2 in proportion
EPOCH_SECONDS = {
    ("equivae", "semi-supervised", "closed"): 84.0,
    ("m2", "semi-supervised", "closed"): 73.0,
    ("q-only", "semi-supervised", "closed"): 32.0,
    ("equivae", "semi-supervised", "paper"): 84.0,
    ("m2", "semi-supervised", "paper"): 80.0,
    ("q-only", "semi-supervised", "paper"): 39.0,
    ("equivae", "semi-supervised", "open"): 110.0,
    ("m2", "semi-supervised", "open"): 96.0,
    ("q-only", "semi-supervised", "open"): 55.0,
    ("equivae", "supervised", "closed"): 50.0,
    ("equivae", "supervised", "paper"): 49.0,
}
REST_SECONDS = 120.0  # control, evaluation and figures of a run there
SIZES: Mapping[str, float] = {"mnist": 1.0, "fashion-mnist": 1.0, "glyphs": 0.3}  # by their numbers of images


def check(env: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Raise ValueError for what `_references` decides itself, and for a data set that has none."""
    dataset = env.get("CM_IE_DATASET", "")
    if dataset not in REFERENCES:
        raise ValueError(f"_references: {dataset} has none, expected one of {', '.join(REFERENCES)}")
    asked = [f"--{flag}={texts[flag]}" for flag in ("labels", "seeds", "epochs", "threads") if flag in texts]
    asked += [f"_{method}" for method in [env.get("CM_IE_METHOD")] if method not in (None, "", "equivae")]
    asked += [f"_{recipe}" for recipe in [env.get("CM_IE_RECIPE")] if recipe]
    asked += ["_supervised"] if env.get("CM_IE_SUPERVISION") == "supervised" else []
    if asked:
        raise ValueError(f"{asked[0]} contradicts the variation _references, which has a list of tasks: leave one out")


def seconds(method: str, dataset: str, supervision: str, recipe: str, epochs: int) -> float | None:
    """About how long one run takes on a core; None where nobody has measured it."""
    epoch = EPOCH_SECONDS.get((method, supervision, recipe))
    return (epochs * epoch + REST_SECONDS) * SIZES[dataset] if epoch is not None and dataset in SIZES else None
