"""The bounds of the paper, as pure functions of tensors. Everything is in nats; reductions are stated.

Labelled:    L(x, y) = E_q(v|r_y,x)[log p(x | r_y, v)] - KL(q(v | r_y, x) || p(v))
Unlabelled:  U(x)    = sum_y q(y|x) [L(x, y) - log q(y|x) + log p(y)]

r_y is the mean of f over *complementary* samples of the class, never over x itself. Both bounds take r_y from labelled
images that are encoded once per step: leave-one-out means for the labelled images, class means for the others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ie_model.config import Config
from ie_model.model import EquiVAE, sample_gaussian


class Bound(NamedTuple):
    """The two parts of L(x, y), each (...,), in nats: sum over pixels, sum over dimensions of v."""

    log_likelihood: Tensor
    kl: Tensor


class Step(NamedTuple):
    """One training step's loss to minimise, and what is worth reporting of it (detached means over the batch)."""

    loss: Tensor  # (), nats per image
    bound: Tensor  # (), mean of L(x, y), or of L and U together, with KL at weight 1
    kl: Tensor  # (), mean KL


def complementary_means(features: Tensor) -> Tensor:
    """r_y of each labelled image from the *other* images of its class.

    features: f(x), (C, k, R), k >= 2 images of each class. Returns (C, k, R). Raises ValueError when k < 2.
    """
    k = features.shape[1]
    if k < 2:
        raise ValueError(f"complementary samples: got {k} image per class, expected at least 2")
    return (features.sum(dim=1, keepdim=True) - features) / (k - 1)


def log_bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """Expected log-probability of x's pixel-wise binarisation, summed over pixels.

    logits: (..., D), x: (..., D) in [0, 1], broadcast. A grey value g counts as ink with probability g, so this is
    E_{b ~ Bernoulli(x)}[log p(b)]. Returns (...,), nats.
    """
    return (logits * x - F.softplus(logits)).sum(dim=-1)


def log_discretised_logistic(means: Tensor, x: Tensor, log_scale: Tensor) -> Tensor:
    """Log-probability of x's 8-bit values under logistic distributions cut into 256 bins, summed over all values.

    means: (..., D) in [0, 1], x: (..., D) in {0, 1/255, ..., 1}, broadcast; D = channels × pixels, channel by channel;
    log_scale: (channels,). The outer bins reach to infinity, so that the 256 probabilities sum to one. Returns (...,),
    nats. It is a probability of the stored values, with no noise added to them, so it compares between models and
    gives bits per dimension. A Gaussian density would need dequantised values, and without them is unbounded.
    """
    scale = log_scale.clamp(-7, 2).exp().repeat_interleave(means.shape[-1] // len(log_scale))  # (D,)
    upper = (x - means + 0.5 / 255) / scale
    lower = (x - means - 0.5 / 255) / scale
    # s(upper) - s(lower) = s(upper) s(-lower) (1 - exp(lower - upper)), and upper - lower does not depend on x
    width = torch.log(-torch.expm1(-1 / (255 * scale)))  # (D,)
    first, last = x < 0.5 / 255, x > 254.5 / 255
    below = torch.where(last, 0.0, F.logsigmoid(upper))
    above = torch.where(first, 0.0, F.logsigmoid(-lower))
    return (below + above + torch.where(first | last, 0.0, width)).sum(dim=-1)


def log_probability(outputs: Tensor, x: Tensor, log_scale: Tensor | None) -> Tensor:
    """log p(x | r, v) of a decoder's outputs (..., D) and its ``log_scale``, None for ink. Returns (...,), nats."""
    if log_scale is None:
        return log_bernoulli(outputs, x)
    return log_discretised_logistic(torch.sigmoid(outputs), x, log_scale)


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)), summed over the last dimension, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)


def bound(model: EquiVAE, x: Tensor, features: Tensor, r: Tensor, noise: Tensor) -> Bound:
    """L(x, y) for K classes of each image, with one sample of v each.

    x: (B, *shape), features: (B, H) of x, r: (B, K, R), noise: standard normal (B, K, V). Returns parts (B, K).
    """
    mean, log_variance = model.posterior(features, r)
    outputs = model.decoder(r, sample_gaussian(mean, log_variance, noise))  # (B, K, D)
    likelihood = log_probability(outputs, x.flatten(1).unsqueeze(1), model.decoder.log_scale)
    return Bound(likelihood, kl_to_prior(mean, log_variance))


def unlabelled_bound(log_q: Tensor, labelled: Tensor, classes: int) -> Tensor:
    """U(x) from L(x, y), in nats, with the uniform p(y) over all classes.

    log_q: log q(y|x) over the classes that are kept, (B, K); labelled: L(x, y) of the same classes, (B, K). With
    K = C this is the bound; with K < C, log_q renormalised over the kept classes, it is the bound for the q(y|x) that
    is cut to them. Returns (B,).
    """
    return (log_q.exp() * (labelled - log_q - math.log(classes))).sum(dim=-1)


def imbalance(log_q: Tensor) -> Tensor:
    """KL(mean of q(y|x) over the batch || uniform p(y)), in nats: 0 when every class is predicted equally often.

    log_q: (B, C). The bound alone lets two classes share one cluster early on; this holds them apart.
    """
    mean = log_q.exp().mean(dim=0)  # (C,)
    return torch.xlogy(mean, mean * log_q.shape[1]).sum()


def supervised_step(model: EquiVAE, labelled: Tensor, noise: Tensor, kl_weight: float) -> Step:
    """The labelled bound on a class-balanced batch.

    labelled: (C, k, *shape); noise: (C k, 1, V). The loss is the mean over images.
    """
    x = labelled.flatten(0, 1)  # (C k, *shape)
    features = model.invariant(x).unflatten(0, labelled.shape[:2])  # (C, k, R)
    r = complementary_means(features).flatten(0, 1).unsqueeze(1)  # (C k, 1, R)
    parts = bound(model, x, model.features(x), r, noise)
    loss = (kl_weight * parts.kl - parts.log_likelihood).mean()
    return Step(loss, (parts.log_likelihood - parts.kl).mean().detach(), parts.kl.mean().detach())


def semi_supervised_step(
    model: EquiVAE,
    labelled: Tensor,
    unlabelled: Tensor,
    noise: Tensor,
    config: Config,
    kept: int,
    kl_weight: float,
    balance_weight: float = 0.0,
) -> Step:
    """Both bounds, and the weighted log q(y|x) of the labelled images, per image of the whole batch.

    labelled: (C, k, *shape); unlabelled: (B, *shape); kept: how many classes of the sum over y to keep;
    noise: (C k + B, kept, V). The labelled images enter with their own class alone. Where ``balance_weight`` is not 0
    the loss has that multiple of :func:`imbalance` on top, and is no bound.
    """
    classes, k = labelled.shape[:2]
    known = labelled.flatten(0, 1)  # (C k, *shape)
    features = model.invariant(known).unflatten(0, (classes, k))  # (C, k, R)
    r_known = complementary_means(features).flatten(0, 1).unsqueeze(1)  # (C k, 1, R)
    r_class = features.mean(dim=1)  # (C, R): no unlabelled image is among these samples as itself

    image = model.features(torch.cat([known, unlabelled]))  # (C k + B, H)
    log_q = model.classify(image)
    targets = torch.arange(classes, device=log_q.device).repeat_interleave(k)
    log_q_known = log_q[: classes * k].gather(1, targets[:, None]).squeeze(1)  # (C k,)

    log_q_kept, candidates = log_q[classes * k :].topk(kept, dim=1)  # (B, kept)
    if kept < classes:
        log_q_kept = log_q_kept.log_softmax(dim=1)

    on_known = bound(model, known, image[: classes * k], r_known, noise[: classes * k, :1])
    on_unknown = bound(model, unlabelled, image[classes * k :], r_class[candidates], noise[classes * k :])

    def objective(weight: float) -> Tensor:
        known_part = (on_known.log_likelihood - weight * on_known.kl).squeeze(1) - math.log(classes)  # (C k,)
        unknown_part = unlabelled_bound(log_q_kept, on_unknown.log_likelihood - weight * on_unknown.kl, classes)  # (B,)
        return torch.cat([known_part, unknown_part]).mean()

    images = classes * k + len(unlabelled)
    loss = -objective(kl_weight) - config.classifier_weight * log_q_known.sum() / images
    loss = loss + balance_weight * imbalance(log_q[classes * k :])
    with torch.no_grad():
        kl = (log_q_kept.exp() * on_unknown.kl).sum(dim=1).mean()
    return Step(loss, objective(1.0).detach(), kl)
