"""Ranks of one contest (task and division) by one metric, and what counts as reproduced. Pure functions.

**Who is ranked.** One entry for each submitter and method, as the rules tell methods apart, however much they upload.
All their results of one method are pooled by seed first: what two uploads say of the same seed and label draw is
averaged, for it is one draw seen twice, so neither many uploads nor the best of many make an entry better or more
certain. In the open division, where a method has variants, the entry is the submitter's variant with the best mean.
Failed runs have no value and are never averaged. Results below the evidence level that the rules ask for are an entry
of their own, and are listed without a rank, as is an entry of fewer than three draws, or one that scatters more than
the rules allow. Where evidence is asked for, draws are complete: one that failed and was not made again costs the rank,
for otherwise the worst would fail. Results that the policy holds back for another reason (draws that were not issued,
settings that are not the fixed ones) are entries of their own without a rank, too. Ranked values are those that the
operator's machine got.

**Which ranks.** Ranked entries are sorted by their means and fall into groups that share a rank. What separates two of
them is Tukey's test at 5 % for all pairs together (the studentized range), with a variance that entries share: the
median of theirs, or an entry's own where that is larger. So comparing with the best of many is no way to find a
difference that is not there, and one noisy entry neither raises the variance of all nor is judged by theirs. A group
is compared with that entry of it which is best for certain (the lowest end of what is possible, not the lowest mean),
so that a noisy best does not tie all behind it; it ends before the first that is worse than that one, and a new group
begins there, with a rank of one more than the number of entries before it. (Groups that begin only where every pair
differs would be of no use: entries that lie close, each to the next, make one group of a whole long table.)

**Reproduced.** A submitter's result is reproduced when another submitter, on another machine and with weights and
predictions of their own, has a mean of the same contest, method and variant that is equivalent to it: two one-sided
tests at 5 % reject that they differ by the margin or more. Both are ranked, so of three draws at least, with evidence,
and of a spread that the rules allow. Where the rules state no margin, nothing is reproduced: it is not evidenced.
Where the policy asks for a reviewer's word that two submitters are independent, such an agreement waits for it.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ie_crowd.challenge import evidence
from ie_crowd.challenge.evidence import Margin
from ie_crowd.challenge.model import Metric
from ie_crowd.ranking import significance
from ie_crowd.ranking.significance import ALPHA, welch
from ie_crowd.result.aggregate import mean_sd_ci95

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 3
CHOSEN = "its label draws were not issued for a commitment"
AT_ONCE = 200_000  # pairs that are compared at once: what bounds the memory of it
__all__ = ["ALPHA", "Draw", "Entry", "ranks", "standings", "welch"]


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
    level: str = evidence.STATED
    held: str = ""  # why the policy ranks nothing of this result


@dataclass
class Entry:
    """A submitter's line with one method; ``mean``, ``sd``, ``ci95`` are in the metric's unit.

    ``level``: the lowest of its results. ``lost``: the first seed and label draw that failed and was never made again.
    ``rank`` is None where ``unranked`` says why. ``awaiting_word``: who agrees, too, but for a reviewer's word.
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
    awaiting_word: list[str] = field(default_factory=list)
    level: str = evidence.STATED
    lost: tuple[int, int] | None = None
    unranked: str = ""
    held: str = ""

    @property
    def evidence(self) -> str:
        """The level that is shown, *reproduced* among them."""
        return evidence.REPRODUCED if self.reproduced_by else self.level


def standings(
    draws: Iterable[Draw],
    metric: Metric,
    margins: Mapping[str, Margin] | None = None,
    asked: str = evidence.STATED,
    alike: Iterable[tuple[str, str]] = (),
    words: Collection[tuple[str, str]] | None = None,
) -> list[Entry]:
    """The entries of one contest: ranked ones by rank and mean, then the others by mean.

    ``margins``: of each method whose spread the rules state. ``asked``: the level that is ranked. ``alike``: pairs of
    results whose predictions are not of weights of their own. ``words``: pairs of submitters, in both orders, whom a
    reviewer called independent; None: nobody asks for it.
    """
    draws, margins = list(draws), margins or {}
    entries = best_of_each(pooled(draws, asked), metric, asked)
    for entry in entries:
        entry.unranked = _unranked(entry, asked, margins.get(entry.method))
    entries.sort(key=lambda entry: order(entry, metric))
    ranked = [entry for entry in entries if not entry.unranked]
    for entry, place in zip(ranked, ranks([scored(entry.values, metric) for entry in ranked]), strict=True):
        entry.rank = place
    mark_reproduced(ranked, draws, margins, alike, words)
    rest = [entry for entry in entries if entry.unranked]
    return [*ranked, *sorted(rest, key=lambda entry: not evidence.at_least(entry.level, asked))]


def _unranked(entry: Entry, asked: str, margin: Margin | None) -> str:
    """Why an entry has no rank; "" for one that has."""
    if not evidence.at_least(entry.level, asked):
        return f"{entry.level}, asked: {asked}"
    if entry.held:
        return entry.held
    if asked != evidence.STATED and entry.lost is not None:
        return f"the run of seed {entry.lost[0]} failed and was not made again"
    if entry.n < FEWEST:
        return f"{entry.n} draw{'' if entry.n == 1 else 's'}, asked: {FEWEST}"
    if margin is not None and (entry.sd or 0.0) > margin.spread:
        return f"its runs scatter by {entry.sd:.3g}, allowed: {margin.spread:.3g}"
    return ""


def pooled(draws: Iterable[Draw], asked: str = evidence.STATED) -> list[Entry]:
    """One entry for each submitter, method and variant, its draws averaged by seed and label draw; what is below the
    level that is ``asked`` for, or held back for another reason, apart from the rest."""
    groups: dict[tuple[str, str, str, bool, str], list[Draw]] = defaultdict(list)
    counted = {level: evidence.at_least(level, asked) for level in evidence.LEVELS}
    for draw in draws:
        groups[draw.submitter, draw.method, draw.variant, counted[draw.level], draw.held].append(draw)
    entries = []
    for (submitter, method, variant, _, held), group in sorted(groups.items()):
        seeds: dict[tuple[int, int], list[float]] = defaultdict(list)
        lost = set()
        for draw in group:
            if draw.value is not None:
                seeds[draw.seed, draw.label_seed].append(draw.value)
            else:
                lost.add((draw.seed, draw.label_seed))
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
                lost=min(lost - set(seeds), default=None),
                level=min((draw.level for draw in group), key=evidence.LEVELS.index),
                held=held,
            )
        )
    return entries


def best_of_each(entries: Iterable[Entry], metric: Metric, asked: str = evidence.STATED) -> list[Entry]:
    """One entry for each submitter and method, and one more for each reason for which the rest has no rank, its level
    or what the policy holds back: of those with enough draws, if any, the best by its mean."""
    chosen: dict[tuple[str, str, bool, str], Entry] = {}
    for entry in entries:
        counted = evidence.at_least(entry.level, asked)
        key = entry.submitter, entry.method, counted, entry.held if counted else ""
        other = chosen.get(key)
        if other is None or (entry.n < FEWEST, order(entry, metric)) < (other.n < FEWEST, order(other, metric)):
            chosen[key] = entry
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


def ranks(groups: Sequence[Sequence[float]]) -> list[int]:
    """The rank of each sample, given in the order of their means, best first. Each holds at least two values."""
    import numpy as np

    count = len(groups)
    if count < 2:
        return [1] * count
    found = significance.moments(groups)
    shared = significance.shared_variance(found)
    squared = np.maximum(found[1], shared / found[2])
    freedoms = int(found[2].sum()) - count
    q = significance.range_quantile(count, freedoms if freedoms < 200 else freedoms // 50 * 50) / math.sqrt(2)
    means, ends = found[0], found[0] + q * np.sqrt(squared)
    places: list[int] = []
    certain = _last_least(ends)
    while len(places) < count:
        first = len(places)
        leader = certain[first]
        behind = slice(leader + 1, count)
        worse = means[behind] - means[leader] > q * np.sqrt(squared[behind] + squared[leader])
        size = leader + 1 - first + (int(worse.argmax()) if worse.any() else count - leader - 1)
        places += [first + 1] * size
    return places


def _last_least(values: NDArray[Any]) -> list[int]:
    """For each place the index of the least value from there on, the first of several."""
    found, least = [0] * len(values), len(values) - 1
    for index in range(len(values) - 1, -1, -1):
        if values[index] <= values[least]:
            least = index
        found[index] = least
    return found


def mark_reproduced(
    entries: Sequence[Entry],
    draws: Iterable[Draw],
    margins: Mapping[str, Margin],
    alike: Iterable[tuple[str, str]] = (),
    words: Collection[tuple[str, str]] | None = None,
) -> None:
    """Fill ``reproduced_by`` of each ranked entry with the submitters who agree with it independently, and
    ``awaiting_word`` with those of them about whom a reviewer has to say so, and has not.

    Two are independent if they come from different people, on different machines, with weights and predictions of
    their own, by the same method and variant.
    """
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.method in margins:
            groups[entry.method, entry.variant].append(entry)
    barred = _same_weights(draws)
    by = {result: entry for entry in entries for result in entry.results}
    for one, other in alike:
        left, right = by.get(one), by.get(other)
        if left is not None and right is not None:
            names = left.submitter, right.submitter
            barred[left.method, left.variant].update((names, names[::-1]))
    for key, group in groups.items():
        _mark(sorted(group, key=lambda entry: entry.submitter), barred.get(key, set()), margins[key[0]])
    if words is not None:
        _mark_words(entries, words)


def _mark_words(entries: Iterable[Entry], words: Iterable[tuple[str, str]]) -> None:
    """Let agreement wait that no word of a reviewer is about. Few have one, many agree: no pair is looked up twice."""
    independent: dict[str, set[str]] = defaultdict(set)
    for one, other in words:
        independent[one].add(other)
    for entry in entries:
        known: set[str] = independent.get(entry.submitter, set())
        agree = entry.reproduced_by
        entry.reproduced_by = [name for name in agree if name in known] if known else []
        entry.awaiting_word = [name for name in agree if name not in known] if known else agree


def _mark(group: Sequence[Entry], barred: set[tuple[str, str]], margin: Margin) -> None:
    """As ``mark_reproduced``, for one method and variant, by submitter; ``barred``: who shares weights."""
    import numpy as np

    moments = significance.moments([entry.values for entry in group])
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
        agree = significance.equivalent(moments[:, one + start], moments[:, other], margin.margin)
        one, other = one[agree], other[agree]
        ends = np.searchsorted(one, np.arange(len(here) + 1)).tolist()
        for index, entry in enumerate(group[start : start + size]):
            found = names[other[ends[index] : ends[index + 1]]].tolist()
            if barred:
                found = [name for name in found if (entry.submitter, name) not in barred]
            entry.reproduced_by = found


def _numbered(names: Sequence[Hashable]) -> NDArray[Any]:
    """Equal numbers for equal names."""
    import numpy as np

    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names])


def _same_weights(draws: Iterable[Draw]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """By method and variant, the pairs (in both orders) of submitters who name the same weights."""
    first: dict[tuple[str, str, str], str] = {}
    several: dict[tuple[str, str, str], set[str]] = {}
    for submitter, method, _, _, _, _, weights, _, variant, *_ in draws:
        if weights is not None:
            owner = first.setdefault((weights, method, variant), submitter)
            if owner != submitter:
                several.setdefault((weights, method, variant), {owner}).add(submitter)
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for (_, method, variant), owners in several.items():
        found[method, variant].update(itertools.permutations(owners, 2))
    return found
