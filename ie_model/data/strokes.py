"""Stroke glyphs: a procedurally drawn data set of as many classes as are asked for.

A class is a random program of three to six strokes, each a curve of three points; an instance is what a hand makes of
it: every point shaken, the whole under an affine map, drawn with a pen of some thickness. All of that is known, so that
equivariance can be measured against the truth, for classes too that no model has been trained on.

Each class has seeds of its own: it is the same whichever others are drawn, and however many of its instances.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SIDE = 28  # pixels along each side
FEWEST, MOST = 3, 6  # strokes of a class
PIECES = 5  # straight pieces of a stroke
JOINED = 0.6  # share of the strokes that begin where an earlier one has a point
SHAKEN = 0.06  # standard deviation of each coordinate of each point, in halves of the drawing's width
SEEDS = {"program": 20190609, "instance": 20190610}  # fixed for ever: they are the data set

# The factors of variation: name, lowest, highest, unit.
FACTORS = (
    ("rotation", -0.35, 0.35, "rad"),
    ("shift_x", -2.0, 2.0, "px"),
    ("shift_y", -2.0, 2.0, "px"),
    ("scale", 0.8, 1.1, ""),
    ("shear", -0.25, 0.25, ""),
    ("thickness", 0.6, 1.4, "px"),
)


def program(number: int) -> np.ndarray:
    """The strokes of a class: (strokes, 3, 2), begin, bend and end of each, x and y from -1 to 1, y pointing down."""
    draw = np.random.RandomState([SEEDS["program"], number])
    while True:
        strokes: list[np.ndarray] = []
        for _ in range(draw.randint(FEWEST, MOST + 1)):
            begin = draw.uniform(-0.95, 0.95, 2)
            if strokes and draw.random_sample() < JOINED:
                begin = strokes[draw.randint(len(strokes))][draw.choice([0, 2])]
            end = draw.uniform(-0.95, 0.95, 2)
            while np.hypot(*(end - begin)) < 0.6:  # a dot says little
                end = draw.uniform(-0.95, 0.95, 2)
            bend = (begin + end) / 2 + draw.normal(0, 0.35, 2) * (draw.random_sample() < 0.5)
            strokes.append(np.stack([begin, bend, end]))
        found = np.stack(strokes)
        points = found.reshape(-1, 2)
        if (np.ptp(points, axis=0) > 1.0).all():  # else a scribble in a corner
            middle, half = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0).max() / 2
            return (found - middle) / half * 0.95


def instances(number: int, count: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Instances ``first`` to ``first + count - 1`` of a class: images uint8 (count, 28, 28), and factors (count, 6)."""
    strokes = program(number)
    draw = np.random.RandomState([SEEDS["instance"], number])
    low, high = np.array([factor[1:3] for factor in FACTORS]).T
    points, factors = [], []
    for _ in range(first + count):  # one after another: an instance is the same however many are drawn
        factors.append(low + (high - low) * draw.random_sample(len(FACTORS)))
        points.append(strokes + SHAKEN * draw.standard_normal(strokes.shape))
    points, factors = points[first:], factors[first:]
    known = torch.tensor(np.array(factors), dtype=torch.float32).view(count, len(FACTORS))
    return render(torch.tensor(np.stack(points), dtype=torch.float32), known), known


def render(points: Tensor, factors: Tensor) -> Tensor:
    """Draws strokes (n, S, 3, 2) under each row of factors (n, 6), columns as in FACTORS. Returns uint8 (n, 28, 28)."""
    rotation, shift_x, shift_y, scale, shear, thickness = factors.unbind(1)
    at = torch.linspace(0, 1, PIECES + 1)[:, None]  # a quadratic Bézier curve through its three points
    weights = torch.cat([(1 - at) ** 2, 2 * at * (1 - at), at**2], dim=1)  # (PIECES + 1, 3)
    # the bend lies on the curve, not beside it
    begin, bend, end = points.unbind(2)
    curve = torch.einsum("pk,nskd->nspd", weights, torch.stack([begin, 2 * bend - (begin + end) / 2, end], dim=2))
    x, y = curve.unbind(-1)
    x = x + shear[:, None, None] * y
    cos, sin = torch.cos(rotation)[:, None, None], torch.sin(rotation)[:, None, None]
    unit = 9.0 * scale[:, None, None]  # px in half a drawing's width
    x, y = unit * (cos * x - sin * y), unit * (sin * x + cos * y)
    middle = (SIDE - 1) / 2
    x, y = x + shift_x[:, None, None] + middle, y + shift_y[:, None, None] + middle  # (n, S, PIECES + 1), px
    starts = torch.stack([x, y], dim=-1)[:, :, :-1].flatten(1, 2)  # (n, L, 2)
    along = torch.stack([x.diff(dim=2), y.diff(dim=2)], dim=-1).flatten(1, 2)
    return (ink(starts, along, thickness) * 255).round().to(torch.uint8).view(-1, SIDE, SIDE)


def ink(starts: Tensor, along: Tensor, thickness: Tensor) -> Tensor:
    """Ink of each pixel, by its distance to the nearest of L straight pieces: (n, 784) in [0, 1].

    starts, along: (n, L, 2), where each piece begins and its extent, in px; thickness: (n,), px.
    """
    down, across = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    pixels = torch.stack([across, down], dim=-1).view(-1, 2).float()  # (784, 2)
    # |p - s - t a|² = |p - s|² - 2 t (p - s) a + t² |a|², with t in [0, 1] where it is least
    length = along.square().sum(-1).clamp_min(1e-6)[:, None]  # (n, 1, L)
    dot = pixels @ along.transpose(1, 2) - (starts * along).sum(-1)[:, None]  # (n, 784, L)
    apart = pixels.square().sum(-1)[:, None] - 2 * pixels @ starts.transpose(1, 2) + starts.square().sum(-1)[:, None]
    share = (dot / length).clamp_(0, 1)
    nearest = (apart - share * (2 * dot - share * length)).amin(2).clamp_min(0).sqrt()
    return (thickness[:, None] + 0.5 - nearest).clamp(0, 1)  # a one-pixel edge, as anti-aliasing
