"""r_y of a training step: means of f over *complementary* samples, never over the image itself.

Either over the labelled images of the step, as in the paper, or also over its unlabelled images, each counted by q(y|x)
where that is above a half. Then the images are dealt into groups, and each reads the r_y of its own: a mean of few
images asks more of f than a mean of many, in which what f says of a single image hardly counts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ie_model.model import EquiVAE

CONFIDENT = 0.5  # at most one class of an image is above it
LITTLE = 0.1  # weight of an image in the r_y of the groups that it is not in: no group has too little of a class


def complementary_means(features: Tensor) -> Tensor:
    """r_y of each labelled image from the *other* images of its class.

    features: f(x), (C, k, R), k >= 2 images of each class. Returns (C, k, R). Raises ValueError when k < 2.
    """
    k = features.shape[1]
    if k < 2:
        raise ValueError(f"complementary samples: got {k} image per class, expected at least 2")
    return (features.sum(dim=1, keepdim=True) - features) / (k - 1)


def of_labelled(model: EquiVAE, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """r_y of each labelled image, (C, k, R), which is not among its samples, and of each class for others, (C, R).

    labelled: (C, k, *shape). Those of M2 are parameters, the same for every image of the class.
    """
    classes, k = labelled.shape[:2]
    if model.table is not None:
        return model.table.unsqueeze(1).expand(-1, k, -1), model.table
    invariants = model.f(labelled.flatten(0, 1)).unflatten(0, (classes, k))
    return complementary_means(invariants), invariants.mean(dim=1)


def counted(log_q: Tensor) -> Tensor:
    """By how much each image without a label counts for each class: q(y|x) above a half, else 0. (B, C), detached."""
    q = log_q.detach().exp()
    return torch.where(q > CONFIDENT, q, 0.0)


class Pooled(NamedTuple):
    """Sums of f over labelled and unlabelled images by group and class, and what each unlabelled image has in them."""

    sums: Tensor  # (G, C, R), of f(x) times weight
    weights: Tensor  # (G, C)
    group: Tensor  # (B,), whose r_y an unlabelled image reads
    counts: Tensor  # (B, C), its weight in each class of that group
    features: Tensor  # (B, R), its f(x)

    def without(self, image: Tensor, label: Tensor) -> Tensor:
        """r_y of pairs of an unlabelled image and a class, (N,) each, from all other images: (N, R)."""
        group, own = self.group[image], self.counts[image, label][:, None]
        return (self.sums[group, label] - own * self.features[image]) / (self.weights[group, label][:, None] - own)


def pooled(known: Tensor, unknown: Tensor, counts: Tensor, groups: int) -> tuple[Tensor, Pooled]:
    """r_y of each labelled image without itself, (C, k, R), and what gives those of unlabelled ones.

    known: f of labelled images (C, k, R), each of weight 1 in its class; unknown: f of unlabelled ones (B, R), of
    weights ``counts`` (B, C). The two share no image.
    """
    k, device = known.shape[1], known.device
    if k < 2:
        raise ValueError(f"complementary samples: got {k} image per class, expected at least 2")
    # images come in random order, so dealing them in turn is dealing them at random
    of_known, of_unknown = (torch.arange(n, device=device) % groups for n in (k, len(unknown)))
    in_known, in_unknown = _shares(of_known, groups), _shares(of_unknown, groups)  # (k, G), (B, G)
    weighted = in_unknown[:, :, None] * counts[:, None, :]  # (B, G, C)
    sums = torch.einsum("kg,ckr->gcr", in_known, known) + torch.einsum("bgc,br->gcr", weighted, unknown)
    weights = in_known.sum(dim=0)[:, None] + weighted.sum(dim=0)  # (G, C)
    own = (sums[of_known].transpose(0, 1) - known) / (weights[of_known].T - 1)[:, :, None]
    return own, Pooled(sums, weights, of_unknown, counts, unknown)


def _shares(group: Tensor, groups: int) -> Tensor:
    """Weight of n images in each group's r_y: 1 in their own, LITTLE in the others. group: (n,). Returns (n, G)."""
    own = group[:, None] == torch.arange(groups, device=group.device)
    return torch.where(own, 1.0, LITTLE)


def of_all(model: EquiVAE, labelled: Tensor, unlabelled: Tensor, log_q: Tensor, groups: int) -> tuple[Tensor, Pooled]:
    """:func:`pooled` of images: labelled (C, k, *shape), unlabelled (B, *shape) with their log q(y|x), (B, C)."""
    classes, k = labelled.shape[:2]
    features = model.f(torch.cat([labelled.flatten(0, 1), unlabelled])).float()  # sums of many, so not in bf16
    return pooled(features[: classes * k].unflatten(0, (classes, k)), features[classes * k :], counted(log_q), groups)
