"""Pictures of one finished run: reconstructions, one style under every class, samples by class, learning curves.

Images come from the validation split, so that drawing them reads no test image. Colours are the Okabe-Ito set, which
colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot: no display is needed

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ie_model import checkpoint, data, glyphs, run_folder
from ie_model.config import Config
from ie_model.model import EquiVAE
from ie_model.train import prepare

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
COLUMN = 0.62  # inches for one small image
DPI = 160


def draw_all(config: Config, run: Path, folder: Path | None, out: Path, report: Callable[[str], None]) -> list[Path]:
    """Writes every figure of a finished run into ``out`` as PNG, by rename. Returns their paths."""
    device = prepare(config)
    model, _, r = checkpoint.read_model(run, config)
    model, r = model.to(device), r.to(device)
    valid = data.load_training(config, folder).valid
    figures = {
        "reconstructions": lambda: reconstructions(config, model, r, valid),
        "styles": lambda: styles(config, model, r, valid),
        "samples": lambda: samples(config, model, r),
        "learning_curves": lambda: learning_curves(config, run_folder.read_metrics(run)),
    }
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in figures.items():
        report(name)
        paths.append(write(draw(), out / f"{name}.png"))
    return paths


def write(figure: Figure, path: Path) -> Path:
    """Saves a figure as PNG by rename, without a date in it, and closes it."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    run_folder.replace(path, picture.getvalue())
    return path


@torch.no_grad()
def reconstructions(config: Config, model: EquiVAE, r: Tensor, valid: data.Labelled, each: int = 2) -> Figure:
    """Validation images above what is decoded from (r_y, mean of v), ``each`` of every class."""
    chosen = _of_each_class(valid.labels, each)
    x, y = valid.images[chosen].to(r.device), valid.labels[chosen].to(r.device)
    mean, _ = model.posterior(model.features(x), r[y].unsqueeze(1))
    decoded = model.decoder.mean_image(r[y].unsqueeze(1), mean).squeeze(1)
    pairs = torch.stack([x, decoded]).cpu()  # (2, each C, *shape)
    rows = torch.cat([pairs[:, start::each] for start in range(each)])  # (2 each, C, *shape)
    return _grid(rows, f"Images and their reconstructions, {_task(config)}", row_labels=["image", "decoded"] * each)


@torch.no_grad()
def styles(config: Config, model: EquiVAE, r: Tensor, valid: data.Labelled) -> Figure:
    """Each row: an image, and its v decoded under every class. One style by rows, one class by columns."""
    chosen = _of_each_class(valid.labels, 1)
    x, y = valid.images[chosen].to(r.device), valid.labels[chosen].to(r.device)
    mean, _ = model.posterior(model.features(x), r[y].unsqueeze(1))  # (C, 1, V)
    decoded = model.decoder.mean_image(r.unsqueeze(0), mean)  # (C, C, *shape)
    rows = torch.cat([x.unsqueeze(1), decoded], dim=1).cpu()
    return _grid(
        rows, f"v of one image under every class, {_task(config)}", column_labels=["image", *_class_names(config)]
    )


@torch.no_grad()
def samples(config: Config, model: EquiVAE, r: Tensor, rows: int = 8, seed: int = 0) -> Figure:
    """Samples from the prior: v ~ N(0, I) by rows, decoded under every class by columns."""
    draw = torch.Generator().manual_seed(seed)
    v = torch.randn(rows, 1, config.equivariant_dim, generator=draw).to(r.device)
    return _grid(
        model.decoder.mean_image(r.unsqueeze(0), v).cpu(),
        f"v from the prior, decoded under every class, {_task(config)}",
        column_labels=_class_names(config),
    )


def learning_curves(config: Config, rows: list[dict[str, Any]]) -> Figure:
    """Validation error, bound and KL by epoch."""
    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.8), layout="constrained")
    what = "q(y|x)" if config.semi_supervised else "nearest class representation"
    left.plot(epochs, [row["valid_error"] for row in rows], color=BLUE, marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="validation error (%)", title=f"Error of {what}", ylim=(0, None))
    right.plot(epochs, [row["bound"] for row in rows], color=ORANGE, marker="o", markersize=3)
    right.set(xlabel="epoch", ylabel="bound (nats)", title="Training bound and KL")
    right.yaxis.label.set_color(ORANGE)
    twin = right.twinx()
    twin.plot(epochs, [row["kl"] for row in rows], color=GREEN, marker="s", markersize=3)
    twin.set_ylabel("KL(q(v|r,x) || p(v)) (nats)", color=GREEN)
    twin.set_ylim(0, None)
    for axis in (left, right):
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.suptitle(_task(config), fontsize=9)
    return figure


def _of_each_class(labels: Tensor, each: int) -> Tensor:
    """Indices of the first ``each`` images of every class, class by class."""
    return torch.cat([torch.nonzero(labels == c).squeeze(1)[:each] for c in range(int(labels.max()) + 1)])


def _class_names(config: Config) -> list[str]:
    return list(glyphs.NAMES) if config.dataset == "glyphs" else [str(c) for c in range(config.facts.classes)]


def _task(config: Config) -> str:
    """The task in words, as figures caption it."""
    how_many = f"all {config.facts.train:,}" if config.labels == "all" else f"{config.labels:,}"
    return f"{config.dataset}, {config.supervision}, {how_many} labels"


def _grid(
    images: Tensor, title: str, row_labels: list[str] | None = None, column_labels: list[str] | None = None
) -> Figure:
    """Small images (rows, columns, *shape) with names along the edges; one channel is ink on paper."""
    rows, columns = images.shape[:2]
    above = 0.35 if column_labels else 0.12  # inches between the images and the title
    height = COLUMN * rows + above
    spacing = {"wspace": 0.06, "hspace": 0.06, "left": 0, "right": 1, "bottom": 0, "top": 1 - above / height}
    figure, axes = plt.subplots(rows, columns, figsize=(COLUMN * columns, height), squeeze=False, gridspec_kw=spacing)
    for i, j in np.ndindex(rows, columns):
        axis = axes[i, j]
        shown = images[i, j].movedim(0, -1).squeeze(-1).numpy()
        axis.imshow(shown, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        for side in axis.spines.values():
            side.set_color("#bbbbbb")
        if column_labels and i == 0:
            axis.set_title(column_labels[j], fontsize=8, pad=3)
        if row_labels and j == 0:
            axis.set_ylabel(row_labels[i], fontsize=8)
    figure.suptitle(title, fontsize=9, y=1.0, va="bottom")
    return figure
