"""How v moves what the decoder draws: by an affine map that is linear in v and blind to the class.

What v does to an image is then the same thing under every class, and what the class has to say is a drawing in one
pose. Decoders that move what they draw are not the paper's: Bepler et al., "Explicitly disentangling image content from
translation and rotation with spatial-VAE" (2019), and Detlefsen & Hauberg, "Explicit disentanglement of appearance and
perspective in generative models" (2019), do so with latent variables that are set apart; here v remains one Gaussian.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# What one unit of each of the first dimensions of v does at the start: entries of the affine map's linear part (minus
# the identity) and of its shift, in halves of the image's side.
ACROSS_X, ACROSS_XY, ACROSS_YX, ACROSS_Y, SHIFT_X, SHIFT_Y = range(6)
START = (
    {ACROSS_XY: -0.2, ACROSS_YX: 0.2},  # turned by 11°
    {ACROSS_XY: 0.2, ACROSS_YX: 0.2},  # sheared
    {ACROSS_X: 0.1, ACROSS_Y: 0.1},  # smaller by a tenth
    {ACROSS_X: 0.1, ACROSS_Y: -0.1},  # narrower and higher
    {SHIFT_X: 0.1},  # moved by 1.4 of 28 pixels
    {SHIFT_Y: 0.1},
)


class Pose(nn.Module):
    """Moves images as v says. ``gain`` scales what v does at the start; all of it is learned."""

    def __init__(self, dimensions: int, gain: float) -> None:
        super().__init__()
        weight = torch.zeros(6, dimensions)
        for v, entries in enumerate(START[:dimensions]):
            for entry, size in entries.items():
                weight[entry, v] = gain * size
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor, v: Tensor) -> Tensor:
        """images: (N, channels, side, side), v: (N, V). Returns images of the same shape, in fp32."""
        said = (v.float().unsqueeze(1) * self.weight.float()).sum(dim=2)  # (N, 6): a product of matrices may be in bf16
        linear = said[:, :4].view(-1, 2, 2) + torch.eye(2, device=v.device)
        shift = said[:, 4:].unsqueeze(2)  # (N, 2, 1)
        # from a pixel to where it is read: first the shift is undone, so that v tells it whatever else v says
        back = torch.cat([linear, -(linear * shift.transpose(1, 2)).sum(dim=2, keepdim=True)], dim=2)  # (N, 2, 3)
        grid = F.affine_grid(back, list(images.shape), align_corners=False)
        return resample(images.float(), grid)


def resample(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear values of images (N, channels, height, width) at the places of a grid (N, H, W, 2), as `F.grid_sample`
    reads them; beyond the border its values go on. Returns (N, channels, H, W).

    A place that is NaN, as in a training that diverges, is read in the middle, with no gradient.
    """
    if images.is_cuda and torch.is_grad_enabled():  # there the gradient of grid_sample differs from run to run
        return resample_by_products(images, grid)
    # On the CPU its gradient makes an address of NaN, and the process dies. What is finite keeps its bits.
    return F.grid_sample(images, torch.nan_to_num(grid), padding_mode="border", align_corners=False)


def resample_by_products(images: Tensor, grid: Tensor) -> Tensor:
    """The same as matrix products, whose gradients are sums in a fixed order: for each place the weights of all columns
    and of all rows, of which two each are not 0."""
    height, width = images.shape[-2:]
    places = grid.flatten(1, 2)  # (N, P, 2)
    by_column = _weights(places[..., 0], width)  # (N, P, width)
    by_row = _weights(places[..., 1], height)  # (N, P, height)
    columns = images @ by_column.transpose(1, 2).unsqueeze(1)  # (N, channels, height, P)
    values = (columns * by_row.transpose(1, 2).unsqueeze(1)).sum(dim=2)  # (N, channels, P)
    return values.unflatten(2, grid.shape[1:3])


def _weights(places: Tensor, size: int) -> Tensor:
    """Of each pixel along an axis, for places (N, P) that count from -1 to 1 across it. Returns (N, P, size)."""
    pixels = (((places + 1) * size - 1) / 2).clamp(0, size - 1)
    return (1 - (pixels.unsqueeze(2) - torch.arange(size, device=places.device)).abs()).clamp_min(0)
