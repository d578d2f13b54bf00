"""A training's journal: how far it has come, written as its checkpoint after each epoch and every so often within one.

Orders of images and schedules follow from (seed, epoch) alone. So what an epoch has in hand between two of its steps is
its sums and its generator's state: with them it goes on in its middle, and ends in the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ie_model.run import checkpoint, run_folder

SECONDS = {"cpu": 30.0}  # between two checkpoints within an epoch, by device: what a kill can cost
SECONDS_ELSEWHERE = 5.0  # an accelerator does in these what a CPU does in minutes
SHARE = 0.02  # of the time, which writing checkpoints may take: on a slow disk they are fewer
HELD = "epoch."  # before the names of what the epoch has in hand


@dataclass(frozen=True)
class Position:
    """Where a training stands: epochs that have ended; of the next one its steps, seconds and what it has in hand."""

    epochs: int = 0
    step: int = 0
    seconds: float = 0.0
    held: dict[str, Tensor] = field(default_factory=dict)


class Journal:
    """Reads and writes one run's checkpoint, and counts the time that the run has taken in all its processes.

    tensors: everything that the training changes from step to step, by name, as it is when it is called.
    """

    def __init__(self, run: Path, device: torch.device, tensors: Callable[[], dict[str, Tensor]]) -> None:
        self.path, self.tensors = run / run_folder.CHECKPOINT, tensors
        self.every = SECONDS.get(device.type, SECONDS_ELSEWHERE)
        self.spent = {"wall_seconds": 0.0, "cpu_seconds": 0.0}
        self.began = (time.perf_counter(), time.process_time())
        self.position, self.began_epoch = Position(), time.perf_counter()
        self.due_at = time.monotonic() + self.every

    def resume(self) -> dict[str, Tensor] | None:
        """The tensors of the last checkpoint, and `position` is set to where it stands; None where there is none.

        Raises ValueError where the file is damaged.
        """
        if not self.path.exists():
            return None
        tensors, about = checkpoint.read(self.path)
        held = {name.removeprefix(HELD): tensors.pop(name) for name in list(tensors) if name.startswith(HELD)}
        step, seconds = (
            int(about.get("step", 0)),
            float(about.get("epoch_seconds", 0.0)),
        )  # older ones lie between epochs
        self.position = Position(int(about["epoch"]), step, seconds, held)
        self.spent = {name: float(about[name]) for name in self.spent}
        return tensors

    def totals(self) -> dict[str, float]:
        """Seconds by the clock and of the processor so far, those before a kill included."""
        wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        return {
            "wall_seconds": self.spent["wall_seconds"] + wall,
            "cpu_seconds": self.spent["cpu_seconds"] + cpu,
        }

    def begin(self, epoch: int) -> Position:
        """An epoch begins, or goes on: where in it. Its seconds count from here."""
        if self.position.epochs != epoch:
            self.position = Position(epoch)
        self.began_epoch = time.perf_counter()
        return self.position

    def seconds(self) -> float:
        """Of the present epoch so far, without what a kill has lost."""
        return self.position.seconds + time.perf_counter() - self.began_epoch

    def stepped(self, step: int, held: Callable[[], dict[str, Tensor]]) -> None:
        """After each step of an epoch, ``step`` of them being done: writes what ``held`` gives, where it is time to."""
        if time.monotonic() >= self.due_at:
            self._write(Position(self.position.epochs, step, self.seconds(), held()))

    def ended(self, epochs: int) -> None:
        """After each epoch, once its metrics are written."""
        self._write(Position(epochs))

    def _write(self, position: Position) -> None:
        before = time.monotonic()
        about = {"epoch": str(position.epochs), "step": str(position.step), "epoch_seconds": repr(position.seconds)}
        about |= {name: repr(value) for name, value in self.totals().items()}
        held = {f"{HELD}{name}": tensor for name, tensor in position.held.items()}
        checkpoint.write(self.path, self.tensors() | held, about)
        now = time.monotonic()
        self.due_at = now + max(self.every, (now - before) / SHARE)
