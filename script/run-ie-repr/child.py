"""Run one child process to its end, and take it along when this process is told to stop.

A Ctrl-C in a terminal reaches parent and child together; `kill -INT` and SIGTERM reach the parent alone, and then the
child would go on by itself. So it gets a little time to end on its own, then the same signal, then SIGKILL.
"""

import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

STOP = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
POLL_SECONDS = 0.1
OWN_END_SECONDS = 3.0  # for a child that got the terminal's Ctrl-C itself: it is writing its last line
PATIENCE_SECONDS = 20.0  # between the signal and SIGKILL; every file appears by rename, so nothing breaks


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], patience: float = PATIENCE_SECONDS) -> int:
    """Exit code of `argv` (a list, no shell): 128 + n when signal n ended it, or when n told this process to stop."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    # handlers, not SIG_IGN: a child would inherit that
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in STOP} if main else {}
    try:
        process = subprocess.Popen(argv, cwd=cwd, env=dict(env))
        code = None
        while code is None and not received:
            code = _wait(process, POLL_SECONDS)
        if received and code is None:
            _end(process, received[0], patience)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        return 128 + received[0]
    assert code is not None
    return code if code >= 0 else 128 - code


def _end(process: "subprocess.Popen[bytes]", number: int, patience: float) -> None:
    """Wait for the process, hand it `number` when it does not know of it, and kill it when it will not listen."""
    if number == signal.SIGINT and _wait(process, OWN_END_SECONDS) is not None:
        return
    process.send_signal(number)
    if _wait(process, patience) is None:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """Exit code within `seconds`, else None."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
