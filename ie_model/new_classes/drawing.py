"""Figures of a run on unseen classes: validation ones, which are never trained on and not those of the test.

Drawing so reads no image that the numbers are about.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ie_model import recipes
from ie_model.config import Config
from ie_model.device.runtime import prepare
from ie_model.figures import draw, mosaics, plots
from ie_model.metrics import inference
from ie_model.new_classes import comparators, images
from ie_model.new_classes.train import read_networks
from ie_model.run import run_folder

ROWS, EXAMPLES, STYLES = 10, 5, 10


def draw_all(config: Config, run: Path, folder: Path | None, out: Path, report: Callable[[str], None]) -> list[Path]:
    """Writes every figure of a finished run into ``out``, by rename. Returns the paths."""
    device = prepare(config)
    networks = read_networks(config, run).to(device)
    seen, valid = images.seen(config, folder).to(device), images.unseen(config, folder, "valid").to(device)
    figures: dict[str, Callable[[], Figure]] = {
        "new_classes": lambda: new_classes(config, networks, valid),
        "new_styles": lambda: new_styles(config, networks, seen, valid),
        "learning_curves": lambda: plots.learning_curves(config, run_folder.read_metrics(run)),
    }
    return draw.written(figures, out, report)


def task(config: Config) -> str:
    """The task in words, as figures caption it."""
    return f"{recipes.name(config.method, config.recipe)}: {config.dataset}, {config.classes:,} classes trained on"


@torch.no_grad()
def new_classes(config: Config, networks: comparators.Networks, valid: images.Classes) -> Figure:
    """Ten unseen classes, each from five examples (left), drawn in ten styles: one v from the prior for each column."""
    some = valid.images[:ROWS]
    r = comparators.prototypes(networks.model.f, some[:, :EXAMPLES])
    v = torch.randn(STYLES, config.equivariant_dim, generator=torch.Generator().manual_seed(0)).to(r.device)
    drawn = networks.model.decoder.mean_image(r.unsqueeze(1), v.unsqueeze(0))  # (rows, styles, *shape)
    names = [f"example {i + 1}" if i == 0 else str(i + 1) for i in range(EXAMPLES)]
    names += [f"style {i + 1}" if i == 0 else str(i + 1) for i in range(STYLES)]
    title = f"Classes never trained on: five examples, and ten new images. {task(config)}"
    return mosaics.grid(torch.cat([some[:, :EXAMPLES], drawn], dim=1), title, None, names)


@torch.no_grad()
def new_styles(config: Config, networks: comparators.Networks, seen: images.Classes, valid: images.Classes) -> Figure:
    """Styles of images of trained classes (left) given to unseen classes, each from five examples (above: one)."""
    model = networks.model
    rows, others = min(6, len(seen.images)), min(5, seen.images.shape[1] - 1)
    own = comparators.prototypes(model.f, seen.images[:rows, 1 : 1 + others])
    x = seen.images[:rows, 0]
    v = inference.posterior_means(model, x, own)
    some = valid.images[:ROWS]
    r = comparators.prototypes(model.f, some[:, :EXAMPLES])
    drawn = model.decoder.mean_image(r.unsqueeze(0), v.unsqueeze(1))  # (rows, classes, *shape)
    top = torch.cat([torch.zeros_like(x[:1]), some[:, 0]]).unsqueeze(0)
    shown = torch.cat([top, torch.cat([x.unsqueeze(1), drawn], dim=1)])
    names = ["trained on", *(f"unseen {i + 1}" if i == 0 else str(i + 1) for i in range(ROWS))]
    title = f"Style of the image on the left, unseen class of the image above. {task(config)}"
    return mosaics.grid(shown, title, ["class", *["style"] * rows], names)
