"""The arithmetic of a training step: its convolutions and matrix products, forward and backward, as torch counts them.

A multiplication and an addition are two operations. Everything else (normalisations, activations, likelihoods, the
optimiser) is left out, as in the rate of matrix products that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.flop_counter import FlopCounterMode


def counted(step: Callable[[], Any]) -> int:
    """Operations of what ``step`` computes; a gradient that nobody asks for is not computed, and so not counted."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())
