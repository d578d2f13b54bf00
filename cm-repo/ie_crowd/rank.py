"""Ranks of one contest (task and division) by one metric, and what counts as reproduced. Pure functions.

**Who is ranked.** One entry for each submitter and method, as the rules tell methods apart, however much they upload.
All their results of one method are pooled by seed first: what two uploads say of the same seed and label draw is
averaged, for it is one draw seen twice, so neither many uploads nor the best of many make an entry better or more
certain. In the open division, where a method has variants, the entry is the submitter's variant with the best mean.
Failed runs have no value and are never averaged; an entry of fewer than three draws is listed without a rank.

**Which ranks.** Ranked entries are sorted by their means and fall into groups that share a rank. The best of a group
is compared with every entry behind it by Welch's t-test (two-sided; variances may differ, as they do between machines
and methods), the p-values corrected together by Holm's procedure, so that the chance of a single wrong difference among
them is at most 5 %. The group ends before the first entry that is significantly worse than its best, and a new group
begins there, with a rank of one more than the number of entries before it. (Groups that begin only where every pair
differs would be of no use: entries that lie close, each to the next, make one group of a whole long table.)

**Reproduced.** A submitter's result is reproduced when another submitter, on another machine and with weights of their
own, has a mean of the same contest, method and variant that agrees with it; both of three draws at least. Two means
agree if they differ by no more than the tolerance that the rules give the metric; where the rules give none, if Welch's
test finds no difference at 5 %.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ie_crowd.aggregate import mean_sd_ci95
from ie_crowd.challenge import Metric

FEWEST = 3
ALPHA = 0.05


@dataclass(frozen=True)
class Draw:
    """One run of one submitter; ``value`` is None for a failed run.

    ``method``: "" where the rules tell none apart; ``variant``: of the method, "" in the closed division.
    """

    submitter: str
    method: str
    machine: str
    seed: int
    label_seed: int
    value: float | None
    model_sha256: str | None = None
    result: str = ""
    variant: str = ""


@dataclass
class Entry:
    """A submitter's line with one method; ``mean``, ``sd``, ``ci95`` are in the metric's unit.

    ``rank`` is None for fewer than three draws.
    """

    submitter: str
    method: str
    variant: str
    mean: float
    sd: float | None
    ci95: float | None
    n: int
    failed: int
    results: list[str]
    machines: list[str]
    values: list[float] = field(repr=False)
    rank: int | None = None
    reproduced_by: list[str] = field(default_factory=list)


def standings(draws: Iterable[Draw], metric: Metric, tolerance: float | None = None) -> list[Entry]:
    """The entries of one contest: ranked ones by rank and mean, then the others by mean.

    ``tolerance``: by how much two means of the same method may differ to agree, in the metric's unit; None where the
    rules do not say.
    """
    draws = list(draws)
    entries = best_of_each(pooled(draws), metric)
    ranked = sorted((entry for entry in entries if entry.n >= FEWEST), key=lambda entry: order(entry, metric))
    for entry, place in zip(ranked, ranks([scored(entry.values, metric) for entry in ranked]), strict=True):
        entry.rank = place
    rest = sorted((entry for entry in entries if entry.n < FEWEST), key=lambda entry: order(entry, metric))
    mark_reproduced(ranked, draws, tolerance)
    return [*ranked, *rest]


def pooled(draws: Iterable[Draw]) -> list[Entry]:
    """One entry for each submitter, method and variant, its draws averaged by seed and label draw."""
    groups: dict[tuple[str, str, str], list[Draw]] = defaultdict(list)
    for draw in draws:
        groups[draw.submitter, draw.method, draw.variant].append(draw)
    entries = []
    for (submitter, method, variant), group in sorted(groups.items()):
        seeds: dict[tuple[int, int], list[float]] = defaultdict(list)
        for draw in group:
            if draw.value is not None:
                seeds[draw.seed, draw.label_seed].append(draw.value)
        if not seeds:
            continue
        values = [math.fsum(found) / len(found) for _, found in sorted(seeds.items())]
        mean, sd, ci95 = mean_sd_ci95(values)
        entries.append(
            Entry(
                submitter,
                method,
                variant,
                mean,
                sd,
                ci95,
                len(values),
                sum(draw.value is None for draw in group),
                sorted({draw.result for draw in group}),
                sorted({draw.machine for draw in group}),
                values,
            )
        )
    return entries


def best_of_each(entries: Iterable[Entry], metric: Metric) -> list[Entry]:
    """One entry for each submitter and method: of those with enough draws, if there is one, the best by its mean."""
    chosen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        other = chosen.get((entry.submitter, entry.method))
        if other is None or (entry.n < FEWEST, order(entry, metric)) < (other.n < FEWEST, order(other, metric)):
            chosen[entry.submitter, entry.method] = entry
    return list(chosen.values())


def order(entry: Entry, metric: Metric) -> tuple[float, str, str]:
    """What entries are sorted by: lower is better."""
    return scored([entry.mean], metric)[0], entry.submitter, entry.method


def scored(values: Sequence[float], metric: Metric) -> list[float]:
    """The values as something of which less is better: themselves, negated, or their distance from chance."""
    if metric.direction == "lower":
        return list(values)
    if metric.direction == "higher":
        return [-value for value in values]
    return [abs(value - (metric.chance or 0.0)) for value in values]


def ranks(groups: Sequence[Sequence[float]], alpha: float = ALPHA) -> list[int]:
    """The rank of each sample, given in the order of their means, best first. Each holds at least two values."""
    found: list[int] = []
    moments = list(map(_moments, groups))
    while len(found) < len(groups):
        first = len(found)
        behind = moments[first + 1 :]
        differ = holm(_compared([(moments[first], other) for other in behind]), alpha)
        size = 1 + (differ.index(True) if True in differ else len(behind))
        found += [first + 1] * size
    return found


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which of several tests reject, at a family-wise error of ``alpha`` (Holm's step-down procedure)."""
    rejected = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[index] > alpha / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected


def welch(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> list[float]:
    """Two-sided p-values of Welch's t-test, pair by pair; each sample holds at least two values.

    Where neither sample varies, equal means give 1 and different ones 0.
    """
    return _compared([(_moments(one), _moments(other)) for one, other in zip(left, right, strict=True)])


_Moments = tuple[float, float, int]  # mean, squared standard error of the mean, number


def _compared(pairs: Sequence[tuple[_Moments, _Moments]]) -> list[float]:
    from scipy.special import stdtr

    statistics, freedoms, known = [], [], {}
    for index, ((mean, a, n), (other_mean, b, other_n)) in enumerate(pairs):
        if a + b == 0:
            known[index] = 1.0 if mean == other_mean else 0.0
            statistics.append(0.0)
            freedoms.append(1.0)
            continue
        statistics.append(-abs(mean - other_mean) / math.sqrt(a + b))
        freedoms.append((a + b) ** 2 / (a * a / (n - 1) + b * b / (other_n - 1)))
    p_values = 2 * stdtr(freedoms, statistics)
    return [known.get(index, float(value)) for index, value in enumerate(p_values)]


def _moments(values: Sequence[float]) -> _Moments:
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n, n


def mark_reproduced(entries: Sequence[Entry], draws: Iterable[Draw], tolerance: float | None) -> None:
    """Fill ``reproduced_by`` of each entry with the submitters who agree with it independently."""
    weights: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for draw in draws:
        if draw.model_sha256 is not None:
            weights[draw.submitter, draw.method, draw.variant].add(draw.model_sha256)
    enough = [entry for entry in entries if entry.n >= FEWEST]
    pairs = [
        (one, other)
        for index, one in enumerate(enough)
        for other in enough[index + 1 :]
        if independent(one, other, weights)
    ]
    if tolerance is None:
        moments = {id(entry): _moments(entry.values) for entry in enough}
        agree = [p > ALPHA for p in _compared([(moments[id(one)], moments[id(other)]) for one, other in pairs])]
    else:
        agree = [abs(one.mean - other.mean) <= tolerance for one, other in pairs]
    for (one, other), agrees in zip(pairs, agree, strict=True):
        if agrees:
            one.reproduced_by.append(other.submitter)
            other.reproduced_by.append(one.submitter)
    for entry in enough:
        entry.reproduced_by.sort()


def independent(one: Entry, other: Entry, weights: Mapping[tuple[str, str, str], set[str]]) -> bool:
    """Whether two entries of the same method come from different people, on different machines, with own weights."""
    left, right = ((each.submitter, each.method, each.variant) for each in (one, other))
    return (
        one.submitter != other.submitter
        and left[1:] == right[1:]
        and (set(one.machines) != set(other.machines) or len(set(one.machines)) > 1)
        and not weights.get(left, set()) & weights.get(right, set())
    )
