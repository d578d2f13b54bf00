"""What a person sees of several runs at once."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WATCH_SECONDS = 1.0


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
