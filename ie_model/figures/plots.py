"""Figures that are made of points and lines: learning curves, projections of f(x) and v, error by number of labels.

Colours are the Okabe-Ito set, which colour-blind readers can tell apart; where it is too small, shapes help.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from torch import Tensor

from ie_model.config import Config
from ie_model.data import tensors
from ie_model.figures.mosaics import task
from ie_model.metrics import inference
from ie_model.model import EquiVAE

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
OKABE_ITO = (BLUE, ORANGE, GREEN, "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#F0E442")
SHAPES = ("o", "^", "s", "D")  # classes share a colour, but then not a shape
POINTS = 2000  # images of a projection
ASIDE = 1.07  # times as many labels, to draw the next series beside one
SERIES_BYTES_MAX = 1_000_000
WIDTH = 7.2  # inches: a page


class Series(NamedTuple):
    """One method's error by number of labels: {labels: (mean in %, half-width of its interval or None)}."""

    name: str
    points: Mapping[int, tuple[float, float | None]]


def learning_curves(config: Config, rows: list[dict[str, Any]]) -> Figure:
    """Validation error by epoch, and bound and KL, or the loss where there is no generative model."""
    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    supervised = "nearest class representation" if config.has_f else "the likeliest class"
    what = "q(y|x)" if config.semi_supervised else supervised
    left.plot(epochs, [row["valid_error"] for row in rows], color=BLUE, marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="validation error (%)", title=f"Error of {what}")
    left.set_ylim(0, 1.08 * max(row["valid_error"] for row in rows) or 1)
    right.yaxis.label.set_color(ORANGE)
    if config.generative:
        right.plot(epochs, [row["bound"] for row in rows], color=ORANGE, marker="o", markersize=3)
        right.set(xlabel="epoch", ylabel="bound (nats)", title="Training bound and KL")
        twin = right.twinx()
        twin.plot(epochs, [row["kl"] for row in rows], color=GREEN, marker="s", markersize=3)
        twin.set_ylabel("KL(q(v|r,x) || p(v)) (nats)", color=GREEN)
        twin.set_ylim(0, None)
    else:
        right.plot(epochs, [row["loss"] for row in rows], color=ORANGE, marker="o", markersize=3)
        right.set(xlabel="epoch", ylabel="loss (nats)", title="Training loss")
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.suptitle(task(config), fontsize=9)
    return figure


def principal_components(points: Tensor) -> tuple[Tensor, Tensor]:
    """The first two principal components of points (n, D): coordinates (n, 2), and their shares of the variance (2,).

    Signs are fixed, so that the same points give the same picture.
    """
    centred = (points - points.mean(dim=0)).double()
    _, spread, axes = torch.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * torch.sign(axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)))
    return centred @ axes.T, spread[:2].square() / spread.square().sum()


def projections(config: Config, model: EquiVAE, r: Tensor, valid: tensors.Labelled, names: Sequence[str]) -> Figure:
    """f(x) of single validation images, and v inferred under their class, each on its two principal components.

    M2 has no f: of it v alone is shown.
    """
    x, y = valid.images[:POINTS].to(r.device), valid.labels[:POINTS].to(r.device)
    parts = [("mean of v under the true class", inference.posterior_means(model, x, r[y]))]
    if config.has_f:
        parts.insert(0, ("f(x) of single images", inference.invariants(model, x)))
    figure, axes = plt.subplots(
        1, len(parts), figsize=(WIDTH * len(parts) / 2, 3.9), layout="constrained", squeeze=False
    )
    looks = [(OKABE_ITO[c % 5], SHAPES[c // 5 % len(SHAPES)]) for c in range(len(r))]
    for axis, (title, points) in zip(axes.flat, parts, strict=True):
        place, share = principal_components(points.cpu())
        for c, (colour, shape) in enumerate(looks):
            own = place[y.cpu() == c]
            axis.scatter(own[:, 0], own[:, 1], s=9, c=colour, marker=shape, alpha=0.6, linewidths=0, rasterized=True)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(f"1st principal component ({100 * share[0]:.0f} % of the variance)", fontsize=8)
        axis.set_ylabel(f"2nd principal component ({100 * share[1]:.0f} % of the variance)", fontsize=8)
        axis.tick_params(labelsize=7)
    handles = [Line2D([], [], color=c, marker=m, linestyle="") for c, m in looks]
    figure.legend(handles, names, title="class", ncols=10, loc="outside lower center", fontsize=7, title_fontsize=7,
                  handletextpad=0.1, columnspacing=0.9)  # fmt: skip
    figure.suptitle(f"{min(POINTS, len(y)):,} validation images: {task(config)}", fontsize=9)
    return figure


def label_curve(measured: Sequence[Series], published: Sequence[Series], title: str) -> Figure:
    """Test error against the number of labels: measured lines with their intervals, published points beside them.

    What is measured stands side by side at a number of labels, so that none lies hidden under another.
    """
    figure, axis = plt.subplots(figsize=(1.2 * WIDTH, 4.2), layout="constrained")
    for index, series in enumerate(measured):
        aside = ASIDE ** (index - (len(measured) - 1) / 2)
        _line(axis, series, OKABE_ITO[index % len(OKABE_ITO)], SHAPES[index % len(SHAPES)], filled=True, aside=aside)
    for index, series in enumerate(published):
        _line(axis, series, "#777777", ("v", "<", ">", "P", "X", "*", "p", "h")[index % 8], filled=False)
    counts = sorted({count for series in (*measured, *published) for count in series.points})
    axis.set(xscale="log", yscale="log", xlabel="labelled training images", ylabel="test error (%)")
    axis.set_xticks(counts, [f"{count:,}" for count in counts])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.tick_params(which="both", labelsize=8)
    axis.grid(alpha=0.3, which="both")
    figure.suptitle(title, fontsize=9)
    figure.legend(loc="outside right center", fontsize=7)
    return figure


def read_curve(path: Path) -> tuple[list[Series], list[Series], str]:
    """What :func:`label_curve` takes, from a JSON file {"title", "measured": [{"name", "points"}], "published": [...]}.

    Each point is [labels, error in %, half-width or null]. Raises ValueError, one line, for anything else.
    """
    try:
        read = json.loads(path.read_bytes()[:SERIES_BYTES_MAX])
        parts = [[_series(one) for one in read[key]] for key in ("measured", "published")]
        if not any(series.points for part in parts for series in part):
            raise ValueError("there is no point in it")
        return parts[0], parts[1], str(read["title"])[:200]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be drawn ({error}); expected title, measured and published series") from None


def _series(one: Mapping[str, Any]) -> Series:
    points: dict[int, tuple[float, float | None]] = {}
    for labels, value, width in one["points"]:
        numbers = (labels, value, 0 if width is None else width)
        if not all(type(number) in (int, float) and math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(f"{one['name']}: {[labels, value, width]} is not [labels, error in %, half-width]")
        if labels < 1 or value == 0:
            raise ValueError(f"{one['name']}: {[labels, value, width]} has no place on logarithmic axes")
        points[int(labels)] = (float(value), None if width is None else float(width))
    return Series(str(one["name"])[:100], points)


def _line(axis: Axes, series: Series, colour: str, shape: str, filled: bool, aside: float = 1.0) -> None:
    counts = sorted(series.points)
    means = [series.points[count][0] for count in counts]
    widths = [series.points[count][1] or 0 for count in counts]
    low = [min(width, 0.95 * mean) for width, mean in zip(widths, means, strict=True)]  # a logarithm has no zero
    axis.errorbar(
        [aside * count for count in counts], means, yerr=[low, widths], color=colour, marker=shape, markersize=5,
        capsize=3, label=series.name, linewidth=1.4 if filled else 0.6, linestyle="-" if filled else ":",
        markerfacecolor=colour if filled else "none", zorder=3 if filled else 2,
    )  # fmt: skip
