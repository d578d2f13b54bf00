"""Consistency regularisation of q(y|x): virtual adversarial training, and agreement between moved copies of an image.

Neither term is part of the paper's objective. Smoothness (virtual adversarial training: Miyato et al., "Virtual
adversarial training: a regularization method for supervised and semi-supervised learning", 2018) needs no knowledge of
the data; its weight falls to zero, so that training ends on the bound. Moved copies are augmentation, which is for the
open division.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ie_model.config import Config
from ie_model.metrics import transforms
from ie_model.model import Classifier, EquiVAE

PROBE = (
    0.1  # L2 length of the step at which the curvature of KL is read; small beside any radius, large beside rounding
)

LogQ = Callable[[Tensor], Tensor]  # images (B, *shape) to log q(y|x), (B, C)


@contextlib.contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Within it batch normalisation uses each batch's own statistics, as in training, but does not remember them.

    Evaluation is about images as they are: perturbed ones must not enter the running means.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of categorical distributions, log-probabilities (B, C) each. Returns (B,), in nats."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


def with_length(steps: Tensor, length: float) -> Tensor:
    """Each image-shaped step (B, *shape) scaled to an L2 norm; a step of zero stays zero."""
    norms = steps.flatten(1).norm(dim=1).clamp_min(1e-12)
    return length * steps / norms.view(-1, *[1] * (steps.dim() - 1))


def adversarial_step(log_q: LogQ, x: Tensor, now: Tensor, start: Tensor, radius: float) -> Tensor:
    """The step of L2 length ``radius`` that moves q(y|x) most, to second order, by one power iteration.

    x: (B, *shape); now: log q(y|x), (B, C), detached; start: any random steps, (B, *shape). Returns (B, *shape).
    """
    probe = with_length(start, PROBE).requires_grad_()
    moved = divergence(now, log_q(x + probe)).sum()
    (gradient,) = torch.autograd.grad(moved, probe)
    return with_length(gradient, radius)


def smoothness(log_q: LogQ, x: Tensor, start: Tensor, radius: float) -> Tensor:
    """Mean KL(q(y|x) || q(y|x + d)) over images, in nats, where d is the worst step of that L2 length. Returns ().

    The gradient reaches the network through the second distribution only: the first is what it should keep.
    """
    with torch.no_grad():
        now = log_q(x)
    return divergence(now, log_q(x + adversarial_step(log_q, x, now, start, radius))).mean()


def terms(
    model: EquiVAE | Classifier,
    known: Tensor,
    unknown: Tensor,
    log_q_unknown: Tensor,
    config: Config,
    smoothness_weight: float | Tensor | None,
    moved_weight: float | Tensor | None,
    posed_weight: float | Tensor | None,
    noise: torch.Generator,
) -> Tensor:
    """What is added to a step's loss, in nats per image; 0 where neither term is asked for. Returns ().

    Weights: numbers, or tensors () that nothing here looks into; None for no smoothness, or no moved copies.
    known: labelled images (C, k, *shape); unknown: (B, *shape), with the step's log q(y|x) of them, (B, C). ``noise``
    gives steps and movements, on their device.
    """
    total = torch.zeros((), device=unknown.device)

    def log_q(x: Tensor) -> Tensor:
        return model.classify(model.features(x))

    with frozen_statistics(model.encoder):
        if smoothness_weight is not None:
            some = unknown[: config.smoothness_images]
            start = torch.randn(some.shape, generator=noise, device=some.device)
            total = total + smoothness_weight * smoothness(log_q, some, start, config.smoothness_radius)
        if moved_weight is not None:
            total = total + _moved_copies(log_q, known, unknown, log_q_unknown, config, moved_weight, noise)
        if posed_weight is not None and isinstance(model, EquiVAE):
            # the last ones, since smoothness looks at the first; and as large a share of the labelled ones
            some, of_some = (part[-config.posed_images :] for part in (unknown, log_q_unknown))
            share = max(1, round(known.shape[1] * len(some) / len(unknown)))
            total = total + _posed_copies(model, log_q, known[:, :share], some, of_some, config, posed_weight, noise)
    return total


def _posed_copies(
    model: EquiVAE,
    log_q: LogQ,
    known: Tensor,
    unknown: Tensor,
    log_q_unknown: Tensor,
    config: Config,
    weight: float | Tensor,
    noise: torch.Generator,
) -> Tensor:
    """As moved copies, but moved as the decoder moves what it draws for a v from the prior (`pose`): by what the model
    itself has learned to be no matter of the class."""
    assert model.decoder.pose is not None
    images = torch.cat([known.flatten(0, 1), unknown])
    v = torch.randn(len(images), config.equivariant_dim, generator=noise, device=images.device)
    with torch.no_grad():
        copies = model.decoder.pose(images, v)
    return _agreement(log_q, copies, known, log_q_unknown, config, weight)


def _moved_copies(
    log_q: LogQ,
    known: Tensor,
    unknown: Tensor,
    log_q_unknown: Tensor,
    config: Config,
    weight: float | Tensor,
    noise: torch.Generator,
) -> Tensor:
    """Moved unlabelled images are to agree with what they come from, moved labelled ones to have their class."""
    copies = transforms.distort(torch.cat([known.flatten(0, 1), unknown]), config.moved_amount, noise)
    return _agreement(log_q, copies, known, log_q_unknown, config, weight)


def _agreement(
    log_q: LogQ, copies: Tensor, known: Tensor, log_q_unknown: Tensor, config: Config, weight: float | Tensor
) -> Tensor:
    """Copies of labelled images are to have their class, copies of unlabelled ones to be as sure as their originals.

    copies: (C k + B, *shape); log_q_unknown: (B, C), of the originals. Returns (), per unlabelled image.
    """
    own = torch.arange(known.shape[0], device=known.device).repeat_interleave(known.shape[1])
    target = F.log_softmax(config.moved_sharpness * log_q_unknown.detach(), dim=1)
    answers = log_q(copies)
    on_known = F.nll_loss(answers[: len(own)], own, reduction="sum") / len(log_q_unknown)
    on_unknown = divergence(target, answers[len(own) :]).mean()
    return config.classifier_weight * on_known + weight * on_unknown
