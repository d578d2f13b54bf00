"""Runs as processes of their own: how many at once this machine has room for, and ending them all or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence

import psutil

from ie_model.device import limits

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 20.0  # between SIGTERM and SIGKILL
PR_SET_PDEATHSIG = 1  # of Linux's prctl
PROGRAM_BYTES = 800_000_000  # of a process that has loaded torch and nothing else
IMAGES_COPIES = 3  # the images of a run, and what its evaluation makes of them


def how_many(runs: int, threads: int, device: str, image_bytes: int) -> int:
    """Of ``runs``, those at once: one thread for each core, all in memory together, and one where an accelerator does
    the work. image_bytes: what the training images of one take as floats."""
    if device != "cpu":
        return 1
    free = psutil.virtual_memory().available
    if (below := limits.memory_room()) is not None:
        free = min(free, below)
    room = free // (PROGRAM_BYTES + IMAGES_COPIES * image_bytes)
    return max(1, min(runs, limits.cores() // threads, room))


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
        until = time.monotonic() + PATIENCE_SECONDS
        for process in running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:  # every file appears by rename, so nothing breaks
                process.kill()
                process.wait()


def bound_to_parent() -> Callable[[], None] | None:
    """For `preexec_fn` of Popen: the child is killed with this process however that ends. None where it cannot be."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        control = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    parent = os.getpid()

    def bind() -> None:  # in the child, before it becomes another program
        control(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it has died already
            os._exit(1)

    return bind
