"""Training steps to compare on the same images: ours, ours without its optimisations, and M2's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ie_model import training
from ie_model.bench import flops, usual_m2
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.model import EquiVAE
from ie_model.objective import bounds, representations

OURS, PLAIN, M2, USUAL = "EquiVAE", "EquiVAE, plain", "M2, shared step", "M2, usual"


@dataclasses.dataclass(frozen=True)
class Form:
    """A way to train. ``run`` takes a number of steps and returns the unlabelled images that they saw."""

    run: Callable[[int], int]
    operations: int | None = None  # of one step, in its layers


def load(config: Config, folder: Path | None) -> tensors.Training:
    """The images of a run, on its device."""
    return training.to_device(tensors.load_training(config, folder), training.prepare(config))


def build(config: Config, images: tensors.Training) -> dict[str, Form]:
    """Every form that is compared, freshly initialised, by name. ``config`` is of the paper's method."""
    m2 = dataclasses.replace(config, method="m2")
    usual = usual_m2.Trainer(m2, images)
    return {
        OURS: shared(config, images),
        PLAIN: plain(config, images),
        M2: shared(m2, images),
        USUAL: Form(lambda steps: sum(usual.step() for _ in range(steps))),
    }


def shared(config: Config, images: tensors.Training) -> Form:
    """The training code of `ie_model train`, an epoch of as many steps as are asked for."""
    model, optimiser = training.new_model(config, images.unlabelled.device)
    take = training.step_of(config, model.train(), optimiser, images)

    def run(steps: int) -> int:
        short = dataclasses.replace(config, epoch_images=steps * config.batch_size)
        return int(training.train_epoch(short, 0, take, images, lambda epoch, share, row: None)["images"])

    if config.compile:  # counting would come between what is compiled; the arithmetic is the same
        return Form(run, shared(dataclasses.replace(config, compile=False), images).operations)
    return Form(run, flops.counted(lambda: run(1)))


def plain(config: Config, images: tensors.Training) -> Form:
    """The same objective with the whole sum over y, every class encoding and decoding everything anew."""
    model, optimiser = training.new_model(config, images.unlabelled.device)
    assert isinstance(model, EquiVAE)
    model.train()
    order = torch.Generator().manual_seed(config.seed)
    per_class = min(config.per_class, int(torch.bincount(images.labelled.labels).min()))

    def run(steps: int) -> int:
        batches = training.labelled_order(images.labelled.labels.cpu(), per_class, steps, order).to(
            images.unlabelled.device
        )
        for step in range(steps):
            chosen = torch.randint(len(images.unlabelled), (config.batch_size,), generator=order)
            unlabelled = images.unlabelled[chosen.to(images.unlabelled.device)]
            loss = plain_loss(model, images.labelled.images[batches[step]], unlabelled, config, config.kl_start)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return steps * config.batch_size

    return Form(run, flops.counted(lambda: run(1)))


def plain_loss(
    model: EquiVAE,
    labelled: Tensor,
    unlabelled: Tensor,
    config: Config,
    kl_weight: float,
    draw: Callable[[int, int], Tensor] | None = None,
) -> Tensor:
    """The bounds of `bounds.semi_supervised_step` where nothing is cut and nothing is added, class by class, with r_y
    from labelled images.

    labelled: (C, k, *shape), unlabelled: (B, *shape). draw(y, n): the noise (n, V) of class y's n images, first the
    labelled ones; None draws it. Every bound encodes its images, and f its class, again.
    """
    classes, k = labelled.shape[:2]
    total = labelled.new_zeros(())

    def noise(y: int, n: int) -> Tensor:
        return labelled.new_empty(n, config.equivariant_dim).normal_() if draw is None else draw(y, n)

    for y in range(classes):
        known = labelled[y]
        r_known, r_class = representations.of_labelled(model, labelled[y : y + 1])
        r = torch.cat([r_known[0], r_class.expand(len(unlabelled), -1)])
        x = torch.cat([known, unlabelled])
        log_q = model.classify(model.features(x))
        each = torch.arange(len(x), device=x.device)
        parts = bounds.bound(model, x, model.features(x), each, r, noise(y, len(x)))
        elbo = parts.log_likelihood - kl_weight * parts.kl - math.log(classes)
        q = log_q[k:, y]
        total = total + config.labelled_weight * elbo[:k].sum() + config.classifier_weight * log_q[:k, y].sum()
        total = total + (q.exp() * (elbo[k:] - q)).sum()
    return -total / (classes * k + len(unlabelled))


def facts(form: Form) -> dict[str, Any]:
    """What is known of a form before it is timed."""
    return {"operations_per_step": form.operations}
