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
from ie_model.model import EquiVAE, sample_gaussian


class Bound(NamedTuple):
    """The two parts of L(x, y), each (...,), in nats: sum over pixels, sum over dimensions of v."""

    log_likelihood: Tensor
    kl: Tensor
    kl_by_dimension: Tensor  # (V,), mean over the pairs


class Step(NamedTuple):
    """One training step's loss to minimise, and what is worth reporting of it (detached means over the batch)."""

    loss: Tensor  # (), nats per image
    bound: Tensor  # (), mean of L(x, y), or of U(x) where there are unlabelled images, with KL at weight 1
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
    outputs = model.decoder(r, sample_gaussian(mean, log_variance, noise))  # (N, pixels)
    likelihood = log_probability(outputs, x.flatten(1)[image], model.decoder.log_scale)
    by_dimension = kl_of_dimensions(mean, log_variance).mean(dim=0)
    return Bound(likelihood, kl_to_prior(mean, log_variance), by_dimension)


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


def imbalance(log_q: Tensor) -> Tensor:
    """KL(mean of q(y|x) over the batch || uniform p(y)), in nats: 0 when every class is predicted equally often.

    log_q: (B, C). The bound alone lets two classes share one cluster early on; this holds them apart.
    """
    mean = log_q.exp().mean(dim=0)  # (C,)
    return torch.xlogy(mean, mean * log_q.shape[1]).sum()


def representations(model: EquiVAE, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """r_y of each labelled image, (C, k, R), which is not among its samples, and of each class for others, (C, R).

    labelled: (C, k, *shape). Those of M2 are parameters, the same for every image of the class.
    """
    classes, k = labelled.shape[:2]
    if model.table is not None:
        return model.table.unsqueeze(1).expand(-1, k, -1), model.table
    invariants = model.f(labelled.flatten(0, 1)).unflatten(0, (classes, k))
    return complementary_means(invariants), invariants.mean(dim=1)


def labelled_step(
    model: EquiVAE,
    labelled: Tensor,
    noise: Tensor,
    classifier_weight: float,
    kl_weight: float | Tensor,
    free: float | Tensor | None = None,
) -> Step:
    """The labelled bound on a class-balanced batch, and the weighted log q(y|x) where the model has a q(y|x).

    labelled: (C, k, *shape); noise: (C k, V); weights and ``free`` may be tensors (). free: see :func:`given_back`;
    None: nothing is. The loss is the mean over images.
    """
    k = labelled.shape[1]
    x = labelled.flatten(0, 1)  # (C k, *shape)
    r, _ = representations(model, labelled)
    features = model.features(x)
    parts = bound(model, x, features, torch.arange(len(x), device=x.device), r.flatten(0, 1), noise)
    loss = (kl_weight * parts.kl - parts.log_likelihood).mean()
    if free is not None:
        loss = loss + kl_weight * given_back(parts.kl_by_dimension, free)
    if model.classifier is not None:
        loss = loss - classifier_weight * _log_q_of_own(model.classify(features), k).mean()
    return Step(loss, (parts.log_likelihood - parts.kl).mean().detach(), parts.kl.mean().detach())


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
    is reported is that of the unlabelled images.
    """
    classes, k = labelled.shape[:2]
    known = labelled.flatten(0, 1)  # (C k, *shape)
    r_known, r_class = representations(model, labelled)  # (C, k, R), and (C, R) of which no unlabelled image is a part
    x = torch.cat([known, unlabelled])
    features = model.features(x)  # (C k + B, H)
    log_q = model.classify(features)
    log_q_unlabelled = log_q[len(known) :]

    decoded = min(k, config.labelled_decoded)
    own = torch.arange(len(known), device=x.device).view(classes, k)[:, :decoded].flatten()
    pairs = likeliest_pairs(log_q_unlabelled, *_cut(config, len(unlabelled)))
    parts = bound(
        model,
        x,
        features,
        torch.cat([own, len(known) + pairs.image]),
        torch.cat([r_known[:, :decoded].flatten(0, 1), r_class[pairs.label]]),
        noise,
    )

    def bounds(weight: float | Tensor) -> tuple[Tensor, Tensor]:
        elbo = parts.log_likelihood - weight * parts.kl  # (C decoded + pairs,)
        known_mean = elbo[: len(own)].mean() - math.log(classes)
        return known_mean, unlabelled_bound(pairs, elbo[len(own) :], len(unlabelled), classes).mean()

    on_known, on_unknown = bounds(kl_weight)
    total = config.labelled_weight * len(known) * on_known + len(unlabelled) * on_unknown
    total = total + config.classifier_weight * _log_q_of_own(log_q[: len(known)], k).sum()
    loss = balance_weight * imbalance(log_q_unlabelled) - total / len(x)
    if free is not None:
        loss = loss + kl_weight * given_back(parts.kl_by_dimension, free) * (len(unlabelled) / len(x))
    with torch.no_grad():
        kl = (pairs.log_q.exp() * parts.kl[len(own) :]).sum() / len(unlabelled)
        return Step(loss, bounds(1.0)[1], kl)


def pairs_of_step(config: Config, per_class: int, unlabelled: int) -> int:
    """How many pairs of an image and a class :func:`semi_supervised_step` decodes, each with a sample of v."""
    return config.facts.classes * min(per_class, config.labelled_decoded) + _cut(config, unlabelled)[1]


def _cut(config: Config, unlabelled: int) -> tuple[int, int]:
    """The most classes of one image, and the pairs of all ``unlabelled`` images together."""
    likeliest = min(config.likeliest, config.facts.classes)
    return likeliest, max(unlabelled, min(round(config.pairs_per_image * unlabelled), likeliest * unlabelled))


def _log_q_of_own(log_q: Tensor, k: int) -> Tensor:
    """log q(y|x) of each image's own class: (C k, C), k images of each class in order, to (C k,)."""
    own = torch.arange(log_q.shape[1], device=log_q.device).repeat_interleave(k)
    return log_q.gather(1, own[:, None]).squeeze(1)
