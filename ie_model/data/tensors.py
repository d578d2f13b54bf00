"""Images as tensors in memory: what is trained on, what settings are chosen by, and what is read once at the end.

The validation split (500 training images of each class) is the same for every method, seed and label count; its hash
travels with each result. Nothing here hands out the label of an image that is not meant to have one.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ie_model.config import DATASETS, Config
from ie_model.data import fetch, glyphs
from ie_model.facts import own_data

SPLIT_SEED = 20190609  # fixed for ever: the validation split belongs to the task, not to a run
_GLYPH_SEEDS = {"train": 0, "test": 1}
_BINARY_SEEDS = {"train": 2, "test": 3}  # fixed for ever too: statically binarised images are a data set


@dataclass(frozen=True)
class Labelled:
    """Images float (n, channels, side, side) in [0, 1] and their classes int64 (n,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Training:
    """What a training run may see. ``unlabelled`` is images alone: it has no label field to leak.

    Where f sees unlabelled images, and in the paper's recipe, the labelled images are not among them: no image is part
    of its own r_y. In other recipes they are, as is usual in the semi-supervised literature.
    """

    labelled: Labelled
    unlabelled: Tensor  # (n, channels, side, side) in [0, 1]
    valid: Labelled
    split_sha256: str


def split(labels: Tensor, valid: int) -> tuple[Tensor, Tensor]:
    """Splits the indices of the original training set into those to train on and ``valid`` to choose by.

    The validation images are class-balanced, drawn with a fixed seed from numpy's legacy generator, whose stream is
    frozen across versions. Returns two sorted int64 tensors.
    """
    draw = np.random.RandomState(SPLIT_SEED)
    classes = int(labels.max()) + 1
    chosen = [draw.permutation(np.flatnonzero(labels.numpy() == c))[: valid // classes] for c in range(classes)]
    valid_indices = np.sort(np.concatenate(chosen)).astype(np.int64)
    train_indices = np.setdiff1d(np.arange(len(labels), dtype=np.int64), valid_indices)
    return torch.from_numpy(train_indices), torch.from_numpy(valid_indices)


def split_sha256(valid_indices: Tensor) -> str:
    """SHA-256 of the validation images' indices, as little-endian int64."""
    return hashlib.sha256(valid_indices.numpy().astype("<i8").tobytes()).hexdigest()


def draw_labelled(labels: Tensor, count: int | str, label_seed: int) -> Tensor:
    """Which training images keep their label: as many of each class, or all of them.

    labels: (n,) classes of the training images. Returns sorted indices into them.
    """
    if count == "all":
        return torch.arange(len(labels))
    assert isinstance(count, int)
    draw = np.random.RandomState(label_seed)
    classes = int(labels.max()) + 1
    chosen = [draw.permutation(np.flatnonzero(labels.numpy() == c))[: count // classes] for c in range(classes)]
    return torch.from_numpy(np.sort(np.concatenate(chosen)).astype(np.int64))


def load_training(config: Config, folder: Path | None) -> Training:
    """The images a run trains on and chooses by; the test images are not opened."""
    images, labels = _read(config, "train", folder)
    train, valid = split(labels, config.facts.valid)
    kept = train[draw_labelled(labels[train], config.labels, config.label_seed)]
    return Training(
        labelled=Labelled(images[kept], labels[kept]),
        unlabelled=images[_without(train, kept) if config.apart else train],
        valid=Labelled(images[valid], labels[valid]),
        split_sha256=split_sha256(valid),
    )


def _without(train: Tensor, kept: Tensor) -> Tensor:
    """The training images that have no label; all of them where all have one."""
    rest = train[~torch.isin(train, kept)]
    return rest if len(rest) else train


def load_for_probes(config: Config, folder: Path | None) -> Labelled:
    """All training images with all their labels: for the probes and the judge of the evaluation, never for training."""
    images, labels = _read(config, "train", folder)
    train, _ = split(labels, config.facts.valid)
    return Labelled(images[train], labels[train])


def load_test(config: Config, folder: Path | None) -> Labelled:
    """The test images. Read once, at the end, by the evaluation."""
    return Labelled(*_read(config, "test", folder))


def load_factors(config: Config, part: str = "test") -> tuple[Tensor, Tensor]:
    """The generator's own factors of glyphs: of all training images, as `load_for_probes` has them, and of the test's,
    or, for part "valid", of the validation images.

    Each float (n, 6), columns as in `glyphs.FACTORS`.
    """
    assert config.dataset == "glyphs"
    _, labels, factors = _glyphs("train")
    train, valid = split(labels, config.facts.valid)
    return factors[train], factors[valid] if part == "valid" else _glyphs("test")[2]


def binarise(images: Tensor, part: str) -> Tensor:
    """Static binarisation: every pixel is ink (1) with its grey value as probability, drawn once for all, else 0.

    images: (n, 1, side, side) in [0, 1]. numpy's legacy generator gives the same images on every machine.
    """
    draw = np.random.RandomState(_BINARY_SEEDS[part])
    return torch.cat(
        [chunk > torch.from_numpy(draw.random_sample(chunk.shape)) for chunk in images.split(1000)]
    ).float()


def describe(config: Config, folder: Path | None) -> list[dict[str, Any]]:
    """Names, SHA-256 and sizes of the data set's files, verified: what goes into a result."""
    if config.dataset == "glyphs":
        files = []
        for part in ("train", "test"):
            images, labels, _ = _glyphs(part)
            raw = images.numpy().tobytes() + labels.numpy().astype(np.uint8).tobytes()
            files.append({"name": f"{part}-generated", "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)})
        return [{"name": config.dataset, "files": files}]
    assert folder is not None
    if config.dataset == own_data.NAME:
        from ie_model.data import own_pictures

        return [{"name": config.dataset, "files": own_pictures.files(folder)}]
    return [{"name": config.dataset, "files": fetch.verify(config.dataset, folder)}]


def class_names(config: Config, folder: Path | None) -> list[str]:
    """The names of the classes, in the order of their numbers; without the user's own data these numbers."""
    if config.dataset == "glyphs":
        return list(glyphs.NAMES)
    if config.dataset == own_data.NAME and folder is not None:
        from ie_model.data import own_pictures

        return list(map(str, own_pictures.about(folder)["names"]))
    return [str(c) for c in range(config.facts.classes)]


def _read(config: Config, part: str, folder: Path | None) -> tuple[Tensor, Tensor]:
    """Images float (n, channels, side, side) in [0, 1] and labels int64 (n,) of one original part, train or test."""
    dataset = config.dataset
    if dataset == "glyphs":
        images, labels, _ = _glyphs(part)
    elif dataset == "svhn":
        assert folder is not None
        images, labels = _read_svhn(folder, part)
    elif dataset == own_data.NAME:
        from ie_model.data import own_pictures  # with a library that decodes pictures

        assert folder is not None
        images, labels = own_pictures.read(folder, part, config.facts)
    elif dataset in ("mnist", "fashion-mnist"):
        assert folder is not None
        prefix = {"train": "train", "test": "t10k"}[part]
        images = torch.from_numpy(_read_idx(folder / f"{prefix}-images-idx3-ubyte"))
        labels = torch.from_numpy(_read_idx(folder / f"{prefix}-labels-idx1-ubyte")).long()
    else:
        raise ValueError(f"dataset: got {dataset!r}, expected one of: {', '.join(DATASETS)}")
    facts = config.facts
    expected = facts.train + facts.valid if part == "train" else facts.test
    if len(images) != expected or len(labels) != expected or not 0 <= labels.min() <= labels.max() < facts.classes:
        raise ValueError(
            f"{dataset}: the {part} part has {len(images):,} images and {len(labels):,} labels from {labels.min()} to "
            f"{labels.max()}; expected {expected:,} with labels from 0 to {facts.classes - 1}"
        )
    images = images.view(-1, *facts.shape).float().div_(255)
    return (binarise(images, part) if config.binarised else images), labels


def _glyphs(part: str) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels and factors of one part of the generated data set."""
    facts = DATASETS["glyphs"]
    count = facts.train + facts.valid if part == "train" else facts.test
    return glyphs.generate(count, _GLYPH_SEEDS[part])


def _read_svhn(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,), where the file's label 10 has become the digit 0.

    torchvision's own class reads the .mat file (with scipy) after checking its MD5 once more.
    """
    from torchvision.datasets import SVHN

    try:
        read = SVHN(str(folder), split=part)
    except Exception as error:  # scipy has many for a file that is none
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: the {part} part of svhn cannot be read ({reason}); fetch it again") from error
    return torch.from_numpy(np.ascontiguousarray(read.data)), torch.from_numpy(read.labels)


def _read_idx(path: Path) -> np.ndarray:
    """The array of an idx file of bytes, or of its .gz twin: magic 00 00 08 ndim, big-endian sizes, then the data."""
    raw = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    dims = raw[3] if len(raw) > 3 else 0
    shape = np.frombuffer(raw, ">u4", count=dims, offset=4) if len(raw) >= 4 + 4 * dims else np.array([])
    if raw[:3] != b"\x00\x00\x08" or len(raw) != 4 + 4 * dims + int(shape.prod()):
        raise ValueError(f"{path}: not an idx file of bytes, or cut short; expected the original file of the data set")
    return np.frombuffer(bytearray(raw), np.uint8, offset=4 + 4 * dims).reshape(shape.astype(int))
