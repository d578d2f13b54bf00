"""The loop over epochs that every training has, whatever it trains: metrics, checkpoints, divergence, and run.json."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from torch import nn

from ie_model.config import Config
from ie_model.device.detect import Device
from ie_model.run import run_folder
from ie_model.run.journal import Journal

# Called with the share of the current epoch that is done, and the metrics of the last finished epoch if there is one.
Progress = Callable[[int, float, dict[str, Any] | None], None]


@dataclass
class Epochs:
    """The epochs of one run in its folder, from where its journal stands."""

    config: Config
    run: Path
    journal: Journal
    networks: Sequence[nn.Module]
    progress: Progress
    rows: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = run_folder.cut_metrics(self.run, self.journal.position.epochs)
        for row in self.rows:
            self.progress(row["epoch"] - 1, 1.0, row)

    def train(self, one: Callable[[int], dict[str, Any]], measured: Callable[[int], dict[str, float]]) -> str | None:
        """Do the epochs that are left. Returns None, or in one line how the training diverged.

        one: trains an epoch (from 0) and returns its metrics, ``images`` among them. measured: what is measured after
        it with the networks in evaluation mode, which they are left in.
        """
        for epoch in range(self.journal.position.epochs, self.config.epochs):
            self._mode(True)
            row = one(epoch)
            reached = "bound" if "bound" in row else "loss"
            whole = all(weights.isfinite().all() for network in self.networks for weights in network.parameters())
            if not math.isfinite(row[reached]) or not whole:
                return (
                    f"epoch {epoch + 1}: the training diverged ({reached} {row[reached]:g}, weights that are not "
                    f"finite); try a lower --learning-rate than {self.config.learning_rate:g}"
                )
            seconds = self.journal.seconds()
            self._mode(False)
            row = {
                "epoch": epoch + 1,
                "seconds": seconds,
                "images_per_second": row.pop("images") / seconds,
                **row,
                **measured(epoch),
            }
            self.rows.append(row)
            run_folder.append_metrics(self.run, row)
            self.journal.ended(epoch + 1)
            self.progress(epoch, 1.0, row)
        self._mode(False)
        return None

    def _mode(self, training: bool) -> None:
        for network in self.networks:
            network.train(training)

    def ended(
        self, error: str | None, split_sha256: str, datasets: list[dict[str, Any]], device: Device
    ) -> dict[str, Any]:
        """Writes run.json, after which there is nothing to go on with, and returns what it says.

        error: of a training that diverged; without one the weights must be written.
        """
        config, rows = self.config, self.rows
        result = {
            "format": 1,
            "status": "failed" if error else "trained",
            "error": error,
            "task": {"dataset": config.dataset, "supervision": config.supervision, "labels": config.labels},
            "config": config.to_dict(),
            "seed": config.seed,
            "label_seed": config.label_seed,
            "metrics": {},
            "epochs": len(rows),
            **self.journal.totals(),
            "images_per_second": sum(row["images_per_second"] for row in rows) / len(rows) if rows else None,
            "peak_rss_bytes": peak_memory(),
            "model_sha256": None if error else run_folder.sha256_of(self.run / run_folder.MODEL),
            "split_sha256": split_sha256,
            "datasets": datasets,
            "device": asdict(device),
        }
        run_folder.write_json(self.run / run_folder.RUN, result)
        (self.run / run_folder.CHECKPOINT).unlink(missing_ok=True)
        return result


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024  # kibibytes everywhere but on macOS
