"""Every figure of one finished run, as PNG and SVG files.

Images come from the validation split, so that drawing them reads no test image.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import rc_context
from matplotlib.figure import Figure

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.device.runtime import prepare
from ie_model.figures import mosaics, plots
from ie_model.run import checkpoint, run_folder

DPI = 160
FORMATS = ("png", "svg")


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
    figures: dict[str, Callable[[], Figure]] = {
        "reconstructions": lambda: mosaics.reconstructions(config, model, r, valid),
        "styles": lambda: mosaics.styles(config, model, r, valid),
        "samples": lambda: mosaics.samples(config, model, r),
        "traversal": lambda: mosaics.traversal(config, model, r, valid),
        **curves,
    }
    projected = "projections" if config.has_f else "projection_of_v"
    figures[projected] = lambda: plots.projections(config, model, r, valid)
    if config.has_f:
        figures["transfer"] = lambda: mosaics.transfer(config, model, r, valid)
    return written(figures, out, report)


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
