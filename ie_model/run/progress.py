"""What a person sees while a run works: a bar with rate, bound, error and time left. Nothing where nobody looks."""

from __future__ import annotations

import builtins
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

REFRESH_SECONDS = 0.2
SILENT_SECONDS = 180.0  # before the first step of the first epoch: the control's training and the warm-up take a minute

Update = Callable[[int, float, dict[str, Any] | None], None]


def _watched(quiet: bool) -> bool:
    return not quiet and sys.stderr.isatty()


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this: it has no terminal, and shows what is printed, \r included."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


@contextmanager
def bar(epochs: int, quiet: bool) -> Iterator[Update]:
    """A progress bar over epochs on stderr. Yields what `ie_model.training` calls as its `Progress`."""
    with _drawn(epochs, quiet) as update, watched(update, "if it goes on so: --threads=1, or --device=cpu") as told:
        yield told


@contextmanager
def _drawn(epochs: int, quiet: bool) -> Iterator[Update]:
    if not quiet and _in_notebook():
        yield _line(epochs)
        return
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
                shown.update(task, facts=_facts(row))
            if row is not None or time.monotonic() - drawn > REFRESH_SECONDS:
                drawn = time.monotonic()
                shown.update(task, completed=epoch + share, epoch=min(epoch + 1, epochs), refresh=True)

        yield update


def _facts(row: dict[str, Any]) -> str:
    bound = f"bound {row['bound']:.1f}  " if "bound" in row else ""  # q-only has none
    return f"{row['images_per_second']:,.0f} img/s  {bound}error {row['valid_error']:.2f} %"


def _line(epochs: int) -> Update:
    """One line under a notebook's cell, written anew, and a new one for each epoch that is done."""
    drawn = 0.0

    def update(epoch: int, share: float, row: dict[str, Any] | None) -> None:
        nonlocal drawn
        if row is not None:
            print(f"\repoch {epoch + 1}/{epochs}  {_facts(row)}", flush=True)
        elif time.monotonic() - drawn > REFRESH_SECONDS:
            drawn = time.monotonic()
            print(f"\repoch {epoch + 1}/{epochs}  {share:4.0%}", end="", flush=True)

    return update


@contextmanager
def watched(update: Update, hint: str) -> Iterator[Update]:
    """The same function, and a line on stderr each time that long has passed without its first call: a first step that
    does not end (threads that wait for each other, a driver that hangs) is silent by itself."""
    heard, began = threading.Event(), time.monotonic()

    def watch() -> None:
        while not heard.wait(SILENT_SECONDS):
            waited = time.monotonic() - began
            print(f"ie_model: no step has ended for {waited:.0f} s; {hint}", file=sys.stderr, flush=True)

    def told(epoch: int, share: float, row: dict[str, Any] | None) -> None:
        heard.set()
        update(epoch, share, row)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield told
    finally:
        heard.set()


@contextmanager
def steps(what: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A spinner that names the part at work. Yields a function to call with each part's name."""
    if not _watched(quiet):
        yield lambda part: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield lambda part: status.update(f"{what}: {part}")
