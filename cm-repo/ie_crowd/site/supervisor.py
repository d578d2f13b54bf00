"""Several processes that serve one site: forked from one that is ready, on its socket, replaced when they die.

All of them show the same, because rules, texts and the salt of the throttle were read once, before they were forked,
and everything else is in the store. The kernel hands a new connection to whichever process takes it; one that no
process has taken yet survives the death of any of them.

Why not uvicorn's own supervisor: its processes each read the rules by themselves, so that one that is started later may
judge by others; they outlive a supervisor that was killed; and one that dies at once is started again without a pause.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TICK = 0.1  # seconds between two looks at the processes
DRAIN_SECONDS = 10  # after which a process that was told to end is killed; uvicorn gives requests 5
HEALTHY_SECONDS = 10  # who lives for so long has started well: its place is filled at once when it dies
LONGEST_PAUSE = 30.0
ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Place:
    """One of the processes: its pid while it lives, when it began, and how often in a row it has died young."""

    pid: int | None = None
    began: float = 0.0
    failures: int = 0
    not_before: float = 0.0


def pause(failures: int) -> float:
    """Seconds until a process is started that has died young so many times in a row: none, then 0.5, 1, 2, … 30."""
    return 0.0 if failures < 2 else min(LONGEST_PAUSE, 0.5 * 2 ** min(failures - 2, 16))


def run(count: int, serve: Callable[[], Any], ended: Callable[[], Any]) -> None:
    """Keep ``count`` processes alive that each do ``serve()``, until this one is told to end (by an exception).

    ``ended()`` is called first then: it closes what only new requests need. Must be called by a process of one thread,
    without open connections to a store.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started this may have ignored it
    lifeline, held = os.pipe()
    places = [Place() for _ in range(count)]
    try:
        while True:
            for place in places:
                if place.pid is None and time.monotonic() >= place.not_before:
                    _start(place, serve, lifeline, held)
            time.sleep(TICK)
            for place in places:
                _look(place)
    finally:
        ended()
        _drain(places)
        os.close(lifeline)
        os.close(held)


def _start(place: Place, serve: Callable[[], Any], lifeline: int, held: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # no child may be born that nobody knows of
    try:
        pid = os.fork()
        if pid == 0:
            _child(serve, lifeline, held)
        place.pid, place.began = pid, time.monotonic()
    except OSError as error:  # no memory, or too many processes, at the moment
        _failed(place, f"could not be started ({(error.strerror or 'unknown reason').lower()})")
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _child(serve: Callable[[], Any], lifeline: int, held: int) -> None:
    """What a process does from its birth to its end; never returns."""
    code = 1
    try:
        os.close(held)
        threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        serve()
        code = 0
    except (SystemExit, KeyboardInterrupt):  # told to end, and the last answers are given
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _end_with_parent(lifeline: int) -> None:
    """Ends this process when the supervisor has died, however: then nobody holds the other end of the pipe."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os._exit(1)


def _look(place: Place) -> None:
    """Note the death of a process, and when another takes its place."""
    if place.pid is None or (how := _ended(place.pid)) is None:
        return
    pid, place.pid = place.pid, None
    if time.monotonic() - place.began >= HEALTHY_SECONDS:
        place.failures = 0
    _failed(place, f"({pid}) ended with {how}")


def _failed(place: Place, what: str) -> None:
    place.failures += 1
    seconds = pause(place.failures)
    place.not_before = time.monotonic() + seconds
    after = f" in {seconds:g} s" if seconds else ""
    print(f"ie_crowd: a process of the site {what}; another takes its place{after}", file=sys.stderr, flush=True)


def _ended(pid: int, wait: bool = False) -> str | None:
    """How a child ended, None while it lives."""
    try:
        found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    except ChildProcessError:
        return "a status that somebody else took"
    if not found:
        return None
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _drain(places: list[Place]) -> None:
    """Tell all to end, wait for their last answers, and kill who is not done in time (or when told once more)."""
    alive = [place.pid for place in places if place.pid is not None]
    for pid in alive:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + DRAIN_SECONDS
    try:
        while alive and time.monotonic() < deadline:
            alive = [pid for pid in alive if _ended(pid) is None]
            time.sleep(TICK / 5)
    finally:
        for pid in alive:
            _send(pid, signal.SIGKILL)
            _ended(pid, wait=True)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
