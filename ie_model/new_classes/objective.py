"""The labelled bound on a step of a few classes: r_y of each image is a mean of f over some others of its class.

How many others is drawn anew for each image, from one to all that there are, so that a mean of one image has been asked
for as often as a mean of five. Any class can be in a step, so nothing is learned for a class: what is learned is f.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ie_model.config import Config
from ie_model.model import EquiVAE
from ie_model.objective import bounds


def complementary_weights(k: int, generator: torch.Generator) -> Tensor:
    """By how much each of k images of a class counts in the r_y of each: rows of sum 1, with 0 in the diagonal. (k, k).

    Row i has from 1 to k - 1 other images, drawn at random, of equal weight.
    """
    wanted = torch.randint(1, k, (k, 1), generator=generator)
    order = torch.rand(k, k, generator=generator).fill_diagonal_(2.0).argsort(dim=1).argsort(dim=1)
    return (order < wanted).float() / wanted


def log_q(features: Tensor, weights: Tensor) -> Tensor:
    """log q(y|x) of each image's own class among the step's, by the distance of f(x) to r_y: (W, k).

    features: f(x), (W, k, R). q(y|x) is proportional to exp(-|f(x) - r_y|²): a prototypical network (Snell et al. 2017)
    on f. Image i of every class is compared with means over the same others.
    """
    r = representations(features, weights).transpose(0, 1)  # (k, W, R)
    distances = torch.cdist(features.transpose(0, 1), r).square()  # (k, W, W)
    return F.log_softmax(-distances, dim=2).diagonal(dim1=1, dim2=2).T


def representations(features: Tensor, weights: Tensor) -> Tensor:
    """r_y of each image, without itself: (W, k, R) of f(x) (W, k, R) and weights (k, k)."""
    return torch.einsum("ij,wjr->wir", weights, features)


def labelled_bound(
    config: Config, model: EquiVAE, x: Tensor, classes: Tensor, weights: Tensor, noise: Tensor, kl_weight: float
) -> bounds.Step:
    """-L(x, y) of a step, mean over its images; where the model has f, minus the weighted log q(y|x).

    x: (W, k, *shape); classes: which they are, (W,), for M2, whose r_y is a row of its table; noise: (W k, V).
    """
    k = x.shape[1]
    flat = x.flatten(0, 1)
    own = None
    if model.table is None:
        f = model.f(flat).unflatten(0, x.shape[:2])
        r = representations(f, weights).flatten(0, 1)
        own = log_q(f, weights).mean()
    else:
        r = model.table[classes].repeat_interleave(k, dim=0)
    parts = bounds.bound(model, flat, model.features(flat), torch.arange(len(flat), device=x.device), r, noise)
    loss = (kl_weight * parts.kl - parts.log_likelihood).mean()
    if own is not None and config.classifier_weight:
        loss = loss - config.classifier_weight * own
    return bounds.Step(loss, (parts.log_likelihood - parts.kl).mean().detach(), parts.kl.mean().detach())
