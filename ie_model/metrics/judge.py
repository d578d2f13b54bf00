"""The independent network that judges swapped images: trained on real images only, never on decoded ones.

It depends on the data set and a few settings, not on the run, so it is trained once and kept in the cache folder. A
cached network is used only if it was trained on the same images with the same settings; anything else is trained anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import filelock
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ie_model.adam import Adam
from ie_model.config import Config, DatasetFacts
from ie_model.data import tensors
from ie_model.data.fetch import cache_folder
from ie_model.run import checkpoint

SEED = 0
BATCH = 125
LEARNING_RATE = 2e-3
CHUNK = 1000


class Judge(nn.Module):
    """A plain convolutional classifier, of another shape than the model's own: images (B, *shape) to logits (B, C)."""

    def __init__(self, facts: DatasetFacts, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(facts.channels, 32, kernel_size=5, stride=2, padding=2)
        self.second = nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1)
        self.third = nn.Conv2d(64, 64, kernel_size=3, stride=2, padding=1)
        self.dense = nn.Linear(64 * math.ceil(facts.side / 8) ** 2, 128)
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C) of images (B, *shape)."""
        x = F.relu(self.first(x))  # (B, 32, 14, 14) for images of 28 × 28
        x = F.relu(self.second(x))  # (B, 64, 7, 7)
        x = F.relu(self.third(x))  # (B, 64, 4, 4)
        logits: Tensor = self.head(F.relu(self.dense(x.flatten(1))))
        return logits


class Trained(NamedTuple):
    """A judge, the SHA-256 of its weights, and whether it came from the cache."""

    network: Judge
    sha256: str
    cached: bool


def trained(config: Config, images: tensors.Labelled) -> Trained:
    """The judge for this data set: from the cache, or trained now and put there. images: all training images.

    Where another run is training the same one, its end is waited for.
    """
    path = _cache_path(config, images)
    with _alone(path):
        network = Judge(config.facts, int(images.labels.max()) + 1).to(images.images.device)
        try:
            checkpoint.load_module("judge", network, checkpoint.read(path)[0])
            return Trained(network.eval(), _sha256(network), cached=True)
        except ValueError:  # not there, damaged, or of another shape
            network = train(config, images)
        with contextlib.suppress(OSError):
            checkpoint.write(path, checkpoint.module_tensors("judge", network))
        return Trained(network, _sha256(network), cached=False)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a cached judge. A cache that cannot be written costs time, not correctness."""
    lock = filelock.FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def train(config: Config, images: tensors.Labelled) -> Judge:
    """Trains a judge on real images with all their labels: Adam, a linear rise and fall of the step size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = Judge(config.facts, int(images.labels.max()) + 1).to(images.images.device)
    optimiser = Adam(network.parameters())
    order = torch.Generator().manual_seed(SEED)
    steps = config.judge_epochs * math.ceil(len(images.labels) / BATCH)
    step = 0
    for _ in range(config.judge_epochs):
        for batch in torch.randperm(len(images.labels), generator=order).to(images.images.device).split(BATCH):
            done = step / steps
            optimiser.lr = LEARNING_RATE * min(done / 0.2, (1 - done) / 0.8)
            loss = F.cross_entropy(network(images.images[batch]), images.labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
    return network.eval()


@torch.no_grad()
def predict(network: Judge, images: Tensor) -> Tensor:
    """Classes (n,) of images (n, *shape)."""
    return torch.cat([network(part).argmax(dim=1) for part in images.split(CHUNK)])


def _cache_path(config: Config, images: tensors.Labelled) -> Path:
    pixels = hashlib.sha256((images.images * 255).round().to(torch.uint8).cpu().numpy().tobytes()).hexdigest()
    depends_on = [config.dataset, config.judge_epochs, config.threads, config.device, torch.__version__, pixels]
    key = hashlib.sha256(json.dumps([*depends_on, SEED, BATCH, LEARNING_RATE]).encode()).hexdigest()[:16]
    return cache_folder() / "judges" / f"{config.dataset}-{key}.safetensors"


def _sha256(network: Judge) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
