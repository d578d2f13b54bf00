"""M2 (Kingma et al. 2014) as it is usually written, with this package's networks: what a user would have otherwise.

An image at a time comes out of a data set and is made a float tensor; a `DataLoader` collates the batch. The sum over y
is a loop over the classes, each of which encodes and decodes the whole batch; the labelled images are another pass. The
optimiser is Adam as it comes. No test image and no label of an unlabelled image is used.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.model import EquiVAE, sample_gaussian
from ie_model.objective import bounds


class Images(Dataset[tuple[Tensor, int]]):
    """Images as bytes, given out one by one as floats with their class, or with -1 where they have none."""

    def __init__(self, images: Tensor, labels: Tensor | None) -> None:
        self.images, self.labels = (images * 255).round().to(torch.uint8), labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        label = -1 if self.labels is None else int(self.labels[index])
        return self.images[index].float() / 255, label


def bound(model: EquiVAE, x: Tensor, y: Tensor) -> Tensor:
    """L(x, y) with one sample of v: x (B, *shape), y (B,). Returns (B,), nats."""
    assert model.table is not None
    r = model.table[y].unsqueeze(1)  # (B, 1, R)
    mean, log_variance = model.posterior(model.features(x), r)
    v = sample_gaussian(mean, log_variance, torch.randn_like(mean))
    outputs = model.decoder(r, v).squeeze(1)
    likelihood = bounds.log_probability(outputs, x.flatten(1), model.decoder.log_scale)
    return likelihood - bounds.kl_to_prior(mean, log_variance).squeeze(1)


def loss(model: EquiVAE, x: Tensor, y: Tensor, unlabelled: Tensor, weight: float) -> Tensor:
    """The objective of a labelled and an unlabelled batch, per image, with p(y) uniform; ``weight`` of log q(y|x)."""
    log_q_known = model.classify(model.features(x))
    classes = log_q_known.shape[1]
    labelled = -(bound(model, x, y) - math.log(classes)).sum() + weight * F.nll_loss(log_q_known, y, reduction="sum")
    log_q = model.classify(model.features(unlabelled))
    total = torch.zeros(len(unlabelled), device=x.device)
    for c in range(classes):
        one = torch.full((len(unlabelled),), c, device=x.device)
        total = total + log_q[:, c].exp() * (bound(model, unlabelled, one) - log_q[:, c] - math.log(classes))
    return (labelled - total.sum()) / (len(x) + len(unlabelled))


def endless(loader: DataLoader[tuple[Tensor, int]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches, epoch after epoch."""
    for _ in itertools.count():
        yield from loader


class Trainer:
    """A model, and batches that never end."""

    def __init__(self, config: Config, images: tensors.Training) -> None:
        self.config, self.device = config, images.unlabelled.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = EquiVAE(config).to(memory_format=torch.contiguous_format).to(self.device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        order = torch.Generator().manual_seed(config.seed)
        known = Images(images.labelled.images.cpu(), images.labelled.labels.cpu())
        each = min(config.per_class * config.facts.classes, len(known))
        self.known = endless(DataLoader(known, each, shuffle=True, drop_last=True, generator=order))
        unknown = Images(images.unlabelled.cpu(), None)
        self.unknown = endless(DataLoader(unknown, config.batch_size, shuffle=True, drop_last=True, generator=order))

    def step(self) -> int:
        """One training step. Returns the unlabelled images that it saw."""
        (x, y), (unlabelled, _) = next(self.known), next(self.unknown)
        x, y, unlabelled = x.to(self.device), y.to(self.device), unlabelled.to(self.device)
        self.optimiser.zero_grad()
        loss(self.model, x, y, unlabelled, self.config.classifier_weight).backward()
        self.optimiser.step()
        return len(unlabelled)
