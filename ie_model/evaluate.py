"""What a finished run is measured by. Metric cores are pure functions of arrays; `evaluate` applies them to one run.

The test images are read here and nowhere else, once. Class representations r_y come from the labelled training images.
Each metric's meaning and unit stand in the README's table and in the challenge's rules.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ie_model import checkpoint, data, judge, objective
from ie_model.config import Config
from ie_model.model import EquiVAE, sample_gaussian
from ie_model.train import derived_seed, prepare

CHUNK = 1000  # images at a time: bounds memory, and changes no number
PROBE_HIDDEN = 256  # units of the MLP probe
PROBE_BATCH = 500


def percent_wrong(predicted: Tensor, truth: Tensor) -> float:
    """Share of predictions that differ from the truth, in %. Both (n,)."""
    return 100 * int((predicted != truth).sum()) / len(truth)


def nearest_neighbours(reference: Tensor, labels: Tensor, queries: Tensor, k: int) -> Tensor:
    """Majority class of the k nearest reference points (Euclidean); a tie goes to the class with the nearer point.

    reference: (n, D), labels: (n,), queries: (m, D). Returns classes (m,).
    """
    k = min(k, len(reference))
    # Nearer neighbours weigh a little more, by less than one whole vote in all: this only decides ties.
    votes = 1 + torch.arange(k, 0, -1, device=queries.device) / (k * (k + 1))
    classes = int(labels.max()) + 1
    predicted = []
    for part in queries.split(CHUNK):
        near = labels[torch.cdist(part, reference).topk(k, largest=False).indices]  # (chunk, k)
        counts = torch.zeros(len(part), classes, device=queries.device)
        predicted.append(counts.scatter_add_(1, near, votes.expand_as(near)).argmax(dim=1))
    return torch.cat(predicted)


def probe_accuracy(
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
    optimiser = torch.optim.Adam(probe.parameters(), lr=3e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(train), generator=order).to(train.device).split(PROBE_BATCH):
            loss = F.cross_entropy(probe(train[batch]), train_labels[batch])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        schedule.step()
    with torch.no_grad():
        return 100 - percent_wrong(probe(test).argmax(dim=1), test_labels)


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


def swapped_classes(labels: Tensor, classes: int) -> Tensor:
    """Another class for each image, every other class equally often along the data set. labels: (n,). Returns (n,)."""
    step = 1 + torch.arange(len(labels), device=labels.device) % (classes - 1)
    return (labels + step) % classes


@torch.no_grad()
def swap_accuracy(model: EquiVAE, judged_by: nn.Module, r: Tensor, v: Tensor, labels: Tensor) -> float:
    """How often the judge sees class j in the image decoded from (r_j, v of another class's image), in %.

    r: (C, R) of every class, v: (n, V) inferred under the true ``labels`` (n,). The judge sees the mean image.
    """
    wanted = swapped_classes(labels, len(r))
    predicted = []
    for style, target in zip(v.split(CHUNK), wanted.split(CHUNK), strict=True):
        predicted.append(judged_by(model.decoder.mean_image(r[target], style)).argmax(dim=1))
    return 100 - percent_wrong(torch.cat(predicted), wanted)


@torch.no_grad()
def complementary_representations(model: EquiVAE, images: data.Labelled, labelled: Tensor, r: Tensor) -> Tensor:
    """r_y for each training image, from labelled images of its class other than itself.

    labelled: indices of the labelled images among ``images``; r: (C, R) means over them. Returns (n, R).
    """
    own = r[images.labels].clone()
    features = torch.cat([model.invariant(part) for part in images.images[labelled].split(CHUNK)])
    count = torch.bincount(images.labels[labelled])[images.labels[labelled]].unsqueeze(1)
    own[labelled] = (own[labelled] * count - features) / (count - 1)
    return own


def evaluate(config: Config, run: Path, folder: Path | None, report: Callable[[str], None]) -> dict[str, Any]:
    """Every metric of a finished run, by name, and who judged its swaps.

    run: the run's folder; folder: the verified data set, None for one that is generated. Returns
    {"metrics": {name: number}, "judge": {"sha256", "cached"}}.
    """
    device = prepare(config)
    model, control, r = checkpoint.read_model(run, config)
    model, r = model.to(device), r.to(device)
    known = data.load_for_probes(config, folder)
    labelled_indices = data.draw_labelled(known.labels, config.labels, config.label_seed).to(device)
    known = data.Labelled(known.images.to(device), known.labels.to(device))
    test = data.load_test(config, folder)
    test = data.Labelled(test.images.to(device), test.labels.to(device))
    metrics: dict[str, float] = {}

    report("classification")
    with torch.no_grad():
        if config.semi_supervised:
            assert control is not None
            parts, control = test.images.split(CHUNK), control.to(device)
            predicted = torch.cat([model.classify(model.features(part)).argmax(dim=1) for part in parts])
            metrics["classification.error"] = percent_wrong(predicted, test.labels)
            predicted = torch.cat([control(part).argmax(dim=1) for part in parts])
            metrics["control.error"] = percent_wrong(predicted, test.labels)
        features = torch.cat([model.invariant(part) for part in test.images.split(CHUNK)])
        reference = torch.cat([model.invariant(part) for part in known.images[labelled_indices].split(CHUNK)])
    neighbours = nearest_neighbours(reference, known.labels[labelled_indices], features, config.neighbours)
    metrics["invariant.knn_error"] = percent_wrong(neighbours, test.labels)

    report("bound")
    generator = torch.Generator(device).manual_seed(derived_seed(config.seed, "evaluation"))

    def noise(n: int) -> Tensor:
        return torch.randn(n, config.equivariant_dim, generator=generator, device=device)

    test_v, bounds = infer(model, test.images, r[test.labels], noise(len(test.labels)))
    metrics["elbo"] = float(bounds.double().mean())

    report("swaps")
    trained = judge.trained(config, known)
    metrics["swap.accuracy"] = swap_accuracy(model, trained.network, r, test_v, test.labels)
    metrics["judge.accuracy"] = 100 - percent_wrong(judge.predict(trained.network, test.images), test.labels)

    report("leakage")
    train_r = complementary_representations(model, known, labelled_indices, r)
    train_v, _ = infer(model, known.images, train_r, noise(len(known.labels)))
    seed = derived_seed(config.seed, "probe")
    for name, hidden in (("equivariant.leakage", PROBE_HIDDEN), ("equivariant.leakage_linear", None)):
        metrics[name] = probe_accuracy(train_v, known.labels, test_v, test.labels, hidden, config.probe_epochs, seed)
    return {"metrics": metrics, "judge": {"sha256": trained.sha256, "cached": trained.cached}}
