"""The arithmetic of a training step, counted from its layers: convolutions and linear layers, forward and backward.

A multiplication and an addition are two operations. Everything else (normalisations, activations, likelihoods, the
optimiser) is left out, as in the rate of matrix products that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def of_layer(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> int:
    """Operations of one pass through a layer: each weight meets each place of the image once."""
    if isinstance(layer, nn.Linear):
        return 2 * outputs.numel() * layer.in_features
    if isinstance(layer, nn.ConvTranspose2d):  # every input is spread over a patch
        return 2 * inputs.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Conv2d):  # every output gathers a patch
        return 2 * outputs.numel() * layer.weight[0].numel()
    raise TypeError(type(layer).__name__)


def counted(modules: list[nn.Module], step: Callable[[], Any]) -> int:
    """Operations of one training step that calls the layers of ``modules``, whose backward pass it also makes.

    Backward gives the gradient of the weights, and of the input where it has one: as much each as forward.
    """
    total = 0

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        nonlocal total
        passes = 1 + (1 + inputs[0].requires_grad if outputs.requires_grad else 0)
        total += passes * of_layer(layer, inputs[0], outputs)

    layers = [layer for module in modules for layer in module.modules() if isinstance(layer, LAYERS)]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        step()
    finally:
        for handle in handles:
            handle.remove()
    return total
