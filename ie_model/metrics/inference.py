"""What a trained model says of many images, in bounded memory: q(v|r,x), f(x), q(y|x), bounds and likelihoods."""

from __future__ import annotations

import torch
from torch import Tensor

from ie_model import objective
from ie_model.data import tensors
from ie_model.metrics import scores
from ie_model.model import EquiVAE, sample_gaussian

CHUNK = 1000  # images at a time: bounds memory
SAMPLES = 200  # samples of v at a time: what they decode to stays in the processor's cache


@torch.no_grad()
def infer(model: EquiVAE, x: Tensor, r: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A sample of q(v | r, x) and L(x, y) with that sample, for the one class that each row of r stands for.

    x: (n, *shape), r: (n, R), noise: (n, V). Returns v (n, V) and the bound (n,) in nats.
    """
    samples, bounds = [], []
    for part, own, draw in zip(x.split(CHUNK), r.split(CHUNK), noise.split(CHUNK), strict=True):
        mean, log_variance = model.posterior(model.features(part), own.unsqueeze(1))  # (chunk, 1, V)
        v = sample_gaussian(mean, log_variance, draw.unsqueeze(1))
        outputs = model.decoder(own.unsqueeze(1), v)  # (chunk, 1, D)
        likelihood = objective.log_probability(outputs, part.flatten(1).unsqueeze(1), model.decoder.log_scale)
        samples.append(v.squeeze(1))
        bounds.append((likelihood - objective.kl_to_prior(mean, log_variance)).squeeze(1))
    return torch.cat(samples), torch.cat(bounds)


@torch.no_grad()
def posterior_means(model: EquiVAE, x: Tensor, r: Tensor) -> Tensor:
    """The mean of q(v | r, x). x: (n, *shape), r: (n, R). Returns (n, V)."""
    parts = zip(x.split(CHUNK), r.split(CHUNK), strict=True)
    return torch.cat([model.posterior(model.features(part), own.unsqueeze(1))[0].squeeze(1) for part, own in parts])


@torch.no_grad()
def invariants(model: EquiVAE, x: Tensor) -> Tensor:
    """f(x) of single images: (n, R). Raises ValueError for M2."""
    return torch.cat([model.f(part) for part in x.split(CHUNK)])


@torch.no_grad()
def class_representations(model: EquiVAE, labelled: tensors.Labelled, classes: int) -> Tensor:
    """r_y of every class: the mean of f over all its labelled images, or what M2 has learned. Returns (C, R)."""
    if model.table is not None:
        return model.table.detach().clone()
    features = invariants(model, labelled.images)
    sums = torch.zeros(classes, features.shape[1], device=features.device).index_add_(0, labelled.labels, features)
    return sums / torch.bincount(labelled.labels, minlength=classes)[:, None]


@torch.no_grad()
def predicted(model: EquiVAE, x: Tensor) -> Tensor:
    """The likeliest class under q(y|x): (n,)."""
    return torch.cat([model.classify(model.features(part)).argmax(dim=1) for part in x.split(CHUNK)])


@torch.no_grad()
def likeliest(model: EquiVAE, x: Tensor, r: Tensor) -> Tensor:
    """The class with the highest bound L(x, y), at the mean of q(v | r_y, x). r: (C, R). Returns (n,)."""
    found = []
    for part in x.split(CHUNK // len(r)):
        mean, log_variance = model.posterior(model.features(part), r.unsqueeze(0))  # (chunk, C, V)
        outputs = model.decoder(r.unsqueeze(0), mean)  # (chunk, C, D)
        likelihood = objective.log_probability(outputs, part.flatten(1).unsqueeze(1), model.decoder.log_scale)
        found.append((likelihood - objective.kl_to_prior(mean, log_variance)).argmax(dim=1))
    return torch.cat(found)


@torch.no_grad()
def log_likelihood(model: EquiVAE, x: Tensor, r: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Importance-weighted estimates of log p(x | r), in nats: log of the mean of p(x|r,v) p(v) / q(v|r,x).

    x: (n, *shape), r: (n, R); ``samples`` of v for each image, from q. Returns (n,); a lower bound in expectation,
    tight for many samples.
    """
    estimates = []
    for image, own in zip(x.split(1), r.split(1), strict=True):
        mean, log_variance = model.posterior(model.features(image), own.unsqueeze(1))  # (1, 1, V)
        parts = []
        for count in _chunks(samples):
            noise = torch.randn(1, count, mean.shape[-1], generator=generator, device=x.device)
            v = sample_gaussian(mean, log_variance, noise)
            outputs = model.decoder(own.unsqueeze(1), v)  # (1, count, D)
            likelihood = objective.log_probability(outputs, image.flatten(1).unsqueeze(1), model.decoder.log_scale)
            parts.append(scores.log_importance(likelihood, log_variance, noise, v))
        estimates.append(scores.log_mean_exp(parts))
    return torch.cat(estimates)


@torch.no_grad()
def complementary_representations(
    model: EquiVAE, images: tensors.Labelled, labelled: Tensor, r: Tensor, classes: Tensor
) -> Tensor:
    """r of the class that each training image is taken for, from labelled images other than itself.

    labelled: indices of the labelled images among ``images``; r: (C, R) means over them; classes: (n,) the class each
    image is taken for, true or predicted. Returns (n, R). No image is part of what M2 has learned of a class.
    """
    own = r[classes].clone()
    if model.table is not None:
        return own
    among = labelled[classes[labelled] == images.labels[labelled]]  # those that are part of that class's mean
    count = torch.bincount(images.labels[labelled], minlength=len(r))[images.labels[among]].unsqueeze(1)
    own[among] = (own[among] * count - invariants(model, images.images[among])) / (count - 1)
    return own


def _chunks(samples: int) -> list[int]:
    """Sizes that sum to ``samples``, each at most SAMPLES."""
    return [min(SAMPLES, samples - start) for start in range(0, samples, SAMPLES)]
