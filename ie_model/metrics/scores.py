"""The cores of the metrics: pure functions of arrays, with no model, disk or seed of their own.

Each metric's meaning and unit stand in docs/metrics.md and in the challenge's rules.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CHUNK = 1000  # queries at a time: bounds memory, and changes no number
RIDGE = 1e-3  # weight of the squared coefficients, per example, on standardised columns: settles duplicated columns


def percent_wrong(predicted: Tensor, truth: Tensor) -> float:
    """Share of predictions that differ from the truth, in %. Both (n,)."""
    return 100 * int((predicted != truth).sum()) / len(truth)


def nearest_neighbours(reference: Tensor, labels: Tensor, queries: Tensor, k: int) -> Tensor:
    """Majority class of the k nearest reference points (Euclidean); a tie goes to the class with the nearer point.

    reference: (n, D), labels: (n,), queries: (m, D). Returns classes (m,).
    """
    k = min(k, len(reference))
    # Nearer neighbours weigh a little more, by less than one whole vote in all: this only decides ties.
    votes = 1 + torch.arange(k, 0, -1, device=queries.device) / (k * (k + 1))
    classes = int(labels.max()) + 1
    predicted = []
    for part in queries.split(CHUNK):
        near = labels[torch.cdist(part, reference).topk(k, largest=False).indices]  # (chunk, k)
        counts = torch.zeros(len(part), classes, device=queries.device)
        predicted.append(counts.scatter_add_(1, near, votes.expand_as(near)).argmax(dim=1))
    return torch.cat(predicted)


def swapped_classes(labels: Tensor, classes: int) -> Tensor:
    """Another class for each image, every other class equally often along the data set. labels: (n,). Returns (n,)."""
    step = 1 + torch.arange(len(labels), device=labels.device) % (classes - 1)
    return (labels + step) % classes


def ridge_r2(train: Tensor, train_targets: Tensor, test: Tensor, test_targets: Tensor) -> Tensor:
    """How well each target is a linear function of the representation: coefficient of determination on ``test``.

    train: (n, D), train_targets: (n, P), test: (m, D), test_targets: (m, P). A ridge regression for each of the P
    targets is fitted on the training part. Returns (P,): 1 is perfect, 0 as good as the mean, below 0 worse.
    """
    train, test, targets, truth = (part.double() for part in (train, test, train_targets, test_targets))
    mean, deviation = train.mean(dim=0), train.std(dim=0).clamp_min(1e-9)
    train, test, middle = (train - mean) / deviation, (test - mean) / deviation, targets.mean(dim=0)
    penalty = RIDGE * len(train) * torch.eye(train.shape[1], dtype=train.dtype, device=train.device)
    weights = torch.linalg.solve(train.T @ train + penalty, train.T @ (targets - middle))  # (D, P)
    errors = (test @ weights + middle - truth).square().sum(dim=0)
    return 1 - errors / (truth - truth.mean(dim=0)).square().sum(dim=0)


def variance_explained(found: Tensor, truth: Tensor) -> float:
    """Coefficient of determination of all columns together, 1 - sum |found - truth|² / sum |truth - mean|².

    Both (n, D). 0 where the truth does not vary at all: there is nothing to find again.
    """
    errors = (found - truth).double().square().sum()
    spread = (truth - truth.mean(dim=0)).double().square().sum()
    return float(1 - errors / spread) if spread > 0 else 0.0


def relative_movement(before: Tensor, after: Tensor, centres: Tensor) -> float:
    """Mean distance that representations move, over the mean distance between two classes' centres.

    before, after: (n, D) of the same images, untransformed and transformed; centres: (C, D). 0 is invariant; 1 means
    that a transformation moves an image as far as another class would.
    """
    apart = torch.pdist(centres.double()).mean()
    return float((after - before).double().norm(dim=1).mean() / apart)


def log_importance(log_likelihood: Tensor, log_variance: Tensor, noise: Tensor, v: Tensor) -> Tensor:
    """log [p(x|r, v) p(v) / q(v|r, x)] of samples v = mean + exp(log_variance / 2) noise, in nats.

    log_likelihood: (..., K) of the samples; log_variance, noise and v: (..., K, V), broadcast. Returns (..., K).
    """
    return log_likelihood + 0.5 * (noise.square() + log_variance - v.square()).sum(dim=-1)


def log_mean_exp(parts: list[Tensor]) -> Tensor:
    """log of the mean of exp over all samples, without leaving the range of floats. parts: (n, K_i) each, to (n,)."""
    samples = sum(part.shape[-1] for part in parts)
    return torch.logsumexp(torch.stack([part.logsumexp(dim=-1) for part in parts]), dim=0) - math.log(samples)
