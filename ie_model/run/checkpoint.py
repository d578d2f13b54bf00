"""Weights and optimiser states as safetensors files: tensors and text only, nothing that is executed when read."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ie_model.adam import Adam
from ie_model.config import Config
from ie_model.model import Classifier, EquiVAE
from ie_model.run import run_folder

REPRESENTATIONS = "class_representations"  # r_y of every class from the labelled images, (C, R)


def write(path: Path, tensors: dict[str, Tensor], about: dict[str, str] | None = None) -> None:
    """Writes named tensors, on the CPU and contiguous, by rename."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    run_folder.replace(path, save(plain, about))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file and its metadata. Raises ValueError when it is missing or not a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no dict)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: not a weights file ({error}); expected the safetensors file of a run") from error


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


def write_model(path: Path, model: EquiVAE, control: Classifier | None, representations: Tensor) -> None:
    """The finished run's weights: everything that an evaluation needs to recompute every metric."""
    tensors = module_tensors("model", model) | module_tensors("control", control)
    write(path, tensors | {REPRESENTATIONS: representations})


def read_model(folder: Path, config: Config) -> tuple[EquiVAE, Classifier | None, Tensor]:
    """The model, the control (semi-supervised runs have one) and r_y of every class (C, R), in evaluation mode."""
    if not os.path.lexists(folder / run_folder.MODEL):
        raise ValueError(f"{folder}: holds no {run_folder.MODEL}; expected a finished run of `ie_model train`")
    tensors, _ = read(folder / run_folder.MODEL)
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
