"""What a person sees of several runs at once."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WATCH_SECONDS = 1.0


class Lines:
    """One line on stderr for each epoch that a run finishes, where somebody looks: several bars would collide.

    ``folders``: results folders and the epochs of their runs, by what their lines begin with.
    """

    def __init__(self, folders: Mapping[str, tuple[Path, int]], quiet: bool) -> None:
        self.folders = folders
        self.watched = not quiet and sys.stderr.isatty()
        self.seen: dict[Path, int] = {path: len(path.read_bytes().splitlines()) for _, path, _ in self._files()}
        self.last = time.monotonic()

    def __call__(self) -> None:
        """Print what is new, at most once a second."""
        if not self.watched or time.monotonic() < self.last + WATCH_SECONDS:
            return
        self.last = time.monotonic()
        for name, path, epochs in self._files():
            rows = path.read_bytes().splitlines(keepends=True)
            whole = [row for row in rows[self.seen.get(path, 0) :] if row.endswith(b"\n")]
            self.seen[path] = self.seen.get(path, 0) + len(whole)
            for row in whole:
                print(line(f"{name} {path.parent.name}", json.loads(row), epochs), file=sys.stderr, flush=True)

    def _files(self) -> list[tuple[str, Path, int]]:
        return [
            (name, path, epochs)
            for name, (folder, epochs) in self.folders.items()
            for path in sorted(folder.glob("runs/*/metrics.jsonl"))
        ]


def line(run: str, row: Mapping[str, Any], epochs: int) -> str:
    """What one epoch of a run says."""
    return (
        f"{run}: epoch {row['epoch']}/{epochs}  {row['images_per_second']:,.0f} img/s  bound {row['bound']:.1f}  "
        f"error {row['valid_error']:.2f} %"
    )
