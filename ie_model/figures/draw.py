"""Every figure of one finished run, as PNG and SVG files.

Images come from the validation split, so that drawing them reads no test image.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.device.runtime import prepare
from ie_model.figures import mosaics, plots
from ie_model.run import checkpoint, run_folder

DPI = 160
FORMATS = ("png", "svg")
MOST_CLASSES = 10  # that fit a page's width
NAME = 8  # characters of a class's name above an image


def draw_all(config: Config, run: Path, folder: Path | None, out: Path, report: Callable[[str], None]) -> list[Path]:
    """Writes every figure of a finished run into ``out``, by rename. Returns the paths."""
    device = prepare(config)
    curves: dict[str, Callable[[], Figure]] = {
        "learning_curves": lambda: plots.learning_curves(config, run_folder.read_metrics(run))
    }
    if not config.generative:
        return written(curves, out, report)
    model, _, r = checkpoint.read_model(run, config)
    model, r = model.to(device), r.to(device)
    valid = tensors.load_training(config, folder).valid
    chosen, all_names = some_classes(len(r)), tensors.class_names(config, folder)
    names = [short(all_names[c]) for c in chosen.tolist()]
    r, valid = r[chosen.to(device)], of_classes(chosen, valid)
    of = (config, model, r, valid, names)
    figures: dict[str, Callable[[], Figure]] = {
        "reconstructions": lambda: mosaics.reconstructions(*of),
        "styles": lambda: mosaics.styles(*of),
        "samples": lambda: mosaics.samples(config, model, r, names),
        "traversal": lambda: mosaics.traversal(*of),
        **curves,
    }
    projected = "projections" if config.has_f else "projection_of_v"
    figures[projected] = lambda: plots.projections(*of)
    if config.has_f:
        figures["transfer"] = lambda: mosaics.transfer(*of)
    return written(figures, out, report)


def some_classes(count: int) -> Tensor:
    """The numbers of at most MOST_CLASSES of ``count`` classes, evenly spaced."""
    shown = min(MOST_CLASSES, count)
    return torch.arange(shown) * count // shown


def of_classes(chosen: Tensor, images: tensors.Labelled) -> tensors.Labelled:
    """The images of the ``chosen`` classes, which are numbered anew."""
    kept = torch.isin(images.labels, chosen)
    return tensors.Labelled(images.images[kept], torch.searchsorted(chosen, images.labels[kept]))


def short(name: str) -> str:
    """What fits of a class's name above an image."""
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def written(figures: dict[str, Callable[[], Figure]], out: Path, report: Callable[[str], None]) -> list[Path]:
    """Draws each of ``figures`` into a file of its name and of every format in ``out``. Returns the paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in figures.items():
        report(name)
        paths += write(draw(), *(out / f"{name}.{kind}" for kind in FORMATS))
    return paths


def write(figure: Figure, *paths: Path) -> list[Path]:
    """Saves a figure by rename, in the format of each path's ending, with the same bytes each time, and closes it."""
    for path in paths:
        picture = io.BytesIO()
        kind = path.suffix[1:] or "png"
        undated: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        with rc_context({"svg.hashsalt": path.stem}):  # else the names inside an SVG are drawn at random
            figure.savefig(picture, format=kind, dpi=DPI, bbox_inches="tight", metadata=undated)
        run_folder.replace(path, picture.getvalue())
    plt.close(figure)
    return list(paths)
