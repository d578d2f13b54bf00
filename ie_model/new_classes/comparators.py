"""Comparators on unseen classes: M2, a prototypical network, pixels. Same steps, same sizes.

M2 has no f: its r_y is a row of a table, and an unseen class has no row. The best that can be done is to look for the
row under which the given examples have the highest bound, by gradient, with everything else as it was trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ie_model.adam import Adam
from ie_model.config import Config
from ie_model.metrics import inference
from ie_model.model import INVARIANT_GAIN, Encoder, EquiVAE
from ie_model.objective import bounds

ROW_STEPS = 40  # of Adam, for the rows of unseen classes
ROW_RATE = 0.1
REFINED_RATE = 0.05  # of r_y that f has given
ROW_EXAMPLES = 5  # of each class in a step of these


class Networks(NamedTuple):
    """All that a run trains: the paper's model, M2, and a prototypical network on the encoder of f."""

    model: EquiVAE
    m2: EquiVAE
    prototypical: Encoder

    def train(self, mode: bool = True) -> None:
        """All in training mode, or in evaluation mode."""
        for network in self:
            network.train(mode)

    def to(self, device: torch.device) -> Networks:
        """All on that device."""
        return Networks(self.model.to(device), self.m2.to(device), self.prototypical.to(device))

    def named(self) -> dict[str, nn.Module]:
        """By the names that their weights are stored under."""
        return dict(self._asdict())


def new(config: Config, device: torch.device) -> Networks:
    """Fresh networks, from torch's generator."""
    model, m2 = EquiVAE(config), EquiVAE(config, table=True)
    prototypical = Encoder(config, config.invariant_dim, normalised=False).to(memory_format=torch.channels_last)
    with torch.no_grad():
        prototypical.dense.weight.mul_(INVARIANT_GAIN)
    return Networks(model, m2, prototypical).to(device)


def fitted_rows(
    model: EquiVAE, examples: Tensor, generator: torch.Generator, steps: int = ROW_STEPS, start: Tensor | None = None
) -> Tensor:
    """r_y of unseen classes by gradient: (C, R). For M2 rows of its table, from the mean of the trained ones.

    examples: (C, m, *shape); start: for the paper's model, where r_y starts, (C, R): what f says of the examples. The
    bound of the examples is raised; nothing but r_y changes.
    """
    classes, m = examples.shape[:2]
    if start is None:
        assert model.table is not None
        start = model.table.detach().mean(dim=0).repeat(classes, 1)
    rows = nn.Parameter(start.clone())
    optimiser = Adam([rows])
    with torch.no_grad():
        features = torch.cat([model.features(part) for part in examples.flatten(0, 1).split(inference.CHUNK)])
        features = features.unflatten(0, (classes, m))
    highest = ROW_RATE if model.table is not None else REFINED_RATE
    for step in range(steps):
        optimiser.lr = highest * 0.5 * (1 + math.cos(math.pi * step / steps))
        some = torch.randperm(m, generator=generator)[:ROW_EXAMPLES].to(examples.device)
        x, known = examples[:, some].flatten(0, 1), features[:, some].flatten(0, 1)
        noise = torch.randn(len(x), model.posterior.head.out_features // 2, generator=generator).to(x.device)
        r = rows.repeat_interleave(len(some), dim=0)
        parts = bounds.bound(model, x, known, torch.arange(len(x), device=x.device), r, noise)
        (rows.grad,) = torch.autograd.grad((parts.kl - parts.log_likelihood).sum(), [rows])
        optimiser.step()
    return rows.detach()


def prototypes(encoder: Callable[[Tensor], Tensor], examples: Tensor) -> Tensor:
    """Mean of what an encoder says of the examples of each class: (C, R) of (C, m, *shape)."""
    with torch.no_grad():
        said = torch.cat([encoder(part) for part in examples.flatten(0, 1).split(inference.CHUNK)])
    return said.unflatten(0, examples.shape[:2]).mean(dim=1)
