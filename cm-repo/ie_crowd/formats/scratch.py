"""Temporary folders that the next start clears away where their process was killed and could not; files alike.

Each holds a file that its process keeps locked for as long as it lives, however it ends: a folder whose lock can be
taken is nobody's any more. Where files cannot be locked, nothing is cleared away.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "ie-repr-"
IN_USE = ".in-use"
YOUNG_SECONDS = 5.0  # between making a folder and locking its file


@contextlib.contextmanager
def folder(kind: str) -> Iterator[Path]:
    """A new empty folder under the system's for temporary files, gone afterwards. ``kind`` is part of its name."""
    sweep()
    with contextlib.ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{kind}-", ignore_cleanup_errors=True)
        place = Path(stack.enter_context(made))
        stack.enter_context(_locked(place / IN_USE, make=True))
        inner = place / "x"
        inner.mkdir()
        yield inner


def sweep(above: Path | None = None) -> list[str]:
    """Remove the folders of processes that are no more, of this user alone; returns their names."""
    above = Path(tempfile.gettempdir()) if above is None else above
    swept = []
    for place in above.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = place.lstat()
            own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if not own or place.is_symlink() or time.time() - status.st_mtime < YOUNG_SECONDS:
                continue
            if not (place / IN_USE).is_file():  # of another program, or of an older version
                continue
            with _locked(place / IN_USE, make=False) as mine:
                if mine:
                    shutil.rmtree(place, ignore_errors=True)
                    swept.append(place.name)
    return swept


@contextlib.contextmanager
def _locked(path: Path, *, make: bool) -> Iterator[bool]:
    """Whether this process holds the lock of a file now. The lock goes with the process, whatever ends it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    with path.open("a" if make else "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody's, or a file system without locks
            yield False
            return
        yield True


def special(path: Path) -> bool:
    """Whether a device, a pipe or a socket is there: a rename over it would put a file in the place of /dev/null."""
    return path.exists() and not (path.is_file() or path.is_dir())


def sweep_file(path: Path, kind: str) -> None:
    """Remove what killed processes left of earlier writes of a file, under temporary names `.NAME.PID.KIND`."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.{kind}"):
        if left_over(left):
            left.unlink(missing_ok=True)


def left_over(path: Path) -> bool:
    """Whether a temporary name, `.NAME.PID.tmp`, is of a process that is no more."""
    import psutil

    number = path.name.split(".")[-2]
    return number.isascii() and number.isdecimal() and len(number) < 10 and not psutil.pid_exists(int(number))


def sync_folder(path: Path) -> None:
    """Let what was made or renamed in a folder outlive a power cut, where the system can do that for folders."""
    with contextlib.suppress(OSError, AttributeError):  # Windows opens no folder
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
