"""Tests and confidence intervals of means, vectorised: Welch, paired draws, equivalence, differences between ranks.

One place for every comparison of two means: ranks, the comparison page, tables in the documents and the API. Samples
go in as their moments, (3, samples): mean, squared standard error of the mean, number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHA = 0.05
# 95 % quantiles of Student's t, of infinitely many and of two degrees of freedom, rounded outwards: between them lies
# that of any two samples of three values at least.
NORMAL, TWO_FREEDOMS = 1.6448, 2.9200
PAIRED, WELCH = "paired by draw", "Welch"


class Difference(NamedTuple):
    """Mean of left minus right, half of its 95 % interval, two-sided p-value, and how it was found: PAIRED or WELCH.

    ``half`` and ``p`` are None where a side has one value: that evidences nothing.
    """

    mean: float
    half: float | None
    p: float | None
    how: str


def difference(left: Mapping[Any, float], right: Mapping[Any, float]) -> Difference:
    """Compare two samples, each {draw: value}: draw by draw where they share all of at least two, by Welch else.

    What two runs of the same draw have in common (which images were labelled) is no difference between them.
    """
    from scipy.special import stdtrit

    if len(left) > 1 and set(left) == set(right):
        found = moments([[left[draw] - right[draw] for draw in sorted(left, key=repr)]])
        (mean, squared, n), how = found[:, 0], PAIRED
        freedoms = n - 1
        (p,) = _two_sided(abs(mean), squared, freedoms).tolist()
    else:
        means = [math.fsum(values.values()) / len(values) for values in (left, right)]
        if min(len(left), len(right)) < 2:
            return Difference(means[0] - means[1], None, None, WELCH)
        one, other = moments([list(left.values())]), moments([list(right.values())])
        mean, squared, how = float(means[0] - means[1]), (one[1] + other[1])[0], WELCH
        freedoms = _freedoms(one, other)[0]
        (p,) = compared(one, other).tolist()
    half = float(stdtrit(freedoms, 0.975) * math.sqrt(squared)) if squared else 0.0
    return Difference(float(mean), half, p, how)


def moments(samples: Sequence[Sequence[float]]) -> NDArray[Any]:
    """(3, samples): mean, squared standard error of the mean, number; each sample holds at least two values."""
    import numpy as np

    found = np.empty((3, len(samples)))
    for index, values in enumerate(samples):
        n = len(values)
        mean = math.fsum(values) / n
        found[:, index] = mean, math.fsum([(value - mean) ** 2 for value in values]) / (n - 1) / n, n
    return found


def welch(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> list[float]:
    """Two-sided p-values of Welch's t-test, pair by pair; each sample holds at least two values.

    Where neither sample varies, equal means give 1 and different ones 0.
    """
    return compared(moments(left), moments(right)).tolist()


def compared(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Welch's p-values of samples given by their moments, column by column; one column is compared with all of many."""
    import numpy as np

    return _two_sided(np.abs(left[0] - right[0]), left[1] + right[1], _freedoms(left, right))


def _two_sided(apart: Any, squared: Any, freedoms: Any) -> NDArray[Any]:
    import numpy as np
    from scipy.special import stdtr

    apart, squared = np.atleast_1d(apart), np.atleast_1d(squared)
    with np.errstate(divide="ignore", invalid="ignore"):  # where neither varies
        p_values = 2 * stdtr(freedoms, -apart / np.sqrt(squared))
    return np.where(squared == 0, np.where(apart == 0, 1.0, 0.0), p_values)


def _freedoms(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Welch's degrees of freedom; infinitely many where neither sample varies."""
    import numpy as np

    both = left[1] + right[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 / ((left[1] / both) ** 2 / (left[2] - 1) + (right[1] / both) ** 2 / (right[2] - 1))
    return np.where(both == 0, np.inf, found)


def equivalent(left: NDArray[Any], right: NDArray[Any], margin: float, alpha: float = ALPHA) -> NDArray[Any]:
    """Which pairs of means, given by their moments, differ by less than ``margin``: two one-sided tests at ``alpha``.

    Both "left is higher by the margin or more" and "lower by the margin or more" must be rejected, so that noise never
    makes two means agree: the wider they scatter, the less is shown.
    """
    import numpy as np
    from scipy.special import stdtr

    room = margin - np.abs(left[0] - right[0])
    error = np.sqrt(left[1] + right[1])
    if alpha != ALPHA:
        return np.asarray((room > 0) & (stdtr(_freedoms(left, right), -room / error) <= alpha))
    # Most pairs need no distribution.
    found = (room > 0) & (room >= TWO_FREEDOMS * error)
    open_ = np.flatnonzero(~found & (room > 0) & (room >= NORMAL * error))
    if len(open_):
        freedoms = _freedoms(left[:, open_], right[:, open_])
        found[open_] = stdtr(freedoms, -room[open_] / error[open_]) <= alpha
    return np.asarray(found)


def prediction_half(sd: float, runs: int, level: float) -> float:
    """Half of the interval in which one more run lies at that level, given the deviation between ``runs`` of them."""
    from scipy.special import stdtrit

    return float(stdtrit(runs - 1, (1 + level) / 2)) * sd * math.sqrt(1 + 1 / runs)


def shared_variance(found: NDArray[Any]) -> float:
    """The variance of one value that most samples share: the median of theirs, so that a few noisy ones do not raise
    it for all. ``found``: their moments."""
    import numpy as np

    variances, freedoms = found[1] * found[2], found[2] - 1
    if variances.shape[0] <= 2:
        return float(np.mean(variances))
    # The median of a chi-squared distribution over its mean (Wilson and Hilferty).
    return float(np.median(variances / (1 - 2 / (9 * freedoms)) ** 3))


@functools.lru_cache(maxsize=1024)
def range_quantile(count: int, freedoms: int, p: float = 1 - ALPHA) -> float:
    """The quantile of the studentized range of ``count`` means (Tukey's test): between any two of them at once."""
    import numpy as np
    from scipy.special import gammaincinv, ndtr

    z = np.linspace(-8, 8, 121)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    scale = np.sqrt(gammaincinv(freedoms / 2, (nodes + 1) / 2) * 2 / freedoms)[:, None]
    below = ndtr(z)

    def within(q: float) -> float:
        inside = count * (density * (below - ndtr(z - q * scale)) ** (count - 1)).sum(axis=1)
        return float(inside @ weights) / 2

    low, high = 0.0, 8.0
    while within(high) < p:
        low, high = high, 2 * high
    while high - low > 1e-4 * high:
        q = (low + high) / 2
        low, high = (low, q) if within(q) >= p else (q, high)
    return high
