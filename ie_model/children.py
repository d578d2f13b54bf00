"""Commands run as processes of their own, several at once: what a measurement of many trainings is made of."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator, Sequence

POLL_SECONDS = 0.05


def together(
    starts: Sequence[Callable[[], subprocess.Popen[bytes]]],
    at_once: int,
    look: Callable[[list[subprocess.Popen[bytes]]], None] = lambda running: None,
) -> Generator[tuple[int, int], None, None]:
    """Starts processes in their order, at most so many at once. Yields index and exit code of each as it ends.

    ``look`` is called with those that run, about twenty times a second. Whoever stops listening, by an error or an
    interrupt too, ends those that run: no process outlives the loop.
    """
    waiting = list(enumerate(starts))
    running: dict[int, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                index, start = waiting.pop(0)
                running[index] = start()
            look(list(running.values()))
            time.sleep(POLL_SECONDS)
            for index, process in list(running.items()):
                if process.poll() is not None:
                    del running[index]
                    yield index, process.returncode
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
