"""One child process with a time limit: argv list, no shell, no input, everything it started ended with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ie_crowd import entry

LAST_WORDS = 4096  # bytes of its standard error that are read
PR_SET_PDEATHSIG = 1  # of Linux's prctl
OWN_GROUP = hasattr(os, "killpg")


def run(argv: Sequence[str], folder: Path, seconds: float, env: Mapping[str, str] | None = None) -> str:
    """Run ``argv`` in ``folder``; returns nothing if it ended well, else one line that says how it ended.

    ``env``: its environment, this process's where None. Its output is not shown.
    After ``seconds``, or when this process is interrupted, it and its own children are killed.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=dict(env)
                if env is not None
                else {
                    **entry.environment(),
                    "PYTHONSAFEPATH": "1",
                },  # for a Python: no folder of a script's on the path
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=OWN_GROUP,
                preexec_fn=_bound_to_parent(),
            )
        except OSError as error:
            return f"{argv[0]!r:.80} could not be started ({(error.strerror or 'unknown reason').lower()})"
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"it was ended after {seconds:g} s, the limit of the rules"
        finally:
            _end(process)
        if code == 0:
            return ""
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - LAST_WORDS))
        lines = errors.read(LAST_WORDS).decode("utf-8", "replace").strip().splitlines()
    said = "".join(character for character in (lines[-1] if lines else "") if character.isprintable())
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return f"it ended with {how}" + (f": {said[:240]}" if said else "")


def _bound_to_parent() -> Callable[[], None] | None:
    """The child is killed with this process however that ends, where the system can do that (Linux)."""
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child with all that it started, unless it has ended."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if OWN_GROUP:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
