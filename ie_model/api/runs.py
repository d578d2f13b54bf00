"""Runs as objects: train one, load one, or load the weights of a published result, and ask it.

A run is a folder, as the command line's is: what is trained here is evaluated and drawn there, and the reverse.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ie_model import recipes
from ie_model.api import sources
from ie_model.config import Config
from ie_model.device import detect, threads
from ie_model.metrics import inference
from ie_model.model import EquiVAE
from ie_model.run import checkpoint, progress, run_folder

RUNS = "runs"  # of a results folder


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained model with r_y of every class. Images are float (B, channels, side, side) in [0, 1], on the CPU."""

    folder: Path
    config: Config
    model: EquiVAE
    r: Tensor  # (C, R)
    metrics: dict[str, float]  # by the names of docs/metrics.md; empty before an evaluation

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """q(y | x), (B, C). Raises ValueError for a supervised model, which has none."""
        return self.model.classify(self.model.features(self._checked(images))).exp()

    @torch.no_grad()
    def represent(self, images: Tensor) -> Tensor:
        """r of a class from some images of it, (R,): the mean of f, also of a class that was never trained on."""
        return self.model.f(self._checked(images)).mean(dim=0)

    @torch.no_grad()
    def style(self, images: Tensor, r: Tensor) -> Tensor:
        """The mean of q(v | r, x), (B, V). r: of each image's class, (B, R), or of all, (R,)."""
        return inference.posterior_means(self.model, self._checked(images), r.expand(len(images), -1))

    @torch.no_grad()
    def draw(self, r: Tensor, v: Tensor) -> Tensor:
        """The mean of p(x | r, v) for r (..., R) and v (..., V), which broadcast. Returns (..., *shape)."""
        return self.model.decoder.mean_image(r, v)

    def swap(self, images: Tensor, classes: Tensor, under: int) -> Tensor:
        """The styles of images of the given classes (B,), drawn under another class. Returns (B, *shape)."""
        if not 0 <= under < len(self.r):
            raise ValueError(f"under: got {under}, expected a class from 0 to {len(self.r) - 1}")
        return self.draw(self.r[under], self.style(images, self.r[classes]))

    def _checked(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or tuple(images.shape[1:]) != self.config.facts.shape or not images.is_floating_point():
            raise ValueError(
                f"images: got {images.dtype} of shape {tuple(images.shape)}, expected floats in [0, 1] of shape "
                f"(n, {', '.join(map(str, self.config.facts.shape))})"
            )
        return images


def train(
    outdir: Path | str,
    *,
    data: Path | str | None = None,
    device: str = "auto",
    evaluate: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train one model into ``outdir``, as `ie-model train` does, or go on where it was stopped; returns it.

    settings: fields of :class:`~ie_model.config.Config`. data: a folder with the data set's files; None fetches them.
    evaluate: then compute every metric. Raises ValueError for a wrong setting or folder, RuntimeError if it diverges.
    """
    folder, source = Path(outdir), Path(data) if data else None
    settings = sources.counted(settings, source)
    threads.make_room(Config.resolve(**settings).threads)  # a wrong value is said before a device is looked for
    found = detect.detect(device)
    config = Config.resolve(**settings, device=found.kind)
    _refuse_other_models(config, folder)
    with run_folder.opened(folder, config) as finished:
        files = sources.folder(config, source, (lambda line: None) if quiet else print)
        if not finished:
            begin(config, found, files, folder, quiet)
        if evaluate and not run_folder.read_run(folder)["metrics"]:
            measure(config, folder, files, quiet)
    return load(folder)


def begin(config: Config, found: detect.Device, files: Path | None, folder: Path, quiet: bool) -> None:
    """The training itself, into a folder that is claimed. Raises RuntimeError if it diverges."""
    if config.facts.unseen:
        from ie_model.new_classes.train import train as training
    else:
        from ie_model.training import train as training
    with progress.bar(config.epochs, quiet) as update:
        result = training(config, found, files, folder, update)
    if result["error"]:
        raise RuntimeError(result["error"])


def measure(config: Config, folder: Path, files: Path | None, quiet: bool) -> None:
    """Every metric of the trained run in ``folder``, into its run.json. Raises RuntimeError for one not finite."""
    if config.facts.unseen:
        from ie_model.new_classes.evaluate import evaluate
    else:
        from ie_model.evaluate import evaluate

    run = run_folder.read_run(folder)
    wall, cpu = time.perf_counter(), time.process_time()
    with progress.steps("evaluating", quiet) as report:
        found = evaluate(config, folder, files, report)
    measured = found.document() | {"evaluation_seconds": time.perf_counter() - wall}
    measured["evaluation_cpu_seconds"] = time.process_time() - cpu
    if wrong := [name for name, value in found.metrics.items() if not math.isfinite(value)]:
        error = f"{', '.join(wrong)}: not a finite number"
        run_folder.write_json(folder / run_folder.RUN, run | {"status": "failed", "error": error, "metrics": {}})
        raise RuntimeError(error)
    if found.predictions:
        checkpoint.write_predictions(folder / run_folder.PREDICTIONS, found.predictions)
    run_folder.write_json(folder / run_folder.RUN, run | {"status": "completed"} | measured)


def load(folder: Path | str, run: int = 0) -> Run:
    """A finished run of this folder, or run number ``run`` of a results folder. Its weights are proved by run.json.

    Raises ValueError for what is no finished run, whose weights are missing or others, or that has no such model.
    """
    place = Path(folder)
    if not (place / run_folder.CONFIG).exists() and (place / RUNS).is_dir():
        place = place / RUNS / str(run)
    document = run_folder.read_run(place)
    config = Config.read(place / run_folder.CONFIG)
    _refuse_other_models(config, place)
    model, _, r = checkpoint.read_model(place, config)
    return Run(place, config, model, r, dict(document.get("metrics", {})))


def load_published(result: Path | str, weights: Path | str, run: int = 0) -> Run:
    """A model from a published ``result.json`` and the weights of one of its runs, as a site gives them.

    Raises ValueError where the weights are not those that the result names for that run.
    """
    path, place = Path(weights), Path(result)
    try:
        document = json.loads(place.read_bytes())
        stated, settings = document["runs"][run], document["config"]
        own = {name: stated[name] for name in ("seed", "label_seed")}
        expected = str(stated["model_sha256"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{place}: no result.json with a run {run} ({error}); expected a published result") from None
    try:
        got = run_folder.sha256_of(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); expected a run's {run_folder.MODEL}") from None
    if got != expected:
        raise ValueError(
            f"{path}: SHA-256 {got[:12]}…, and {place.name} says {expected[:12]}… of run {run}; "
            "expected the weights that it was published with"
        )
    try:
        config = Config(**recipes.upgraded({**settings, **own}))
    except TypeError as error:
        raise ValueError(f"{place}: its config is of another version ({error})") from None
    _refuse_other_models(config, place)
    model, _, r = checkpoint.model_of(checkpoint.read(path)[0], config)
    return Run(path.parent, config, model, r, {name: one["value"] for name, one in document["metrics"].items()})


def _refuse_other_models(config: Config, place: Path) -> None:
    if config.facts.unseen or not config.generative:
        what = f"dataset={config.dataset}" if config.facts.unseen else f"method={config.method}"
        raise ValueError(f"{place}: {what} has other networks than one EquiVAE; `ie-model` trains and evaluates them")
