"""Capture training steps as CUDA graphs and replay them.

The networks are small: a step is hundreds of kernels of a few microseconds each, and starting them one by one takes
the host longer than the GPU works on them. A graph starts all of them with one call and computes the same numbers; only
what its input tensors hold changes from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ie_model.config import Config

FIRST = 3  # steps of each kind that are taken one kernel at a time: libraries set themselves up in them

Numbers = (
    Sequence[float] | Tensor
)  # what changes from step to step beside the images: as many numbers, or (n,) on the device


@dataclass
class Recording:
    """One kind of step: how often it was taken, then its graph and what it reads and writes."""

    taken: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    inputs: tuple[Tensor, ...] = ()
    output: Tensor | None = None


class Repeated:
    """Calls ``step(kind, *inputs)``, and repeats it from a CUDA graph where the run's device is one of NVIDIA's.

    step: reads nothing from the device, returns one tensor, and does the same for the same ``kind`` whatever its inputs
    hold. inputs: tensors on the device, of the same shapes in all calls of a kind. noise: the step's generator, on the
    device; it may be seeded anew between two calls. Elsewhere, and with ``config.eager``, the step is just called.
    """

    def __init__(self, config: Config, step: Callable[..., Tensor], noise: torch.Generator | None = None) -> None:
        self.step, self.noise = step, noise
        self.records = config.device == "cuda" and not config.eager
        self.kinds: dict[Hashable, Recording] = {}

    def numbers(self, rows: Sequence[Sequence[float]], device: torch.device) -> Sequence[Numbers]:
        """The numbers of each step as its input: rows of a tensor that is on the device already, or just the rows."""
        return torch.tensor(rows, device=device).unbind() if self.records else rows

    def __call__(self, kind: Hashable, *inputs: Numbers) -> Tensor:
        """Takes one step. What it returns is overwritten by the next one of its kind."""
        if not self.records:
            return self.step(kind, *inputs)
        given = tuple(value for value in inputs if isinstance(value, Tensor))
        assert len(given) == len(inputs), "a recorded step reads tensors only"
        kept = self.kinds.setdefault(kind, Recording())
        if kept.graph is None:
            if kept.taken < FIRST:
                kept.taken += 1
                return self._beside(kind, given)
            self._record(kept, kind, given)
        assert kept.graph is not None
        assert kept.output is not None
        for place, value in zip(kept.inputs, given, strict=True):
            place.copy_(value)
        kept.graph.replay()
        return kept.output

    def _beside(self, kind: Hashable, inputs: tuple[Tensor, ...]) -> Tensor:
        """On a stream of its own, as recordings need it of what comes before them."""
        stream, now = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(now)
        with torch.cuda.stream(stream):
            output = self.step(kind, *inputs)
        now.wait_stream(stream)
        return output

    def _record(self, kept: Recording, kind: Hashable, inputs: tuple[Tensor, ...]) -> None:
        kept.inputs = tuple(value.clone() for value in inputs)
        graph = torch.cuda.CUDAGraph()
        if self.noise is not None:
            graph.register_generator_state(self.noise)
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # records, computes nothing
            kept.output = self.step(kind, *kept.inputs)
        kept.graph = graph
