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

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ie_crowd.challenge.model import Metric
from ie_crowd.result.aggregate import mean_sd_ci95

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 3
ALPHA = 0.05
AT_ONCE = 200_000  # pairs that are compared at once: what bounds the memory of it
NORMAL, TWO_FREEDOMS = (
    1.9599,
    4.3027,
)  # 97.5 % quantiles of Student's t, of infinitely many and of two, rounded outwards


class Draw(NamedTuple):
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
    moments = _moments(groups)
    while len(found) < len(groups):
        first = len(found)
        behind = moments[:, first + 1 :]
        differ = holm(_compared(moments[:, first : first + 1], behind).tolist(), alpha)
        size = 1 + (differ.index(True) if True in differ else len(differ))
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
    return _compared(_moments(left), _moments(right)).tolist()


def _compared(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """The p-values of samples given by their moments, column by column; one column is compared with all of many."""
    import numpy as np
    from scipy.special import stdtr

    (mean, a, n), (other_mean, b, other_n) = left, right
    both = a + b
    with np.errstate(divide="ignore", invalid="ignore"):  # where neither varies, which comes below
        statistics = -np.abs(mean - other_mean) / np.sqrt(both)
        freedoms = 1 / ((a / both) ** 2 / (n - 1) + (b / both) ** 2 / (other_n - 1))
        p_values = 2 * stdtr(freedoms, statistics)
    return np.where(both == 0, np.where(mean == other_mean, 1.0, 0.0), p_values)


def _moments(samples: Sequence[Sequence[float]]) -> NDArray[Any]:
    """(3, samples): mean, squared standard error of the mean, number."""
    import numpy as np

    found = np.empty((3, len(samples)))
    for index, values in enumerate(samples):
        n = len(values)
        mean = math.fsum(values) / n
        found[:, index] = mean, math.fsum([(value - mean) ** 2 for value in values]) / (n - 1) / n, n
    return found


def mark_reproduced(entries: Sequence[Entry], draws: Iterable[Draw], tolerance: float | None) -> None:
    """Fill ``reproduced_by`` of each entry with the submitters who agree with it independently.

    Two are independent if they come from different people, on different machines, with weights of their own, by the
    same method and variant.
    """
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.n >= FEWEST:
            groups[entry.method, entry.variant].append(entry)
    alike = _same_weights(draws)
    for key, group in groups.items():
        _mark(sorted(group, key=lambda entry: entry.submitter), alike.get(key, set()), tolerance)


def _mark(group: Sequence[Entry], barred: set[tuple[str, str]], tolerance: float | None) -> None:
    """As ``mark_reproduced``, for one method and variant, by submitter; ``barred``: who shares weights."""
    import numpy as np

    moments = _moments([entry.values for entry in group])
    names = np.array([entry.submitter for entry in group], dtype=object)
    people = _numbered(names.tolist())
    # Who used one machine only was on the same one as somebody else who did; who used several was elsewhere, too.
    places = _numbered(
        [tuple(entry.machines) if len(set(entry.machines)) < 2 else index for index, entry in enumerate(group)]
    )
    size = max(1, AT_ONCE // len(group))
    for start in range(0, len(group), size):
        here = np.arange(start, min(len(group), start + size))
        apart = (people[here, None] != people[None, :]) & (places[here, None] != places[None, :])
        one, other = np.nonzero(apart)
        agree = _agree(moments[:, one + start], moments[:, other], tolerance)
        one, other = one[agree], other[agree]
        ends = np.searchsorted(one, np.arange(len(here) + 1)).tolist()
        for index, entry in enumerate(group[start : start + size]):
            found = names[other[ends[index] : ends[index + 1]]].tolist()
            if barred:
                found = [name for name in found if (entry.submitter, name) not in barred]
            entry.reproduced_by = found


def _agree(left: NDArray[Any], right: NDArray[Any], tolerance: float | None) -> NDArray[Any]:
    """Which pairs of samples, given by their moments, agree."""
    import numpy as np

    apart = np.abs(left[0] - right[0])
    if tolerance is not None:
        found: NDArray[Any] = apart <= tolerance
        return found
    # Most pairs need no distribution: the quantile of Student's t lies between those of 2 (samples are of three at
    # least) and of infinitely many degrees of freedom.
    error = np.sqrt(left[1] + right[1])
    found = apart <= NORMAL * error
    open_ = np.flatnonzero(~found & (apart <= TWO_FREEDOMS * error))
    found[open_] = _compared(left[:, open_], right[:, open_]) > ALPHA
    return found


def _numbered(names: Sequence[Hashable]) -> NDArray[Any]:
    """Equal numbers for equal names."""
    import numpy as np

    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names])


def _same_weights(draws: Iterable[Draw]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """By method and variant, the pairs (in both orders) of submitters who name the same weights."""
    first: dict[tuple[str, str, str], str] = {}
    several: dict[tuple[str, str, str], set[str]] = {}
    for submitter, method, _, _, _, _, weights, _, variant in draws:
        if weights is not None:
            owner = first.setdefault((weights, method, variant), submitter)
            if owner != submitter:
                several.setdefault((weights, method, variant), {owner}).add(submitter)
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for (_, method, variant), owners in several.items():
        found[method, variant].update(itertools.permutations(owners, 2))
    return found
