"""Importance-weighted estimates of log p(x | y) and of log p(x) = log sum_y p(y) p(x | y), in bounded memory."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ie_model.metrics import scores
from ie_model.model import EquiVAE, sample_gaussian
from ie_model.objective import bounds

SAMPLES = 200  # samples of v at a time: what they decode to stays in the processor's cache
PILOT = 25  # samples that tell which classes matter to a sum over classes
MATTERS = 8.0  # nats below the likeliest class; nine classes that lie further add less than 0.004 nats to it


class Estimates(NamedTuple):
    """Of each image, (n,), in nats."""

    conditional: Tensor  # log p(x | y) of its true class
    marginal: Tensor  # log p(x), with the uniform p(y)


@torch.no_grad()
def estimates(
    model: EquiVAE, x: Tensor, labels: Tensor, r: Tensor, samples: int, generator: torch.Generator
) -> Estimates:
    """Both estimates of images x (n, *shape) of classes (n,), with r (C, R), from ``samples`` of v for each class.

    Classes that a few samples show to be far less likely than the best one are left at what those samples say.
    """
    conditional = log_likelihood(model, x, r[labels], samples, generator)
    columns = []
    for label in range(len(r)):
        own = r[label].expand(len(x), -1)
        columns.append(log_likelihood(model, x, own, min(PILOT, samples), generator))
    by_class = torch.stack(columns, dim=1)  # (n, C)
    rows = torch.arange(len(x), device=x.device)
    by_class[rows, labels] = conditional
    best = by_class.max(dim=1, keepdim=True).values
    near = by_class > best - MATTERS
    near[rows, labels] = False  # that one is known
    image, column = torch.nonzero(near, as_tuple=True)
    if len(image):
        by_class[image, column] = log_likelihood(model, x[image], r[column], samples, generator)
    return Estimates(conditional, by_class.logsumexp(dim=1) - math.log(len(r)))


@torch.no_grad()
def log_likelihood(model: EquiVAE, x: Tensor, r: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Importance-weighted estimates of log p(x | r), in nats: log of the mean of p(x|r,v) p(v) / q(v|r,x).

    x: (n, *shape), r: (n, R); ``samples`` of v for each image, from q. Returns (n,); a lower bound in expectation,
    tight for many samples.
    """
    estimates = []
    for image, own in zip(x.split(1), r.split(1), strict=True):
        mean, log_variance = model.posterior(model.features(image), own.unsqueeze(1))  # (1, 1, V)
        parts = []
        for count in _chunks(samples):
            noise = torch.randn(1, count, mean.shape[-1], generator=generator, device=x.device)
            v = sample_gaussian(mean, log_variance, noise)
            outputs = model.decoder(own.unsqueeze(1), v)  # (1, count, D)
            likelihood = bounds.log_probability(outputs, image.flatten(1).unsqueeze(1), model.decoder.log_scale)
            parts.append(scores.log_importance(likelihood, log_variance, noise, v))
        estimates.append(scores.log_mean_exp(parts))
    return torch.cat(estimates)


def _chunks(samples: int) -> list[int]:
    """Sizes that sum to ``samples``, each at most SAMPLES."""
    return [min(SAMPLES, samples - start) for start in range(0, samples, SAMPLES)]
