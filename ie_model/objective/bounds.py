"""The bounds of the paper, as pure functions of tensors. Everything is in nats; reductions are stated.

Labelled:    L(x, y) = E_q(v|r_y,x)[log p(x | r_y, v)] - KL(q(v | r_y, x) || p(v))
Unlabelled:  U(x)    = sum_y q(y|x) [L(x, y) - log q(y|x) + log p(y)]

r_y is the mean of f over *complementary* samples of the class, never over x itself. Both bounds take r_y from labelled
images that are encoded once per step: leave-one-out means for the labelled images, class means for the others.
M2 has the same bounds with a learned r_y of each class.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ie_model.config import Config
from ie_model.model import Classifier, EquiVAE, sample_gaussian
from ie_model.objective import class_sums, representations


class Bound(NamedTuple):
    """The two parts of L(x, y), each (...,), in nats: sum over pixels, sum over dimensions of v."""

    log_likelihood: Tensor
    kl: Tensor
    kl_by_dimension: Tensor  # (V,), mean over the pairs
    v: Tensor  # the samples, (..., V)


class Step(NamedTuple):
    """One training step's loss to minimise, and what is worth reporting of it (detached means over the batch)."""

    loss: Tensor  # (), nats per image
    bound: Tensor  # (), mean of L(x, y), or of U(x) where there are unlabelled images, with KL at weight 1
    kl: Tensor  # (), mean KL
    log_q: Tensor | None = None  # (B, C), log q(y|x) of the unlabelled images, if there are any
    left_out: Tensor | None = None  # (), mean of what terms left out of the sums over y could add at most


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


def kl_of_dimensions(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each dimension: (..., V), in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)), summed over the last dimension, in nats."""
    return kl_of_dimensions(mean, log_variance).sum(dim=-1)


def given_back(kl_by_dimension: Tensor, free: float | Tensor) -> Tensor:
    """What makes up for a KL below ``free`` nats in each dimension, summed over them: with it such a KL costs nothing.

    kl_by_dimension: (V,). Returns (). While v is dear a dimension that is not worth its nats yet would fall to the
    prior, and from there no gradient leads back: it is 0 in the decoder's weights and in the mean at once. These are
    the free bits of Kingma et al., "Improved variational inference with inverse autoregressive flow" (2016).
    """
    return F.relu(free - kl_by_dimension).sum()


def bound(model: EquiVAE, x: Tensor, features: Tensor, image: Tensor, r: Tensor, noise: Tensor) -> Bound:
    """L(x, y) of N pairs of an image and a class, with one sample of v each.

    x: (B, *shape), features: (B, H) of x, image: which x each pair is about, (N,), r: r_y of its class, (N, R),
    noise: standard normal (N, V). Returns parts (N,).
    """
    mean, log_variance = model.posterior.pairs(features, image, r)
    v = sample_gaussian(mean, log_variance, noise)
    outputs = model.decoder(r, v)  # (N, pixels)
    likelihood = log_probability(outputs, x.flatten(1)[image], model.decoder.log_scale)
    by_dimension = kl_of_dimensions(mean, log_variance).mean(dim=0)
    return Bound(likelihood, kl_to_prior(mean, log_variance), by_dimension, v)


def imbalance(log_q: Tensor) -> Tensor:
    """KL(mean of q(y|x) over the batch || uniform p(y)), in nats: 0 when every class is predicted equally often.

    log_q: (B, C). The bound alone lets two classes share one cluster early on; this holds them apart.
    """
    mean = log_q.exp().mean(dim=0)  # (C,)
    return torch.xlogy(mean, mean * log_q.shape[1]).sum()


def labelled_step(
    model: EquiVAE,
    labelled: Tensor,
    noise: Tensor,
    classifier_weight: float,
    kl_weight: float | Tensor,
    free: float | Tensor | None = None,
    moments_weight: float = 0.0,
) -> Step:
    """The labelled bound on a class-balanced batch, and the weighted log q(y|x) where the model has a q(y|x).

    labelled: (C, k, *shape); noise: (C k, V); weights and ``free`` may be tensors (). free: see :func:`given_back`;
    None: nothing is. moments_weight: that of :class:`Moments`. The loss is the mean over images.
    """
    k = labelled.shape[1]
    x = labelled.flatten(0, 1)  # (C k, *shape)
    r, _ = representations.of_labelled(model, labelled)
    features = model.features(x)
    parts = bound(model, x, features, torch.arange(len(x), device=x.device), r.flatten(0, 1), noise)
    loss = (kl_weight * parts.kl - parts.log_likelihood).mean()
    if free is not None:
        loss = loss + kl_weight * given_back(parts.kl_by_dimension, free)
    if model.classifier is not None:
        loss = loss - classifier_weight * _log_q_of_own(model.classify(features), k).mean()
    if moments_weight:
        assert model.moments is not None
        own = torch.arange(labelled.shape[0], device=x.device).repeat_interleave(k)
        loss = loss + moments_weight * model.moments(parts.v, own, torch.ones(len(x), device=x.device))
    return Step(loss, (parts.log_likelihood - parts.kl).mean().detach(), parts.kl.mean().detach())


def classifier_step(
    model: Classifier,
    labelled: Tensor,
    unlabelled: Tensor | None,
    config: Config,
    balance_weight: float | Tensor = 0.0,
) -> Step:
    """What :func:`semi_supervised_step` asks of q(y|x) without a bound: its labelled and its balance term.

    labelled: (C, k, *shape); unlabelled: (B, *shape), or None. ``bound`` is the loss, there is no KL.
    """
    known = labelled.flatten(0, 1)
    x = known if unlabelled is None else torch.cat([known, unlabelled])
    log_q = model(x)
    loss = -config.classifier_weight * _log_q_of_own(log_q[: len(known)], labelled.shape[1]).sum() / len(x)
    if unlabelled is not None:
        loss = loss + balance_weight * imbalance(log_q[len(known) :])
    return Step(loss, loss.detach(), loss.new_zeros(()), log_q[len(known) :])


def semi_supervised_step(
    model: EquiVAE,
    labelled: Tensor,
    unlabelled: Tensor,
    noise: Tensor,
    config: Config,
    kl_weight: float | Tensor,
    balance_weight: float | Tensor = 0.0,
    free: float | Tensor | None = None,
) -> Step:
    """Both bounds, and the weighted log q(y|x) of the labelled images, per image of the whole batch.

    labelled: (C, k, *shape); unlabelled: (B, *shape); noise: (:func:`pairs_of_step`, V). The labelled images enter
    with their own class alone; the mean bound of the first ``labelled_decoded`` of each class stands for all k, and
    has ``labelled_weight``. Where ``balance_weight`` is not 0 the loss has that multiple of :func:`imbalance` on top,
    and is no bound; nor is it where ``free`` nats are given back (:func:`given_back`; None: nothing is). The bound that
    is reported is that of the unlabelled images. ``moments_weight``: see :class:`Moments`.
    """
    classes, k = labelled.shape[:2]
    known = labelled.flatten(0, 1)  # (C k, *shape)
    x = torch.cat([known, unlabelled])
    features = model.features(x)  # (C k + B, H)
    log_q = model.classify(features)
    log_q_unlabelled = log_q[len(known) :]
    pool = None
    if config.complementary == "all" and model.table is None:
        r_known, pool = representations.of_all(
            model, labelled, unlabelled, log_q_unlabelled, config.complementary_groups
        )
    else:
        r_known, r_class = representations.of_labelled(model, labelled)  # no unlabelled image is a part of r_class

    decoded = min(k, config.labelled_decoded)
    own = torch.arange(len(known), device=x.device).view(classes, k)[:, :decoded].flatten()
    pairs = class_sums.pairs_of(config, log_q_unlabelled)
    if config.sum_tolerance:  # there is noise for every pair: one has the same, whichever others there are
        noise = torch.cat([noise[: len(own)], noise[len(own) + pairs.image * classes + pairs.label]])
    parts = bound(
        model,
        x,
        features,
        torch.cat([own, len(known) + pairs.image]),
        torch.cat(
            [
                r_known[:, :decoded].flatten(0, 1),
                r_class[pairs.label] if pool is None else pool.without(pairs.image, pairs.label),
            ]
        ),
        noise,
    )

    def bounds(weight: float | Tensor) -> tuple[Tensor, Tensor]:
        elbo = parts.log_likelihood - weight * parts.kl  # (C decoded + pairs,)
        known_mean = elbo[: len(own)].mean() - math.log(classes)
        return known_mean, class_sums.unlabelled_bound(pairs, elbo[len(own) :], len(unlabelled), classes)

    on_known, on_unknown = bounds(kl_weight)
    total = config.labelled_weight * len(known) * on_known + len(unlabelled) * on_unknown.mean()
    total = total + config.classifier_weight * _log_q_of_own(log_q[: len(known)], k).sum()
    loss = balance_weight * imbalance(log_q_unlabelled) - total / len(x)
    if free is not None:
        loss = loss + kl_weight * given_back(parts.kl_by_dimension, free) * (len(unlabelled) / len(x))
    if model.moments is not None:
        counts = torch.cat([torch.ones(len(own), device=x.device), pairs.log_q.detach().exp()])
        loss = loss + config.moments_weight * model.moments(parts.v, torch.cat([own // k, pairs.label]), counts)
    with torch.no_grad():
        kl = (pairs.log_q.exp() * parts.kl[len(own) :]).sum() / len(unlabelled)
        reported = bounds(1.0)[1]
        left_out = class_sums.left_out(log_q_unlabelled, pairs, reported) if config.sum_tolerance else None
        return Step(loss, reported.mean(), kl, log_q_unlabelled, left_out)


def pairs_of_step(config: Config, per_class: int, unlabelled: int) -> int:
    """How many pairs of an image and a class :func:`semi_supervised_step` decodes, each with a sample of v."""
    known = config.facts.classes * min(per_class, config.labelled_decoded)
    return known + class_sums.noise_rows(config, unlabelled)


def _log_q_of_own(log_q: Tensor, k: int) -> Tensor:
    """log q(y|x) of each image's own class: (C k, C), k images of each class in order, to (C k,)."""
    own = torch.arange(log_q.shape[1], device=log_q.device).repeat_interleave(k)
    return log_q.gather(1, own[:, None]).squeeze(1)
