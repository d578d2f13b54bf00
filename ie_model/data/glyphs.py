"""A procedurally drawn data set: ten shapes under known transformations.

It needs no download, so that the whole workflow runs with no network, and its factors (rotation, shift, scale, shear,
thickness) are known, so that equivariance can be measured against the truth.

A shape is a set of strokes in the unit square; a pixel's ink is a function of its distance to the nearest stroke after
the pixel grid has been taken back through the transformation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SIZE = 28  # pixels along each side

# The factors of variation: name, lowest, highest, unit. Rotation stays well below half of the angle between any two
# shapes that are turned copies of each other, so the class is never ambiguous.
FACTORS = (
    ("rotation", -0.45, 0.45, "rad"),
    ("shift_x", -2.5, 2.5, "px"),
    ("shift_y", -2.5, 2.5, "px"),
    ("scale", 0.75, 1.15, ""),
    ("shear", -0.25, 0.25, ""),
    ("thickness", 0.8, 1.6, "px"),
)


def _polygon(*points: tuple[float, float], closed: bool = False) -> list[tuple[float, float, float, float]]:
    ends = [*points[1:], points[0]] if closed else list(points[1:])
    return [(*start, *end) for start, end in zip(points, ends, strict=False)]


def _ring(radius: float, pieces: int = 16) -> list[tuple[float, float, float, float]]:
    angles = [2 * math.pi * i / pieces for i in range(pieces)]
    return _polygon(*((radius * math.cos(a), radius * math.sin(a)) for a in angles), closed=True)


# Strokes (x1, y1, x2, y2) in units of half the drawing's width, y pointing down.
SHAPES: dict[str, list[tuple[float, float, float, float]]] = {
    "ring": _ring(0.85),
    "bar": _polygon((0, -0.95), (0, 0.95)),
    "cross": [*_polygon((0, -0.95), (0, 0.95)), *_polygon((-0.8, 0), (0.8, 0))],
    "tee": [*_polygon((0, -0.85), (0, 0.95)), *_polygon((-0.85, -0.85), (0.85, -0.85))],
    "ell": _polygon((-0.6, -0.95), (-0.6, 0.85), (0.8, 0.85)),
    "vee": _polygon((-0.75, -0.9), (0, 0.9), (0.75, -0.9)),
    "zed": _polygon((-0.75, -0.85), (0.75, -0.85), (-0.75, 0.85), (0.75, 0.85)),
    "triangle": _polygon((0, -0.95), (0.9, 0.75), (-0.9, 0.75), closed=True),
    "square": _polygon((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75), closed=True),
    "comb": [*_polygon((0.75, -0.85), (-0.7, -0.85), (-0.7, 0.85), (0.75, 0.85)), *_polygon((-0.7, 0), (0.6, 0))],
}
NAMES = tuple(SHAPES)


def draw_factors(count: int, generator: torch.Generator) -> Tensor:
    """Independent, uniform factors of variation. Returns (count, 6), the columns in the order and units of FACTORS."""
    low = torch.tensor([factor[1] for factor in FACTORS])
    high = torch.tensor([factor[2] for factor in FACTORS])
    return low + (high - low) * torch.rand(count, len(FACTORS), generator=generator)


def render(shape: int, factors: Tensor) -> Tensor:
    """Draws one shape under each row of factors.

    shape: index into NAMES. factors: (n, 6), columns as in FACTORS. Returns uint8 (n, 28, 28), 0 is no ink.
    """
    if not 0 <= shape < len(NAMES):
        raise ValueError(f"shape: got {shape}, expected 0 to {len(NAMES) - 1}")
    rotation, shift_x, shift_y, scale, shear, thickness = factors.float().unbind(1)
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")  # (28, 28) each, pixels from the centre
    # Pixels back to the shape's own frame: undo the shift, then the rotation, then the shear; the scale stays in px.
    x = x.reshape(1, -1) - shift_x[:, None]  # (n, 784)
    y = y.reshape(1, -1) - shift_y[:, None]
    cos, sin = torch.cos(rotation)[:, None], torch.sin(rotation)[:, None]
    x, y = cos * x + sin * y, cos * y - sin * x
    x = x - shear[:, None] * y
    unit = 7.5 * scale[:, None]  # px in half a drawing's width
    nearest = torch.full_like(x, float("inf"))
    for x1, y1, x2, y2 in SHAPES[NAMES[shape]]:
        from_x, from_y = x - x1 * unit, y - y1 * unit
        along_x, along_y = (x2 - x1) * unit, (y2 - y1) * unit
        share = ((from_x * along_x + from_y * along_y) / (along_x**2 + along_y**2)).clamp(0, 1)
        squared = (from_x - share * along_x) ** 2 + (from_y - share * along_y) ** 2
        nearest = torch.minimum(nearest, squared)
    ink = (thickness[:, None] + 0.5 - nearest.sqrt()).clamp(0, 1)  # a one-pixel edge, as anti-aliasing
    return (ink * 255).round().to(torch.uint8).reshape(-1, SIZE, SIZE)


def generate(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A data set of ``count`` images, as many of each shape, in shuffled order; the same for the same seed.

    Returns images uint8 (count, 28, 28), labels int64 (count,) and factors float (count, 6).
    """
    if count <= 0 or count % len(NAMES):
        raise ValueError(f"count: got {count}, expected a positive multiple of {len(NAMES)}")
    generator = torch.Generator().manual_seed(seed)
    each = count // len(NAMES)
    factors = [draw_factors(each, generator) for _ in NAMES]
    images = [render(shape, rows) for shape, rows in enumerate(factors)]
    labels = torch.arange(len(NAMES)).repeat_interleave(each)
    order = torch.randperm(count, generator=generator)
    return torch.cat(images)[order], labels[order], torch.cat(factors)[order]
