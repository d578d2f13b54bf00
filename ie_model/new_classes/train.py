"""Training on steps of a few classes: the paper's model and what it is compared with, all on the same images.

As in `ie_model.training`, every epoch seeds its steps anew and the journal keeps what it has in hand, so that a run
that was killed repeats one that never was.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ie_model.adam import Adam
from ie_model.config import Config
from ie_model.device.detect import Device
from ie_model.device.runtime import prepare
from ie_model.metrics import inference
from ie_model.new_classes import comparators, images, objective
from ie_model.objective import schedules
from ie_model.run import checkpoint, run_folder
from ie_model.run.epochs import Epochs, Progress
from ie_model.run.journal import Journal
from ie_model.training import GENTLE_STEPS, derived_seed

VALID_WAYS, VALID_EXAMPLES = 20, 5  # of the error that each epoch reports


def new_networks(config: Config, device: torch.device) -> tuple[comparators.Networks, list[Adam]]:
    """Fresh networks and their optimisers; the process's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed, "weights"))
        networks = comparators.new(config, device)
    betas = (0.9, config.adam_beta2)
    return networks, [Adam(network.parameters(), config.learning_rate, betas) for network in networks]


def train_epoch(
    config: Config,
    epoch: int,
    networks: comparators.Networks,
    optimisers: list[Adam],
    seen: Tensor,
    progress: Progress,
    journal: Journal,
) -> dict[str, float]:
    """One epoch (from 0) of steps on images ``seen`` (C, n, *shape). Returns mean bound, KL, and images seen."""
    generator = torch.Generator().manual_seed(derived_seed(config.seed, "episodes", epoch))
    step_images = config.episode_classes * config.per_class
    steps = math.ceil((config.epoch_images or seen.shape[0] * seen.shape[1]) / step_images)
    sums = torch.zeros(2, device=seen.device)
    start = journal.begin(epoch)
    if start.step:
        sums.copy_(start.held["sums"])
        generator.set_state(start.held["generator"])

    def held() -> dict[str, Tensor]:
        return {"sums": sums, "generator": generator.get_state()}

    for step in range(start.step, steps):
        done = (epoch + step / steps) / config.epochs
        gentle = min(1.0, (epoch * steps + step + 1) / GENTLE_STEPS)
        rate, kl_weight = schedules.learning_rate(config, done) * gentle, schedules.kl_weight(config, done)
        classes = torch.randperm(seen.shape[0], generator=generator)[: config.episode_classes].to(seen.device)
        which = torch.rand(config.episode_classes, seen.shape[1], generator=generator).argsort(dim=1)
        x = seen[classes[:, None], which[:, : config.per_class].to(seen.device)]  # (W, k, *shape)
        weights = objective.complementary_weights(config.per_class, generator).to(seen.device)
        noise = torch.randn(2, step_images, config.equivariant_dim, generator=generator).to(seen.device)
        ours = objective.labelled_bound(config, networks.model, x, classes, weights, noise[0], kl_weight)
        m2 = objective.labelled_bound(config, networks.m2, x, classes, weights, noise[1], kl_weight)
        said = networks.prototypical(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        losses = (ours.loss, m2.loss, -objective.log_q(said, weights).mean())
        for optimiser, loss in zip(optimisers, losses, strict=True):
            optimiser.lr = rate
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        sums += torch.stack([ours.bound, ours.kl])
        journal.stepped(step + 1, held)
        progress(epoch, (step + 1) / steps, None)
    bound, kl = (sums / steps).tolist()
    return {"bound": bound, "kl": kl, "images": steps * step_images}


@torch.no_grad()
def validation(networks: comparators.Networks, valid: images.Classes) -> float:
    """Error of nearest r among 20 validation classes with 5 examples of each, mean over all groups of them, in %."""
    count = len(valid.images) // VALID_WAYS * VALID_WAYS
    said = inference.invariants(networks.model, valid.images[:count].flatten(0, 1)).unflatten(0, (count, -1))
    r = said[:, :VALID_EXAMPLES].mean(dim=1).view(-1, VALID_WAYS, said.shape[-1])
    asked = said[:, valid.pool :].reshape(len(r), -1, said.shape[-1])
    found = torch.cdist(asked, r).argmin(dim=2)  # (groups, 20 × images of each)
    truth = torch.arange(VALID_WAYS, device=r.device).repeat_interleave(asked.shape[1] // VALID_WAYS)
    return 100 * float((found != truth).float().mean())


def train(config: Config, device_facts: Device, folder: Path | None, run: Path, progress: Progress) -> dict[str, Any]:
    """Trains, or goes on where a checkpoint stands, until run.json is written; as `ie_model.training.train` does."""
    device = prepare(config)
    seen, valid = images.seen(config, folder).to(device), images.unseen(config, folder, "valid").to(device)
    networks, optimisers = new_networks(config, device)
    journal = Journal(run, device, lambda: tensors_of(networks, optimisers))
    tensors = journal.resume()
    if tensors is not None:
        load(tensors, networks, optimisers)

    loop = Epochs(config, run, journal, list(networks), progress)

    def one(epoch: int) -> dict[str, float]:
        return train_epoch(config, epoch, networks, optimisers, seen.images, progress, journal)

    def measured(epoch: int) -> dict[str, float]:
        kl_weight = schedules.kl_weight(config, (epoch + 1) / config.epochs)
        return {"kl_weight": kl_weight, "valid_error": validation(networks, valid)}

    error = loop.train(one, measured)
    if error is None:
        checkpoint.write(run / run_folder.MODEL, tensors_of(networks, []), proved=False)
    return loop.ended(error, images.split_sha256(config), images.describe(config, folder), device_facts)


def read_networks(config: Config, run: Path) -> comparators.Networks:
    """The networks of a finished run, for evaluation. Raises ValueError when its weights are missing or changed."""
    networks = comparators.new(config, torch.device("cpu"))
    tensors = checkpoint.weights_of(run)
    for name, network in networks.named().items():
        checkpoint.load_module(name, network, tensors)
    networks.train(False)
    return networks


def tensors_of(networks: comparators.Networks, optimisers: list[Adam]) -> dict[str, Tensor]:
    """All that training changes, by name: what a checkpoint holds; without optimisers the weights."""
    found: dict[str, Tensor] = {}
    for name, network in networks.named().items():
        found |= checkpoint.module_tensors(name, network)
    for number, optimiser in enumerate(optimisers):
        found |= {f"adam{number}.{name}": tensor for name, tensor in optimiser.tensors().items()}
    return found


def load(tensors: dict[str, Tensor], networks: comparators.Networks, optimisers: list[Adam]) -> None:
    """The reverse of :func:`tensors_of`."""
    for name, network in networks.named().items():
        checkpoint.load_module(name, network, tensors)
    for number, optimiser in enumerate(optimisers):
        own = f"adam{number}."
        optimiser.load({name.removeprefix(own): t for name, t in tensors.items() if name.startswith(own)})
