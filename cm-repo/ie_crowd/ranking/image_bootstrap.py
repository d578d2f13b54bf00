"""Intervals of error rates over draws and test images: another draw, and other test images from the same source.

A mean over runs varies for two reasons. Each run is another draw (labels, initial weights), which the t interval of a
result knows; and all runs err on the same test images, which it does not. Here both are resampled, each level by
itself as the design is crossed: draws with all images, images with all draws. Their variances are added, that of the
draws with n - 1, and the interval is Student's with Welch and Satterthwaite's degrees of freedom. That of one mean is
found on the logit scale, so that it ends within 0 and 100 %. What draws and images have in common is counted twice,
and so the interval is a little too wide rather than too narrow. Seeded: the same predictions give the same interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 20190612
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean error, or a difference of two, and the ends of its 95 % interval, all in %; what it is taken over.

    ``draws`` is 1 where there is one run: then the interval says nothing on another draw.
    """

    mean: float
    low: float
    high: float
    draws: int
    images: int

    @property
    def over(self) -> str:
        """What it is taken over, in words."""
        images = f"{self.images:,} test images"
        return f"{self.draws} draws × {images}" if self.draws > 1 else f"{images}, one run"


def interval(wrong: NDArray[Any]) -> Interval:
    """Of a mean error. ``wrong``: (draws, images), true where a run takes an image for another class than it is."""
    import numpy as np

    draws, images = wrong.shape
    mean = float(wrong.mean())
    if mean in (0.0, 1.0):  # no image wrong: what the exact binomial interval gives for one run
        end = 100 * (1 - ((1 - LEVEL) / 2) ** (1 / images))
        return Interval(100 * mean, 0.0 if mean == 0 else 100 - end, end if mean == 0 else 100.0, draws, images)
    room = 0.5 / (images * draws)  # a resample may hold no wrong image

    def logit(values: NDArray[Any]) -> NDArray[Any]:
        inside = np.clip(values, room, 1 - room)
        return np.asarray(np.log(inside / (1 - inside)))

    half = _half([wrong.mean(axis=1)], wrong.mean(axis=0), logit)
    at = math.log(mean / (1 - mean))
    low, high = (100 / (1 + math.exp(-end)) for end in (at - half, at + half))
    return Interval(100 * mean, low, high, draws, images)


def difference(left: NDArray[Any], right: NDArray[Any], *, paired: bool) -> Interval:
    """Of the mean error of ``left`` minus that of ``right``, on the same images in the same order.

    ``paired``: their draws are the same, row by row. Raises ValueError where the images are not as many.
    """
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"{left.shape[1]} and {right.shape[1]} images; expected the same ones")
    runs = [left.mean(axis=1), right.mean(axis=1)]
    samples = [runs[0] - runs[1]] if paired else [runs[0], -runs[1]]
    mean = 100 * float(runs[0].mean() - runs[1].mean())
    half = 100 * _half(samples, left.mean(axis=0) - right.mean(axis=0), lambda values: values)
    return Interval(mean, mean - half, mean + half, min(len(left), len(right)), left.shape[1])


def _half(runs: list[NDArray[Any]], by_image: NDArray[Any], scale: Any) -> float:
    """Half of the interval of the sum of the means of ``runs``, on the scale that ``scale`` gives.

    ``by_image``: the mean over draws for each image, whose mean is that sum.
    """
    import numpy as np
    from scipy.special import stdtrit

    chance = np.random.default_rng(SEED)
    parts = [(_variance_of_images(by_image, scale, chance), len(by_image) - 1)]
    rest = float(by_image.mean())
    for values in runs:
        n = len(values)
        if n > 1:
            drawn = values[chance.integers(0, n, (RESAMPLES, n))].mean(axis=1) - values.mean() + rest
            parts.append((float(np.var(scale(drawn))) * n / (n - 1), n - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    freedoms = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    return float(stdtrit(freedoms, (1 + LEVEL) / 2)) * math.sqrt(variance)


def _variance_of_images(by_image: NDArray[Any], scale: Any, chance: Any) -> float:
    """Of the mean over resampled images: images with the same value are drawn together, by their number."""
    import numpy as np

    values, counts = np.unique(by_image, return_counts=True)
    number = len(by_image)
    drawn = chance.multinomial(number, counts / number, RESAMPLES) @ values / number
    return float(np.var(scale(drawn)))
