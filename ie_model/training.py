"""Training: one readable loop over epochs, resumable within each, the same bits for the same seed and thread count.

Every epoch seeds its batches and its noise anew from (seed, epoch), and the journal keeps what an epoch has in hand
between two steps: a run that was killed and goes on from its last checkpoint repeats the one that was never killed.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ie_model import consistency
from ie_model.adam import Adam
from ie_model.config import Config
from ie_model.cuda_graphs import Numbers, Repeated
from ie_model.data import tensors as image_tensors
from ie_model.device.detect import Device
from ie_model.device.runtime import precision, prepare
from ie_model.metrics import inference, scores
from ie_model.model import Classifier, EquiVAE
from ie_model.objective import schedules
from ie_model.objective.bounds import classifier_step, labelled_step, pairs_of_step, semi_supervised_step
from ie_model.run import checkpoint, run_folder
from ie_model.run.epochs import Epochs, Progress
from ie_model.run.journal import Journal, Position

GENTLE_STEPS = 20  # in which Adam's step size rises from nothing, while its moments are poor estimates


def derived_seed(*parts: object) -> int:
    """An independent 63-bit seed for each purpose, from the run's seed and the purpose's name."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def new_model(config: Config, device: torch.device) -> tuple[EquiVAE | Classifier, Adam]:
    """A freshly initialised model and its optimiser; the process's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed, "weights"))
        model = (EquiVAE(config) if config.generative else Classifier(config)).to(device)
    if config.compile:
        for network in (getattr(model, name, None) for name in ("invariant", "encoder", "decoder")):
            if network is not None:
                network.compile()
    return model, new_optimiser(config, model)


def new_optimiser(config: Config, module: torch.nn.Module) -> Adam:
    """Adam with the run's settings."""
    return Adam(module.parameters(), config.learning_rate, (0.9, config.adam_beta2))


def labelled_order(labels: Tensor, per_class: int, steps: int, generator: torch.Generator) -> Tensor:
    """Class-balanced batches: each class's images in random order, shuffled anew each time all have been seen.

    labels: (n,). Returns indices (steps, C, per_class); within one batch no image comes twice while the class has
    ``per_class`` images, so that leave-one-out means really leave it out.
    """
    rows = []
    for c in range(int(labels.max()) + 1):
        own = torch.nonzero(labels == c).squeeze(1)
        batches_per_pass = len(own) // per_class
        if batches_per_pass == 0:
            raise ValueError(f"class {c}: {len(own)} labelled images, expected at least per_class = {per_class}")
        passes = [
            own[torch.randperm(len(own), generator=generator)][: batches_per_pass * per_class].view(-1, per_class)
            for _ in range(math.ceil(steps / batches_per_pass))
        ]
        rows.append(torch.cat([own.new_empty(0, per_class), *passes])[:steps])  # no steps: no passes
    return torch.stack(rows, dim=1)


def train_control(config: Config, labelled: image_tensors.Labelled, device: torch.device) -> Classifier:
    """The labels-only control: the same q(y|x) network, the same labelled batches, cross-entropy alone."""
    per_class = min(config.per_class, int(torch.bincount(labelled.labels).min()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed, "control"))
        control = Classifier(config).to(device)
    optimiser = new_optimiser(config, control)
    generator = torch.Generator().manual_seed(derived_seed(config.seed, "control batches"))
    order = labelled_order(labelled.labels.cpu(), per_class, config.control_steps, generator).to(device)

    def step(_: object, batch: Tensor, numbers: Numbers) -> Tensor:
        (optimiser.lr,) = numbers
        log_q = control(labelled.images[batch])
        return _descend(optimiser, torch.nn.functional.nll_loss(log_q, labelled.labels[batch]))

    take = Repeated(config, step)
    rates = [[schedules.learning_rate(config, step / config.control_steps)] for step in range(config.control_steps)]
    for batch, numbers in zip(order.flatten(1), take.numbers(rates, device), strict=True):
        take(None, batch, numbers)
    return control.eval()


def warm_up(config: Config, model: EquiVAE | Classifier, optimiser: Adam, labelled: image_tensors.Labelled) -> None:
    """The first steps see the labelled images alone, so that q(y|x) is no mere guess when it first weighs classes."""
    device = labelled.images.device
    per_class = min(config.per_class, int(torch.bincount(labelled.labels).min()))
    order = torch.Generator().manual_seed(derived_seed(config.seed, "warm-up"))
    noise = torch.Generator(device).manual_seed(derived_seed(config.seed, "warm-up noise"))
    batches = labelled_order(labelled.labels.cpu(), per_class, config.warm_up_steps, order).to(device)

    def step(_: object, batch: Tensor, numbers: Numbers) -> Tensor:
        (optimiser.lr,) = numbers
        draw = torch.randn(batch.numel(), config.equivariant_dim, generator=noise, device=device)
        with precision(config, device):
            images = labelled.images[batch]
            result = (
                labelled_step(model, images, draw, config.classifier_weight, config.kl_start)
                if isinstance(model, EquiVAE)
                else classifier_step(model, images, None, config)
            )
        return _descend(optimiser, result.loss)

    take = Repeated(config, step, noise)
    rates = [[config.learning_rate * min(1.0, (step + 1) / GENTLE_STEPS)] for step in range(config.warm_up_steps)]
    for batch, numbers in zip(batches, take.numbers(rates, device), strict=True):
        take(None, batch, numbers)


def _descend(optimiser: Adam, loss: Tensor) -> Tensor:
    """One step of the optimiser down the loss, which is returned."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def step_of(config: Config, model: EquiVAE | Classifier, optimiser: Adam, images: image_tensors.Training) -> Repeated:
    """The training step, to be called with whether q(y|x) is smoothed, indices of labelled images (C, k) and of
    unlabelled ones (B,), and the numbers of :func:`scheduled`. It returns the means of bound, KL and of what was left
    out of the sums over y, (3,); without a generative model the loss stands for the bound.
    """
    device = images.unlabelled.device
    noise = torch.Generator(device)

    def step(smoothed: bool, known_at: Tensor, unknown_at: Tensor, numbers: Numbers) -> Tensor:
        optimiser.lr, kl, balance, smoothness, left, moved, posed = numbers
        free = left if config.free_nats else None
        weights = (
            smoothness if smoothed else None,
            moved if config.moved_weight else None,
            posed if config.posed_weight else None,
        )
        known = images.labelled.images[known_at]  # (C, k, *shape)
        if isinstance(model, Classifier):
            unknown = images.unlabelled[unknown_at]
            with precision(config, device):
                result = classifier_step(model, known, unknown, config, balance)
                assert result.log_q is not None
                extra = consistency.terms(model, known, unknown, result.log_q, config, *weights, noise)
            result = result._replace(loss=result.loss + extra)
        elif config.semi_supervised:
            unknown = images.unlabelled[unknown_at]
            pairs = pairs_of_step(config, known.shape[1], len(unknown))
            draw = torch.randn(pairs, config.equivariant_dim, generator=noise, device=device)
            with precision(config, device):
                result = semi_supervised_step(model, known, unknown, draw, config, kl, balance, free)
                assert result.log_q is not None
                extra = consistency.terms(model, known, unknown, result.log_q, config, *weights, noise)
            result = result._replace(loss=result.loss + extra)
        else:
            draw = torch.randn(known_at.numel(), config.equivariant_dim, generator=noise, device=device)
            with precision(config, device):
                result = labelled_step(model, known, draw, 0.0, kl, free, config.moments_weight)
        _descend(optimiser, result.loss)
        left_out = result.bound.new_zeros(()) if result.left_out is None else result.left_out
        return torch.stack([result.bound, result.kl, left_out])

    return Repeated(config, step, noise)


def train_epoch(
    config: Config,
    epoch: int,
    take: Repeated,
    images: image_tensors.Training,
    progress: Progress,
    journal: Journal | None = None,
) -> dict[str, float]:
    """One pass over the training images (epoch counts from 0) by steps of :func:`step_of`, from where the journal has
    it on.

    Returns mean bound and KL in nats, what was left out of the sums over y where the settings limit that, and images
    seen; without a generative model mean loss and images seen.
    """
    device = images.unlabelled.device
    classes = config.facts.classes
    per_class = min(config.per_class, int(torch.bincount(images.labelled.labels).min()))
    order = torch.Generator().manual_seed(derived_seed(config.seed, "batches", epoch))
    noise = take.noise
    assert noise is not None
    noise.manual_seed(derived_seed(config.seed, "noise", epoch))
    batch_size = config.batch_size if config.semi_supervised else classes * per_class
    steps = math.ceil((config.epoch_images or len(images.unlabelled)) / batch_size)
    labelled = labelled_order(images.labelled.labels.cpu(), per_class, steps, order).to(device)
    passes = math.ceil(steps * batch_size / len(images.unlabelled))
    shuffled = [torch.randperm(len(images.unlabelled), generator=order) for _ in range(passes)]
    unlabelled = torch.cat(shuffled)[: steps * batch_size].view(steps, batch_size).to(device)
    schedule = [schedules.scheduled(config, (epoch + step / steps) / config.epochs) for step in range(steps)]
    numbers = take.numbers(schedule, device)
    sums = torch.zeros(3, device=device)  # stays on the device: reading it each step would stall an accelerator
    start = journal.begin(epoch) if journal else Position()
    if start.step:
        sums.copy_(start.held["sums"])
        noise.set_state(start.held["noise"])

    def held() -> dict[str, Tensor]:
        return {"sums": sums, "noise": noise.get_state()}

    for step in range(start.step, steps):
        smoothed = schedule[step][3] > 0
        sums += take(smoothed, labelled[step], unlabelled[step], numbers[step])
        if journal:
            journal.stepped(step + 1, held)
        progress(epoch, (step + 1) / steps, None)
    bound, kl, left_out = (sums / steps).tolist()
    row = {"bound": bound, "kl": kl} if config.generative else {"loss": bound}
    if config.sum_tolerance and config.generative:
        row["left_out"] = left_out
    return row | {"images": steps * batch_size}


@torch.no_grad()
def validation(config: Config, model: EquiVAE | Classifier, images: image_tensors.Training) -> dict[str, float]:
    """What settings are chosen by: the error of q(y|x); when supervised of the nearest class representation, or, where
    there is no f, of the class with the highest bound."""
    if config.semi_supervised:
        predicted = inference.predicted(model, images.valid.images)
    elif isinstance(model, Classifier):
        raise AssertionError("q-only has unlabelled images")
    elif model.table is not None:
        predicted = inference.likeliest(model, images.valid.images, model.table)
    else:
        r = inference.class_representations(model, images.labelled, config.facts.classes)
        predicted = torch.cdist(inference.invariants(model, images.valid.images), r).argmin(dim=1)
    return {"valid_error": scores.percent_wrong(predicted, images.valid.labels)}


def train(config: Config, device_facts: Device, folder: Path | None, run: Path, progress: Progress) -> dict[str, Any]:
    """Trains, or goes on where a checkpoint stands, until run.json is written. Returns what run.json says.

    folder: the verified data set, None for one that is generated. run: a folder that `run_folder.opened` has claimed.
    A training that diverges ends too: with status "failed" and the reason, and no weights.
    """
    device = prepare(config)
    images = to_device(image_tensors.load_training(config, folder), device)
    model, optimiser = new_model(config, device)
    control: Classifier | None = None

    def state() -> dict[str, Tensor]:
        tensors = checkpoint.module_tensors("model", model) | checkpoint.module_tensors("control", control)
        return tensors | checkpoint.optimiser_tensors(optimiser)

    journal = Journal(run, device, state)
    tensors = journal.resume()
    if tensors is not None:
        checkpoint.load_module("model", model, tensors)
        checkpoint.load_optimiser(optimiser, tensors)
        if config.semi_supervised:
            control = Classifier(config).to(device).eval()
            checkpoint.load_module("control", control, tensors)
    elif config.semi_supervised:
        control = train_control(config, images.labelled, device)

    loop = Epochs(config, run, journal, [model], progress)
    if config.semi_supervised and tensors is None:
        warm_up(config, model.train(), optimiser, images.labelled)
    take = step_of(config, model, optimiser, images)

    def one(epoch: int) -> dict[str, float]:
        return train_epoch(config, epoch, take, images, progress, journal)

    def measured(epoch: int) -> dict[str, float]:
        kl_weight = schedules.kl_weight(config, (epoch + 1) / config.epochs)
        return {"kl_weight": kl_weight, **validation(config, model, images)}

    error = loop.train(one, measured)
    if error is None:
        r = inference.of_classes(config, model, images) if isinstance(model, EquiVAE) else None
        checkpoint.write_model(run / run_folder.MODEL, model, control, r)
    return loop.ended(error, images.split_sha256, image_tensors.describe(config, folder), device_facts)


def to_device(images: image_tensors.Training, device: torch.device) -> image_tensors.Training:
    """All images on the device, where they stay."""

    def move(labelled: image_tensors.Labelled) -> image_tensors.Labelled:
        return image_tensors.Labelled(labelled.images.to(device), labelled.labels.to(device))

    return image_tensors.Training(
        move(images.labelled),
        images.unlabelled.to(device),
        move(images.valid),
        images.split_sha256,
    )
