"""Figures that are made of images: reconstructions, styles under every class, transfer, samples, traversal.

Each is one mosaic with names along its edges. Images come from the validation split.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ie_model import recipes
from ie_model.config import Config
from ie_model.data import tensors
from ie_model.model import EquiVAE
from ie_model.objective import bounds

TILE = 0.6  # inches for one small image: eleven and the names fit a page's width
GAP = 2  # pixels between images
GREY = 0.75  # of the gaps
STEPS = torch.linspace(-2, 2, 9)  # of a traversal, in standard deviations of the prior


def task(config: Config) -> str:
    """The task in words, as figures caption it."""
    how_many = f"all {config.facts.train:,}" if config.labels == "all" else f"{config.labels:,}"
    return f"{recipes.name(config.method, config.recipe)}: {config.dataset}, {config.supervision}, {how_many} labels"


@torch.no_grad()
def reconstructions(
    config: Config, model: EquiVAE, r: Tensor, valid: tensors.Labelled, names: Sequence[str], each: int = 2
) -> Figure:
    """Validation images above what is decoded from (r_y, mean of v), ``each`` of every class."""
    chosen = _of_each_class(valid.labels, each)
    x, y = valid.images[chosen].to(r.device), valid.labels[chosen].to(r.device)
    decoded = model.decoder.mean_image(r[y], _styles(model, x, r[y]))
    pairs = torch.stack([x, decoded])  # (2, each C, *shape)
    rows = torch.cat([pairs[:, start::each] for start in range(each)])  # (2 each, C, *shape)
    title = f"Images and what is decoded from their (r, v): {task(config)}"
    return grid(rows, title, ["image", "decoded"] * each, names)


@torch.no_grad()
def styles(config: Config, model: EquiVAE, r: Tensor, valid: tensors.Labelled, names: Sequence[str]) -> Figure:
    """Each row: an image, and its v decoded under every class. One style by rows, one class by columns."""
    chosen = _of_each_class(valid.labels, 1)
    x, y = valid.images[chosen].to(r.device), valid.labels[chosen].to(r.device)
    v = _styles(model, x, r[y])
    decoded = model.decoder.mean_image(r.unsqueeze(0), v.unsqueeze(1))  # (C, C, *shape)
    rows = torch.cat([x.unsqueeze(1), decoded], dim=1)
    title = f"v of one image (left) decoded under every class: {task(config)}"
    return grid(rows, title, None, ["image", *names])


@torch.no_grad()
def transfer(
    config: Config, model: EquiVAE, r: Tensor, valid: tensors.Labelled, names: Sequence[str], rows: int = 6
) -> Figure:
    """Style transfer between real images: v of the image on the left, f(x) of the single image above.

    r_y plays no part in what is decoded but through v: the class comes from one image of it, as f sees it.
    """
    above = _of_each_class(valid.labels, 3)[2::3]  # of each class the third image; the first ones are in other figures
    left = _of_each_class(valid.labels, 2)[1::2][torch.arange(rows) * len(r) // rows]
    content, x, y = (part.to(r.device) for part in (valid.images[above], valid.images[left], valid.labels[left]))
    v = _styles(model, x, r[y])
    decoded = model.decoder.mean_image(model.f(content).unsqueeze(0), v.unsqueeze(1))  # (rows, C, *shape)
    blank = torch.zeros_like(x[:1]) if config.facts.channels == 1 else torch.ones_like(x[:1])
    shown = torch.cat([torch.cat([blank, content]).unsqueeze(0), torch.cat([x.unsqueeze(1), decoded], dim=1)])
    title = f"Style of the image on the left, class of the image above: {task(config)}"
    return grid(shown, title, ["class", *["style"] * rows], ["style", *names])


@torch.no_grad()
def samples(config: Config, model: EquiVAE, r: Tensor, names: Sequence[str], rows: int = 8, seed: int = 0) -> Figure:
    """Samples from the prior: v ~ N(0, I) by rows, decoded under every class by columns."""
    draw = torch.Generator().manual_seed(seed)
    v = torch.randn(rows, 1, config.equivariant_dim, generator=draw).to(r.device)
    images = model.decoder.mean_image(r.unsqueeze(0), v)
    return grid(images, f"v from the prior, decoded under every class: {task(config)}", None, names)


@torch.no_grad()
def traversal(config: Config, model: EquiVAE, r: Tensor, valid: tensors.Labelled, names: Sequence[str]) -> Figure:
    """The two dimensions of v that say most of an image, varied under two classes; the other dimensions are 0.

    What a dimension says is its part of KL(q(v|r,x) || p(v)), mean over validation images, in nats.
    """
    x, y = valid.images[:1000].to(r.device), valid.labels[:1000].to(r.device)
    mean, log_variance = model.posterior(model.features(x), r[y].unsqueeze(1))
    nats = bounds.kl_to_prior(mean.unsqueeze(-1), log_variance.unsqueeze(-1)).mean(dim=(0, 1))  # (V,)
    across, down = (int(i) for i in nats.topk(2).indices) if len(nats) > 1 else (0, 0)
    v = torch.zeros(len(STEPS), len(STEPS), config.equivariant_dim, device=r.device)
    v[..., across] = STEPS.to(r.device)[None, :]
    v[..., down] = STEPS.to(r.device).flip(0)[:, None]
    shown = [2 % len(r), 5 % len(r)]
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 4.2), layout="constrained")
    for axis, c in zip(axes, shown, strict=True):
        _mosaic(axis, model.decoder.mean_image(r[c], v), None, None)
        centres = [_centre(i, config.facts.side) for i in range(len(STEPS))]
        values = [f"{step:g}" for step in STEPS.tolist()]
        axis.set_xticks(centres[::2], values[::2], fontsize=7)
        axis.set_yticks(centres[::2], values[::-1][::2], fontsize=7)
        axis.set_title(f"class {names[c]}", fontsize=8)
        axis.set_xlabel(f"v, dimension {across} (prior's sd; says {nats[across]:.1f} nats)", fontsize=7)
        axis.set_ylabel(f"v, dimension {down} (prior's sd; says {nats[down]:.1f} nats)", fontsize=7)
    figure.suptitle(f"Two dimensions of v varied: {task(config)}", fontsize=9)
    return figure


def _styles(model: EquiVAE, x: Tensor, r: Tensor) -> Tensor:
    """Mean of q(v | r, x): (n, V) of x (n, *shape) and r (n, R)."""
    return model.posterior(model.features(x), r.unsqueeze(1))[0].squeeze(1)


def _of_each_class(labels: Tensor, each: int) -> Tensor:
    """Indices of the first ``each`` images of every class, class by class; again from the first where few."""
    own = [torch.nonzero(labels == c).squeeze(1) for c in range(int(labels.max()) + 1)]
    return torch.cat([indices[torch.arange(each) % len(indices)] for indices in own])


def _centre(index: int, side: int) -> float:
    """Where the middle of the index-th image lies in a mosaic, in pixels."""
    return GAP + index * (side + GAP) + (side - 1) / 2


def _mosaic(axis: Axes, images: Tensor, row_names: Sequence[str] | None, column_names: Sequence[str] | None) -> None:
    """Draws images (rows, columns, *shape) as one picture, names along its edges; one channel is ink on paper."""
    rows, columns, channels, height, width = images.shape
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), GREY, np.float32)
    for i, j in np.ndindex(rows, columns):
        top, left = GAP + i * (height + GAP), GAP + j * (width + GAP)
        shown = images[i, j].movedim(0, -1).cpu().numpy()
        canvas[top : top + height, left : left + width] = 1 - shown if channels == 1 else shown
    axis.imshow(np.repeat(canvas, 3 // channels, axis=2), vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks([_centre(j, width) for j in range(columns)] if column_names else [], column_names or [], fontsize=8)
    axis.set_yticks([_centre(i, height) for i in range(rows)] if row_names else [], row_names or [], fontsize=8)
    axis.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for side in axis.spines.values():
        side.set_visible(False)


def grid(images: Tensor, title: str, row_names: Sequence[str] | None, column_names: Sequence[str] | None) -> Figure:
    """A figure of one mosaic (rows, columns, *shape)."""
    size = (TILE * images.shape[1] + 0.5, TILE * images.shape[0] + 0.6)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    _mosaic(axis, images, row_names, column_names)
    figure.suptitle(title, fontsize=9)
    return figure
