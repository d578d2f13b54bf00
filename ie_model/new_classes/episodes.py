"""Which of 5 or of 20 classes that no model has seen an image is of, told from 1, 5 or 20 examples of each.

A draw deals all unseen classes into groups of the largest number of ways, draws the examples of each class from the
first part of its images and the images to be asked about from the rest; the smaller groups are parts of the larger.
Every method is asked the same episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ie_model.metrics import inference
from ie_model.model import EquiVAE
from ie_model.new_classes.images import Classes
from ie_model.objective import bounds

DRAWS = 3  # of groups, examples and images
ASKED = 5  # images of each class in a draw


class Draw(NamedTuple):
    """One draw: the groups (G, ways), and which images of each class are examples, in order, or asked about."""

    groups: Tensor
    examples: Tensor  # (C, pool)
    asked: Tensor  # (C, ASKED)


def draws(classes: Classes, ways: int, seed: int, count_of: int = DRAWS) -> Iterator[Draw]:
    """So many draws, always the same ones for a seed. Raises ValueError where there are fewer classes than ways."""
    count, images = classes.images.shape[:2]
    if count < ways:
        raise ValueError(f"ways: got {ways}, more than the {count} unseen classes")
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count_of):
        groups = torch.randperm(count, generator=generator)[: count // ways * ways].view(-1, ways)
        examples = torch.rand(count, classes.pool, generator=generator).argsort(dim=1)
        asked = classes.pool + torch.rand(count, images - classes.pool, generator=generator).argsort(dim=1)[:, :ASKED]
        yield Draw(groups, examples, asked)


def taken(images: Tensor, which: Tensor) -> Tensor:
    """Of each class the images ``which`` (C, m): (C, m, *shape) of (C, n, *shape)."""
    return images[torch.arange(len(images), device=images.device)[:, None], which.to(images.device)]


@dataclass
class Tally:
    """Share of images taken for their own class, in %, by number of ways: one number for each episode."""

    found: dict[int, list[float]]

    def add(self, scores: Tensor, ways: tuple[int, ...]) -> None:
        """Count one group: scores (W, Q, W), of Q images of each of W classes for each class."""
        whole = scores.shape[0]
        for some in ways:
            for first in range(0, whole - some + 1, some):
                own = scores[first : first + some, :, first : first + some]  # (some, Q, some)
                right = own.argmax(dim=2) == torch.arange(some, device=scores.device)[:, None]
                self.found.setdefault(some, []).append(100 * float(right.float().mean()))


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean of episodes and its standard error."""
    numbers = torch.tensor(values, dtype=torch.float64)
    return float(numbers.mean()), float(numbers.std(correction=min(1, len(values) - 1)) / len(values) ** 0.5)


@torch.no_grad()
def bound_scores(model: EquiVAE, x: Tensor, r: Tensor) -> Tensor:
    """L(x, y) under every class, at the mean of q(v | r_y, x): (n, W) of x (n, *shape) and r (W, R)."""
    found = []
    for part in x.split(max(1, inference.CHUNK // len(r))):
        mean, log_variance = model.posterior(model.features(part), r.unsqueeze(0))  # (chunk, W, V)
        outputs = model.decoder(r.unsqueeze(0), mean)
        likelihood = bounds.log_probability(outputs, part.flatten(1).unsqueeze(1), model.decoder.log_scale)
        found.append(likelihood - bounds.kl_to_prior(mean, log_variance))
    return torch.cat(found)


def tallied(
    images: Tensor, draw: Draw, ways: tuple[int, ...], score: Callable[[Tensor, Tensor], Tensor], tally: Tally
) -> None:
    """Ask every group of a draw. score: x (n, *shape) and the classes of the group (W,) to scores (n, W)."""
    for group in draw.groups.to(images.device):
        x = taken(images, draw.asked)[group]  # (W, Q, *shape)
        tally.add(score(x.flatten(0, 1), group).view(len(group), -1, len(group)), ways)
