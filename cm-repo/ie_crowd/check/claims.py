"""Test each claim of the paper against a result and the uncertainty of its runs.

A claim is a region of values that supports it. It passes when the 95 % confidence interval of the mean over runs lies
wholly inside, fails when it lies wholly outside, and is not evidenced when the interval straddles the border. A single
run has no interval, so it neither supports a claim nor contradicts it; on results of earlier rules its value decides.

The claims are about the paper's method (``claim.ID``). A result of another version of it is asked the same of its own
numbers: whether it keeps what the paper claims (``kept.ID``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ie_crowd.challenge.claims import CLAIMS, Claim
from ie_crowd.challenge.model import Challenge
from ie_crowd.check.finding import Item, State
from ie_crowd.result.aggregate import mean_sd_ci95


def check(result: Mapping[str, Any], claims: Sequence[Claim], challenge: Challenge) -> list[Item]:
    """One Item for each claim, in their order. Expects a result that the schema accepts."""
    return [_claimed(result, claim, challenge) for claim in claims]


def kept(result: Mapping[str, Any], claims: Sequence[Claim], challenge: Challenge) -> list[Item]:
    """Of a result of another version of the paper's method: one Item for each claim that is about its task."""
    if not challenge.should_keep(result["config"]):
        return []
    return [_measured(f"kept.{claim.id}", result, claim, challenge) for claim in claims if is_about(claim, result)]


def is_about(claim: Claim, result: Mapping[str, Any]) -> bool:
    """Whether a claim is about the result's task."""
    task = result["task"]
    return f"{task['dataset']}/{task['supervision']}" in claim.tasks and claim.labels in (None, task["labels"])


def _claimed(result: Mapping[str, Any], claim: Claim, challenge: Challenge) -> Item:
    name = f"claim.{claim.id}"
    if not is_about(claim, result):
        about = ", ".join(claim.tasks) + (f", {claim.labels} labels" if claim.labels is not None else "")
        return Item(name, "not applicable", "/task", f"is about {about}")
    if result["challenge"]["rules_version"] < claim.since:
        return Item(name, "not applicable", "/challenge", f"is asked of results under rules {claim.since} and later")
    if other := challenge.other_method(result["config"]):
        return Item(name, "not applicable", "/config", f"is about the paper's method; this result has {other}")
    return _measured(name, result, claim, challenge)


class Standing(NamedTuple):
    """How a result's runs lie to a claim: their mean, the half-width of its 95 % interval (None for one run), in the
    metric's unit ("" where it has none), what is asked, and the state that this comes to."""

    what: str
    mean: float
    half: float | None
    n: int
    unit: str
    asked: str
    state: State
    inside: bool  # whether the mean alone is what is asked


def standing(result: Mapping[str, Any], claim: Claim, challenge: Challenge) -> Standing | None:
    """None where the claim has no value, or no completed run its metric. Whose result it is about is not asked."""
    values = _values(result, claim)
    if claim.tolerance is None or (claim.value is None and claim.other is None) or not values:
        return None
    low, high = _region(claim)
    mean, _, half = mean_sd_ci95(values)
    strict = claim.comparison == "below-metric"
    inside = _state(mean, mean, low, high, strict) == "pass"
    state = _state(mean - (half or 0), mean + (half or 0), low, high, strict)
    if half is None and challenge.of(result) is challenge:
        state = "not evidenced"
    unit = challenge.metrics[claim.metric].unit
    what = f"{claim.metric} − {claim.other}" if claim.other else claim.metric
    return Standing(what, mean, half, len(values), "" if unit == "1" else unit, _asked(claim), state, inside)


def _measured(name: str, result: Mapping[str, Any], claim: Claim, challenge: Challenge) -> Item:
    pointer = f"/metrics/{claim.metric}"
    if claim.tolerance is None or (claim.value is None and claim.other is None):
        return Item(name, "not evidenced", pointer, f"no value in {CLAIMS}: source {claim.source}")
    found = standing(result, claim, challenge)
    if found is None:
        return Item(name, "not evidenced", pointer, f"no completed run has {claim.metric}")
    value = f"{found.mean:.4g}{'' if found.half is None else f' ± {found.half:.2g}'} {found.unit}".rstrip()
    shown = f"{found.what} {value}, asked: {found.asked}"
    counted = f"{shown}; n={found.n}" + ("" if found.half is not None else ": one run, its uncertainty is unknown")
    # The labels of another count are another task of the same method; any other departure is another method.
    departures = [key for key in result["challenge"]["departures"] if key != "labels"]
    if result["challenge"]["division"] == "open" and departures and not name.startswith("kept."):
        listed = ", ".join(departures[:3]) + (f" and {len(departures) - 3} more" if departures[3:] else "")
        return Item(name, "not evidenced", pointer, f"departs from the method in {listed}; {counted}")
    if found.half is None and found.state == "not evidenced":
        where = "inside" if found.inside else "outside"
        return Item(name, "not evidenced", pointer, f"one run, {where} of what is asked: {shown}")
    return Item(name, found.state, pointer, counted)


def _values(result: Mapping[str, Any], claim: Claim) -> list[float]:
    """The metric of each completed run, or its difference to the other metric of the same run."""
    runs = [run["metrics"] for run in result["runs"] if run["status"] == "completed" and claim.metric in run["metrics"]]
    if claim.other is None:
        return [run[claim.metric] for run in runs]
    return [run[claim.metric] - run[claim.other] for run in runs if claim.other in run]


def _region(claim: Claim) -> tuple[float, float]:
    """The values that support the claim, from and to."""
    tolerance, value = claim.tolerance or 0.0, claim.value or 0.0
    if claim.comparison == "at-most":
        return -math.inf, value + tolerance
    if claim.comparison == "at-least":
        return value - tolerance, math.inf
    if claim.comparison == "near-chance":
        return value - tolerance, value + tolerance
    if claim.comparison == "below-metric":
        return -math.inf, tolerance
    raise AssertionError(claim.comparison)


def _state(low: float, high: float, supports_from: float, supports_to: float, strict: bool) -> Any:
    """How the interval from ``low`` to ``high`` lies to the supporting region; ``strict``: its end is outside of it."""
    if low >= supports_from and (high < supports_to if strict else high <= supports_to):
        return "pass"
    if high < supports_from or (low >= supports_to if strict else low > supports_to):
        return "fail"
    return "not evidenced"


def _asked(claim: Claim) -> str:
    low, high = _region(claim)
    if claim.comparison == "near-chance":
        return f"{low:g} to {high:g}"
    if claim.comparison == "below-metric":
        return f"below {high:g}"
    return f"at most {high:g}" if math.isinf(low) else f"at least {low:g}"
