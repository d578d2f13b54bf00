"""What a trained model says of many images, in bounded memory: q(v|r,x), f(x), q(y|x), bounds and likelihoods."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.model import Classifier, EquiVAE, sample_gaussian
from ie_model.objective import bounds
from ie_model.objective.representations import counted

CHUNK = 1000  # images at a time: bounds memory


@torch.no_grad()
def infer(model: EquiVAE, x: Tensor, r: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A sample of q(v | r, x) and L(x, y) with that sample, for the one class that each row of r stands for.

    x: (n, *shape), r: (n, R), noise: (n, V). Returns v (n, V) and the bound (n,) in nats.
    """
    samples, values = [], []
    for part, own, draw in zip(x.split(CHUNK), r.split(CHUNK), noise.split(CHUNK), strict=True):
        mean, log_variance = model.posterior(model.features(part), own.unsqueeze(1))  # (chunk, 1, V)
        v = sample_gaussian(mean, log_variance, draw.unsqueeze(1))
        outputs = model.decoder(own.unsqueeze(1), v)  # (chunk, 1, D)
        likelihood = bounds.log_probability(outputs, part.flatten(1).unsqueeze(1), model.decoder.log_scale)
        samples.append(v.squeeze(1))
        values.append((likelihood - bounds.kl_to_prior(mean, log_variance)).squeeze(1))
    return torch.cat(samples), torch.cat(values)


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
def of_classes(config: Config, model: EquiVAE, images: tensors.Training) -> Tensor:
    """r_y of every class as a finished run has it, (C, R): over the images that its training steps take it from.

    Those are the labelled images or, with ``complementary`` all, the unlabelled ones too, by q(y|x) where that is above
    a half.
    """
    classes = config.facts.classes
    if not config.pools:
        return class_representations(model, images.labelled, classes)
    known = F.one_hot(images.labelled.labels, classes).float()
    sums = known.T @ invariants(model, images.labelled.images)
    weights = known.sum(dim=0)
    for part in images.unlabelled.split(CHUNK):
        counts = counted(model.classify(model.features(part)))
        sums += counts.T @ model.f(part)
        weights += counts.sum(dim=0)
    return sums / weights[:, None]


@torch.no_grad()
def predicted(model: EquiVAE | Classifier, x: Tensor) -> Tensor:
    """The likeliest class under q(y|x): (n,)."""
    return torch.cat([model.classify(model.features(part)).argmax(dim=1) for part in x.split(CHUNK)])


@torch.no_grad()
def likeliest(model: EquiVAE, x: Tensor, r: Tensor) -> Tensor:
    """The class with the highest bound L(x, y), at the mean of q(v | r_y, x). r: (C, R). Returns (n,)."""
    found = []
    for part in x.split(CHUNK // len(r)):
        mean, log_variance = model.posterior(model.features(part), r.unsqueeze(0))  # (chunk, C, V)
        outputs = model.decoder(r.unsqueeze(0), mean)  # (chunk, C, D)
        likelihood = bounds.log_probability(outputs, part.flatten(1).unsqueeze(1), model.decoder.log_scale)
        found.append((likelihood - bounds.kl_to_prior(mean, log_variance)).argmax(dim=1))
    return torch.cat(found)


@torch.no_grad()
def complementary_representations(
    config: Config, model: EquiVAE, images: tensors.Labelled, labelled: Tensor, r: Tensor, classes: Tensor
) -> Tensor:
    """r of the class that each training image is taken for, without that image's own f(x).

    labelled: indices of the labelled images among ``images``; r: (C, R), as :func:`of_classes` has it; classes: (n,)
    the class each image is taken for, true or predicted. Returns (n, R). What M2 has learned of a class has no image.
    """
    own = r[classes].clone()
    if model.table is not None:
        return own
    if config.pools:
        counts = torch.cat([counted(model.classify(model.features(part))) for part in images.images.split(CHUNK)])
        counts[labelled] = F.one_hot(images.labels[labelled], len(r)).to(counts)
        weight = counts.gather(1, classes[:, None])  # (n, 1)
        total = counts.sum(dim=0)[classes].unsqueeze(1)
        return (own * total - weight * invariants(model, images.images)) / (total - weight)
    among = labelled[classes[labelled] == images.labels[labelled]]  # those that are part of that class's mean
    count = torch.bincount(images.labels[labelled], minlength=len(r))[images.labels[among]].unsqueeze(1)
    own[among] = (own[among] * count - invariants(model, images.images[among])) / (count - 1)
    return own
