"""The terms of an unlabelled image's bound, the sum over classes U(x) = sum_y q(y|x) [L(x, y) - log q(y|x) + log p(y)].

Each term costs a decoded image, and most of them are worth nothing: q(y|x) is soon sure. Either a fixed number of terms
of a batch is computed, the likeliest, or as many as it takes for the others to be worth less than a tolerance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ie_model.config import Config

WORTH = 300.0  # nats: more than any bound of 28 × 28 grey pixels lies below 0 once the decoder knows their mean


class Pairs(NamedTuple):
    """The pairs of an image and a class whose L(x, y) is computed, each (N,)."""

    image: Tensor
    label: Tensor
    log_q: Tensor  # log q(y|x), renormalised over the pairs of the same image


def likeliest_pairs(log_q: Tensor, likeliest: int, count: int) -> Pairs:
    """Every image with its likeliest class, and the next likely pairs of the whole batch, ``count`` in all.

    log_q: (B, C); no image gets more than its ``likeliest`` classes; B <= count <= B likeliest. The images that q is
    sure of leave their share to those that it is not, and the count, which is fixed, tells nothing of the data to the
    host. With likeliest = C and count = B C no pair is left out.
    """
    kept, labels = log_q.topk(likeliest, dim=1)  # (B, likeliest)
    order = kept.detach().clone()
    order[:, 0] = 1.0  # above every other: log q <= 0
    chosen = order.flatten().topk(count, sorted=False).indices
    image = chosen // likeliest
    own = kept.flatten()[chosen]
    total = torch.zeros(len(log_q), device=log_q.device).index_add(0, image, own.exp())
    return Pairs(image, labels.flatten()[chosen], own - total.log()[image])


def unlabelled_bound(pairs: Pairs, labelled: Tensor, images: int, classes: int) -> Tensor:
    """U(x) from L(x, y), in nats, with the uniform p(y) over all classes.

    labelled: L(x, y) of the pairs, (N,). With every pair of C classes this is the bound; with fewer it is the bound
    for the q(y|x) that is cut to them. Returns (images,).
    """
    terms = pairs.log_q.exp() * (labelled - pairs.log_q - math.log(classes))
    return torch.zeros(images, device=terms.device).index_add(0, pairs.image, terms)


def pairs_of(config: Config, log_q: Tensor) -> Pairs:
    """The pairs of a batch of unlabelled images, log_q (B, C), that the settings ask for.

    With ``sum_tolerance`` an accelerator computes the whole sum: how many terms are needed the host would have to read.
    """
    if config.sum_tolerance and log_q.device.type == "cpu":
        return pairs_within(log_q, config.sum_tolerance)
    return likeliest_pairs(log_q, *_cut(config, len(log_q)))


def noise_rows(config: Config, unlabelled: int) -> int:
    """How many samples of v are drawn for the pairs of so many unlabelled images."""
    return config.facts.classes * unlabelled if config.sum_tolerance else _cut(config, unlabelled)[1]


def pairs_within(log_q: Tensor, tolerance: float) -> Pairs:
    """The likeliest pairs of the batch, as many as are needed so that the others could add no more than ``tolerance``
    nats to the mean of the bounds, at WORTH nats for each unit of probability. log_q: (B, C); each image has a pair.
    """
    images, classes = log_q.shape
    q = log_q.detach().exp().flatten()
    worth = q * (WORTH - log_q.detach().flatten())  # a term that is left out is worth q (L - log q), L below 0
    order = worth.clone().view(images, classes)
    order.scatter_(1, log_q.detach().argmax(dim=1, keepdim=True), math.inf)  # the likeliest of each image is kept
    descending = order.flatten().argsort(descending=True)
    left = worth.sum() - worth[descending].cumsum(dim=0)
    count = max(images, int((left > tolerance * images).sum()) + 1)
    chosen = descending[:count].sort().values
    image = chosen // classes
    own = log_q.flatten()[chosen]
    total = torch.zeros(images, device=log_q.device).index_add(0, image, own.exp())
    return Pairs(image, chosen % classes, own - total.log()[image])


def left_out(log_q: Tensor, pairs: Pairs, kept: Tensor) -> Tensor:
    """What the terms that are left out could raise the bounds by, in the mean over images: ().

    log_q: (B, C); kept: U(x) from the pairs alone, (B,). With a share d of q(y|x) left out, U = (1 - d) U_kept -
    (1 - d) log(1 - d) + sum over the others of q (L - log q + log p(y)), where L, a log-probability, is below 0.
    """
    images, classes = log_q.shape
    there = torch.zeros(images * classes, dtype=torch.bool, device=log_q.device)
    there[pairs.image * classes + pairs.label] = True
    others = torch.where(there.view(images, classes), 0.0, log_q.exp())  # (B, C)
    share = others.sum(dim=1)
    entropy = -(torch.xlogy(others, others) + torch.xlogy(1 - share, 1 - share).unsqueeze(1) / classes).sum(dim=1)
    return (entropy - share * (kept + math.log(classes))).mean()


def _cut(config: Config, unlabelled: int) -> tuple[int, int]:
    """The most classes of one image, and the pairs of all ``unlabelled`` images together."""
    if config.sum_tolerance:
        return config.facts.classes, config.facts.classes * unlabelled
    likeliest = min(config.likeliest, config.facts.classes)
    return likeliest, max(unlabelled, min(round(config.pairs_per_image * unlabelled), likeliest * unlabelled))
