"""What a person sees while a run works: a bar with rate, bound, error and time left. Nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

REFRESH_SECONDS = 0.2


def _watched(quiet: bool) -> bool:
    return not quiet and sys.stderr.isatty()


@contextmanager
def bar(epochs: int, quiet: bool) -> Iterator[Callable[[int, float, dict[str, Any] | None], None]]:
    """A progress bar over epochs on stderr. Yields what `ie_model.train` calls as its `Progress`."""
    if not _watched(quiet):
        yield lambda epoch, share, row: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as shown:
        task = shown.add_task("", total=float(epochs), epoch=1, facts="")
        drawn = 0.0

        def update(epoch: int, share: float, row: dict[str, Any] | None) -> None:
            nonlocal drawn
            if row is not None:
                facts = (
                    f"{row['images_per_second']:,.0f} img/s  bound {row['bound']:.1f}  error {row['valid_error']:.2f} %"
                )
                shown.update(task, facts=facts)
            if row is not None or time.monotonic() - drawn > REFRESH_SECONDS:
                drawn = time.monotonic()
                shown.update(task, completed=epoch + share, epoch=min(epoch + 1, epochs), refresh=True)

        yield update


@contextmanager
def steps(what: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A spinner that names the part at work. Yields a function to call with each part's name."""
    if not _watched(quiet):
        yield lambda part: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield lambda part: status.update(f"{what}: {part}")
