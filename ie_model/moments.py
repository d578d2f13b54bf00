"""Running moments of v of each class, and the term that brings them to the prior's.

KL(q(v|r,x) || p(v)), in the mean over a class's images, is the information of v about x plus KL(q(v|y) || p(v)), how
far v of the class as a whole is from the prior. Only the second tells the class. The bound weighs both alike; this term
weighs the second alone, so that v need not say less of an image to say less of its class. It is not the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DECAY = 0.99  # of the running moments: they cover about a hundred steps
PRESENT = 0.5  # a class that counts for less in a step does not move its moments


class Moments(nn.Module):
    """Running mean (C, V) and second moments (C, V, V) of v of each class. They start as the prior's."""

    mean: Tensor
    second: Tensor

    def __init__(self, classes: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(classes, dimensions))
        self.register_buffer("second", torch.eye(dimensions).repeat(classes, 1, 1))

    def forward(self, v: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """A loss with the gradient of |E v|²/2 + |E vv' - I|²/4, mean over classes: ().

        To second order that is KL(q(v|y) || p(v)). Its gradient is the distance of the moments from the prior's times
        their change: the first factor is read from the running moments, the second from this step, so that a step's few
        images of a class are no bias. v: samples (N, V); labels, counts: (N,), the class of each and by how much it
        counts.
        """
        classes, dimensions = self.mean.shape
        with torch.autocast(v.device.type, enabled=False):  # running means of few digits would stand still
            return self._apart(v.float(), labels, counts.float(), classes, dimensions)

    def _apart(self, v: Tensor, labels: Tensor, counts: Tensor, classes: int, dimensions: int) -> Tensor:
        share = torch.zeros(len(v), classes, device=v.device).scatter_(1, labels[:, None], counts[:, None])  # (N, C)
        total = share.sum(dim=0)
        share = share / total.clamp_min(1e-6)
        mean = share.T @ v  # (C, V)
        second = torch.einsum("nc,nv,nw->cvw", share, v, v)
        with torch.no_grad():
            pace = (1 - DECAY) * (total > PRESENT)
            self.mean.lerp_(mean, pace[:, None].expand_as(mean))
            self.second.lerp_(second, pace[:, None, None].expand_as(second))
            apart = self.second - torch.eye(dimensions, device=v.device)
        return ((self.mean.clone() * mean).sum() + 0.5 * (apart * second).sum()) / classes
