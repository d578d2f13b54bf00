"""Several runs at once: how many this machine takes, and what a person sees of them."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

WATCH_SECONDS = 1.0
PROGRAM_BYTES = 800_000_000  # of a process that has loaded torch and nothing else
IMAGES_COPIES = 3  # the images of a run, and what its evaluation makes of them


def how_many(seeds: int, threads: int, device: str, image_bytes: int) -> int:
    """Runs at once: one thread for each core, all in memory together, and one where an accelerator does the work."""
    if device != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    room = psutil.virtual_memory().available // (PROGRAM_BYTES + IMAGES_COPIES * image_bytes)
    return max(1, min(seeds, cores // threads, room))


class Lines:
    """One line on stderr for each epoch that a run finishes, where somebody looks: several bars would collide."""

    def __init__(self, folder: Path, epochs: int, quiet: bool) -> None:
        self.folder, self.epochs = folder, epochs
        self.watched = not quiet and sys.stderr.isatty()
        self.seen: dict[Path, int] = {path: len(path.read_bytes().splitlines()) for path in self._files()}
        self.last = time.monotonic()

    def __call__(self) -> None:
        """Print what is new, at most once a second."""
        if not self.watched or time.monotonic() < self.last + WATCH_SECONDS:
            return
        self.last = time.monotonic()
        for path in self._files():
            rows = path.read_bytes().splitlines(keepends=True)
            whole = [row for row in rows[self.seen.get(path, 0) :] if row.endswith(b"\n")]
            self.seen[path] = self.seen.get(path, 0) + len(whole)
            for row in whole:
                print(line(path.parent.name, json.loads(row), self.epochs), file=sys.stderr, flush=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("runs/*/metrics.jsonl"))


def line(run: str, row: Mapping[str, Any], epochs: int) -> str:
    """What one epoch of a run says."""
    return (
        f"run {run}: epoch {row['epoch']}/{epochs}  {row['images_per_second']:,.0f} img/s  bound {row['bound']:.1f}  "
        f"error {row['valid_error']:.2f} %"
    )
