"""Weights and optimiser states as safetensors files: tensors and text only, nothing that is executed when read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ie_model.adam import Adam
from ie_model.config import Config
from ie_model.model import Classifier, EquiVAE
from ie_model.run import run_folder

PROOF = "content_sha256"  # a key of a file's metadata
UNPROVED = (run_folder.MODEL, run_folder.CHECKPOINT)  # an older version's may be without
REPRESENTATIONS = "class_representations"  # r_y of every class from the labelled images, (C, R)


def write(path: Path, tensors: dict[str, Tensor], about: dict[str, str] | None = None, *, proved: bool = True) -> None:
    """Writes named tensors, on the CPU and contiguous, by rename.

    ``proved``: with their hash in the metadata; a finished run's weights have theirs in run.json instead.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    proof = {PROOF: _sha256(plain)} if proved else {}
    run_folder.replace(path, save(plain, {**(about or {}), **proof} or None))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file and its metadata. Raises ValueError when it is missing, not a safetensors file, or damaged:
    one flipped bit makes other weights, which go on to other numbers and say nothing.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            about = dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: not a weights file ({error}); expected the safetensors file of a run") from error
    proof = about.pop(PROOF, None)
    if proof is None and path.name not in UNPROVED:
        raise ValueError(f"{path}: was written without a hash, by an older version; delete it, and it is made anew")
    if proof is not None and proof != _sha256(tensors):
        raise ValueError(
            f"{path}: is damaged (its tensors have another SHA-256 than when they were written); delete it"
        )
    return tensors, about


def _sha256(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def module_tensors(prefix: str, module: nn.Module | None) -> dict[str, Tensor]:
    """A module's tensors under ``prefix.``; none for no module."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()} if module else {}


def load_module(prefix: str, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Puts the tensors under ``prefix.`` into a module. Raises ValueError when names or shapes do not fit."""
    own = {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"weights: {prefix} does not fit this configuration ({reason})") from error


def optimiser_tensors(optimiser: Adam) -> dict[str, Tensor]:
    """What an optimiser remembers, under ``adam.``."""
    return {f"adam.{name}": tensor for name, tensor in optimiser.tensors().items()}


def load_optimiser(optimiser: Adam, tensors: dict[str, Tensor]) -> None:
    """The reverse of :func:`optimiser_tensors`. Raises ValueError when names or shapes do not fit."""
    optimiser.load({name.removeprefix("adam."): t for name, t in tensors.items() if name.startswith("adam.")})


def write_model(
    path: Path, model: EquiVAE | Classifier, control: Classifier | None, representations: Tensor | None
) -> None:
    """The finished run's weights: everything that an evaluation needs to recompute every metric."""
    tensors = module_tensors("model", model) | module_tensors("control", control)
    whole = tensors if representations is None else tensors | {REPRESENTATIONS: representations}
    write(path, whole, proved=False)


def write_predictions(path: Path, predictions: dict[str, Tensor]) -> None:
    """The class that each image was taken for, (n,), by metric: two bytes an image."""
    write(path, {name: classes.to(torch.int16) for name, classes in predictions.items()}, proved=False)


def read_classifiers(folder: Path, config: Config) -> tuple[Classifier, Classifier]:
    """q(y|x) and the control of a run that has no generative model, in evaluation mode."""
    assert not config.generative
    tensors = weights_of(folder)
    found = []
    for name in ("model", "control"):
        classifier = Classifier(config)
        load_module(name, classifier, tensors)
        found.append(classifier.eval())
    return found[0], found[1]


def weights_of(folder: Path) -> dict[str, Tensor]:
    """All tensors of a finished run, proved by run.json. Raises ValueError where they are missing or other ones."""
    if not os.path.lexists(folder / run_folder.MODEL):
        raise ValueError(f"{folder}: holds no {run_folder.MODEL}; expected a finished run of `ie_model train`")
    expected_hash = run_folder.stated_weights(folder)
    if expected_hash is not None and (got := run_folder.sha256_of(folder / run_folder.MODEL)) != expected_hash:
        raise ValueError(
            f"{folder / run_folder.MODEL}: is damaged or another run's: SHA-256 {got[:12]}…, and {run_folder.RUN} "
            f"says {expected_hash[:12]}…; train again into an empty folder"
        )
    return read(folder / run_folder.MODEL)[0]


def read_model(folder: Path, config: Config) -> tuple[EquiVAE, Classifier | None, Tensor]:
    """The model, the control (semi-supervised runs have one) and r_y of every class (C, R), in evaluation mode."""
    if not config.generative:
        raise ValueError(f"{folder}: was trained with method=q-only, which draws nothing; expected another run")
    return model_of(weights_of(folder), config)


def model_of(tensors: dict[str, Tensor], config: Config) -> tuple[EquiVAE, Classifier | None, Tensor]:
    """The same from the tensors of such a file. Raises ValueError where they do not fit the configuration."""
    model = EquiVAE(config)
    load_module("model", model, tensors)
    control = Classifier(config) if config.semi_supervised else None
    if control is not None:
        load_module("control", control, tensors)
        control.eval()
    expected = (config.facts.classes, config.invariant_dim)
    representations = tensors.get(REPRESENTATIONS)
    if representations is None or representations.shape != expected:
        raise ValueError(f"weights: {REPRESENTATIONS} is missing or not of shape {expected}; train again")
    model.eval()
    return model, control, representations
