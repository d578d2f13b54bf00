"""Probes: small classifiers that are trained to read the class from a representation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ie_model.adam import Adam
from ie_model.metrics.scores import percent_wrong

HIDDEN = 256  # units of the MLP probe
BATCH = 500
LEARNING_RATE = 3e-3


def accuracy(
    train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, hidden: int | None, epochs: int, seed: int
) -> float:
    """How well a probe trained on (train, train_labels) reads the class from ``test``, in %.

    train: (n, D), test: (m, D); standardised by the training part's mean and deviation. ``hidden`` units of one hidden
    layer, or None for a linear probe.
    """
    mean, deviation = train.mean(dim=0), train.std(dim=0).clamp_min(1e-6)
    train, test = (train - mean) / deviation, (test - mean) / deviation
    classes = int(train_labels.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(train.shape[1], classes)]
        if hidden is not None:
            layers = [nn.Linear(train.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, classes)]
        probe = nn.Sequential(*layers).to(train.device)
    optimiser = Adam(probe.parameters())
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        optimiser.lr = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        for batch in torch.randperm(len(train), generator=order).to(train.device).split(BATCH):
            loss = F.cross_entropy(probe(train[batch]), train_labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        return 100 - percent_wrong(probe(test).argmax(dim=1), test_labels)
