"""Known transformations, to measure equivariance and invariance against.

Images are rotated and shifted by amounts that are drawn; a glyph has the generator's own factors, and is transformed
by drawing its shape again under other factors. Angles stay far below half a turn and below half the angle of any
shape's symmetry, so that no amount has two names; where a factor cannot be seen in a shape, that shape is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ie_model.data import glyphs

# The transformations of images: name, largest amount in either direction, unit.
AMOUNTS = (("rotation", math.radians(20), "rad"), ("shift_x", 2.0, "px"), ("shift_y", 2.0, "px"))

# The largest draws of `distort`: angle (rad), shifts (px), stretch along each axis, shear.
DISTORTION = (math.radians(20), 3.0, 3.0, 0.15, 0.15, 0.3)

BENDS = (5, 5)  # points of the coarse grid that bends: on 28 pixels they are 7 apart, as far as a digit's own bends
BENT = 1.0  # how far they are moved (standard deviation), px

# A turned ring is the same ring; a bar that is sheared is a bar that is turned.
UNSEEN = {"rotation": ("ring", "bar"), "shear": ("bar",)}


def draw_amounts(count: int, generator: torch.Generator) -> Tensor:
    """Independent, uniform amounts of each of AMOUNTS: (count, 3)."""
    largest = torch.tensor([amount for _, amount, _ in AMOUNTS])
    return largest * (2 * torch.rand(count, len(AMOUNTS), generator=generator) - 1)


def apply(images: Tensor, amounts: Tensor) -> Tensor:
    """Turns each image about its centre, then shifts it; what comes in from outside repeats the border.

    images: (n, channels, side, side); amounts: (n, 3), columns as in AMOUNTS, y pointing down. Returns the same shape.
    """
    rotation, shift_x, shift_y = amounts.to(images).unbind(1)
    cos, sin = torch.cos(rotation), torch.sin(rotation)
    half = images.shape[-1] / 2  # grid_sample counts from -1 to 1 across the image
    x, y = shift_x / half, shift_y / half
    # from a pixel back to where it came from: unshift, then turn back
    back = torch.stack([cos, sin, -cos * x - sin * y, -sin, cos, sin * x - cos * y], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(back, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def distort(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Turns, shifts, stretches, shears and bends each image by independent draws: augmentation, not measurement.

    images: (n, channels, side, side); amount: 1 for up to ±20°, ±3 pixels, ±15 % along each axis and a shear of ±0.3,
    uniform, and for points on a coarse grid that are moved by 1 pixel (standard deviation), all others in between.
    What comes in from outside is 0. Draws come from ``generator``, on the images' device. Returns the same shape.
    """
    draws = 2 * torch.rand(len(images), 6, generator=generator, device=images.device) - 1
    angle, shift_x, shift_y, wide, high, shear = (
        amount * largest * draw for largest, draw in zip(DISTORTION, draws.unbind(1), strict=True)
    )
    cos, sin, half = torch.cos(angle), torch.sin(angle), images.shape[-1] / 2
    rows = [
        torch.stack([(1 + wide) * cos, (1 + wide) * (shear * cos - sin), shift_x / half], dim=1),
        torch.stack([(1 + high) * sin, (1 + high) * (shear * sin + cos), shift_y / half], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    bends = torch.randn(len(images), 2, *BENDS, generator=generator, device=images.device) * (amount * BENT / half)
    smooth = F.interpolate(bends, size=images.shape[-2:], mode="bicubic", align_corners=True)
    return F.grid_sample(images.contiguous(), grid + smooth.permute(0, 2, 3, 1), align_corners=False)


def redraw_glyphs(labels: Tensor, generator: torch.Generator) -> Tensor:
    """The glyph of each label (n,) under factors drawn anew: float (n, 1, 28, 28) in [0, 1], on the CPU."""
    labels = labels.cpu()
    factors = glyphs.draw_factors(len(labels), generator)
    images = torch.empty(len(labels), 1, glyphs.SIZE, glyphs.SIZE)
    for shape in range(len(glyphs.NAMES)):
        chosen = labels == shape
        images[chosen, 0] = glyphs.render(shape, factors[chosen]).float() / 255
    return images


def seen(factor: str, labels: Tensor) -> Tensor:
    """Which glyphs (n,) show a factor at all, as booleans (n,)."""
    hidden = [glyphs.NAMES.index(name) for name in UNSEEN.get(factor, ())]
    return ~torch.isin(labels, torch.tensor(hidden, dtype=labels.dtype, device=labels.device))
