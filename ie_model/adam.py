"""Adam (Kingma & Ba 2015), by torch's own fused kernel.

`torch.optim.Adam(fused=True)` computes the same, to the last bit, but its first call loads torch's compiler: that took
two seconds of every start, and 45 MB.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

EPSILON = 1e-8


class Adam:
    """The optimiser of one module's parameters, each of which has a gradient in every step.

    ``lr`` may be set anew, to a number or to a tensor () on the parameters' device.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.lr: float | Tensor = lr
        self.betas = betas
        # Laid out as the parameters are: the kernel walks through all three at once.
        self.first: list[Tensor] = [torch.zeros_like(parameter, requires_grad=False) for parameter in self.parameters]
        self.second: list[Tensor] = [torch.zeros_like(moment) for moment in self.first]
        self.steps = torch.zeros((), device=self.parameters[0].device)

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step along the gradients. Raises ValueError for a parameter that has none."""
        gradients = [parameter.grad for parameter in self.parameters]
        if any(gradient is None for gradient in gradients):
            raise ValueError("Adam: a parameter has no gradient; expected all of them to be part of the loss")
        self.steps += 1
        torch._fused_adam_(
            self.parameters,
            gradients,  # type: ignore[arg-type]  # none is None
            self.first,
            self.second,
            [],
            [self.steps] * len(self.parameters),
            lr=self.lr,  # type: ignore[arg-type]  # the declaration knows one of its two forms
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, by name."""
        moments = {"first": self.first, "second": self.second}
        named = {f"{kind}.{i}": moment for kind, of in moments.items() for i, moment in enumerate(of)}
        return {"steps": self.steps, **named}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of :meth:`tensors`. Raises ValueError when names or shapes do not fit."""
        own = self.tensors()
        if own.keys() != tensors.keys() or any(tensors[name].shape != own[name].shape for name in own):
            raise ValueError("checkpoint: the optimiser's state does not fit this configuration; train anew")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
