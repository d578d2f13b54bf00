"""What is better than is believed: than the validation images say, or than runs of the reference allow.

Neither proves that somebody cheated. It is quarantined with its reason, and a reviewer has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ie_crowd.challenge.model import Challenge
from ie_crowd.ranking import significance


def too_good(
    validation: Mapping[str, Mapping[str, float]],
    values: Mapping[int, Mapping[str, float]],
    metric: str,
    gap: float | None,
) -> str:
    """Why a test error is lower than the validation error by more than chance gives; "" where it is not.

    Nothing is chosen by the test images, so a run errs on them about as often as on the validation images, which come
    from the same source. Both errors in %, compared by their pooled standard error.
    """
    for number, told in validation.items():
        test, images = values.get(int(number), {}).get(metric), told.get("validation_images", 0)
        if gap is None or test is None or "validation" not in told or images < 1:
            continue
        of_test = told.get("test_images", images)
        share = (told["validation"] * images + test * of_test) / (100 * (images + of_test))
        error = 100 * math.sqrt(share * (1 - share) * (1 / images + 1 / of_test))
        if error > 0 and told["validation"] - test > gap * error:
            return (
                f"run {number}: test error {test:.4g} %, validation error {told['validation']:.4g} %: lower by "
                f"{(told['validation'] - test) / error:.1f} standard errors, believed: {gap:g}"
            )
    return ""


def better_than_the_reference(
    document: Mapping[str, Any], values: Mapping[int, Mapping[str, float]], metric: str, challenge: Challenge
) -> str:
    """Why a run is better than one more run of the reference would be; "" where none is, or the rules know no mean.

    Of the closed division only: there method and settings are the reference's own, so its runs and these are draws of
    one distribution, and a prediction interval says where the next lies. An open method may be better.
    """
    known = challenge.evidence.spreads(document["task"], challenge.method(document["config"])).get(metric)
    if document["challenge"]["division"] != "closed" or known is None or known.mean is None:
        return ""
    half = significance.prediction_half(known.sd, known.runs, challenge.evidence.prediction)
    sign = 1 if challenge.metrics[metric].direction == "higher" else -1
    for number, found in sorted(values.items()):
        value = found.get(metric)
        if value is not None and sign * (value - known.mean) > half:
            within = f"{known.mean:.4g} ± {half:.2g} ({known.runs} runs, {100 * challenge.evidence.prediction:g} %)"
            return f"run {number}: {metric} is {value:.4g}; one more run of the reference would lie within {within}"
    return ""
