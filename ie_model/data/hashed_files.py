"""Files proved by their hash: read in bounded memory, written under a temporary name, renamed when the hash is right.

A process killed at any moment leaves either the old file or the new one. Failures of content raise ValueError with one
line; an OSError that leaves `store` comes from this machine's own disk, and `writing` turns it into one line as well.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import secrets
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 1 << 20  # bytes
FILE_LIMIT = 256 << 20  # bytes of one file, uncompressed: stops a decompression bomb, not a data set
LOCK_SECONDS = 1800.0  # longer than any download of these sizes; a lock dies with its process


def blocks(stream: Any, where: str) -> Iterator[bytes]:
    """Yields a stream's bytes in blocks; ValueError naming `where` when it breaks or exceeds FILE_LIMIT."""
    total = 0
    while True:
        try:
            block = stream.read(BLOCK)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise ValueError(f"{where}: {reason(error)}") from None
        if not block:
            return
        total += len(block)
        if total > FILE_LIMIT:
            raise ValueError(f"{where}: more than {FILE_LIMIT:,} bytes uncompressed, so this is not the expected file")
        yield block


def reason(error: BaseException) -> str:
    """One line that says what an exception means to a user."""
    cause = getattr(error, "reason", None)  # urllib.error.URLError wraps the real one
    if isinstance(cause, BaseException):
        return reason(cause)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, zlib.error):
        return f"damaged gzip data ({error})"
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextlib.contextmanager
def opened(path: Path, by_content: bool = False) -> Iterator[Any]:
    """A regular file (or a link to one); ValueError for anything else.

    It is unzipped if its name ends in .gz or, by content, if it is gzipped, whatever its name is.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a folder, or a pipe that would block for ever
            raise ValueError(f"{path}: not a file")
        if status.st_size > FILE_LIMIT:
            raise ValueError(f"{path}: {status.st_size:,} bytes, too large to be this file")
        zipped = is_gzip(path) if by_content else path.suffix == ".gz"
        stream: Any = gzip.open(path) if zipped else path.open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    with stream:
        yield stream


def is_gzip(path: Path) -> bool:
    """Whether a file starts as gzipped data does."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class Proof:
    """Hashes what passes by and compares it with a published hash: SHA-256, or MD5 where only that is published.

    MD5 tells damage, not malice; so the SHA-256 is computed as well, to be recorded.
    """

    def __init__(self, expected: str) -> None:
        self.expected = expected
        self.kind = {64: "SHA-256", 32: "MD5"}[len(expected)]
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if self.kind == "MD5" else None

    def update(self, block: bytes) -> None:
        """Takes the next block in."""
        self._sha256.update(block)
        if self._md5 is not None:
            self._md5.update(block)

    @property
    def sha256(self) -> str:
        """SHA-256 of what has passed, in hex."""
        return self._sha256.hexdigest()

    @property
    def digest(self) -> str:
        """The hash of the expected kind of what has passed, in hex."""
        return self.sha256 if self._md5 is None else self._md5.hexdigest()

    @property
    def wrong(self) -> str | None:
        """None when the hash is the expected one, else what it is and what it should be."""
        got = self.digest
        return None if got == self.expected else f"{self.kind} {got}, expected {self.expected}"


def check(path: Path, expected: str, by_content: bool = False) -> tuple[str, int]:
    """SHA-256 and number of (uncompressed) bytes of a file with the `expected` hash; ValueError says what is wrong."""
    proof, count = Proof(expected), 0
    with opened(path, by_content) as stream:
        for block in blocks(stream, str(path)):
            proof.update(block)
            count += len(block)
    if proof.wrong:
        raise ValueError(f"{path}: damaged, or not the published file: {proof.wrong} ({count:,} bytes read)")
    return proof.sha256, count


def store(target: Path, content: Iterable[bytes], expected: str) -> None:
    """Writes `content` to `target` by rename if its hash is right, else ValueError; OSError is this machine's disk."""
    part = target.with_name(temporary(target.name))
    proof = Proof(expected)
    try:
        with part.open("xb") as file:
            for block in content:
                proof.update(block)
                file.write(block)
            if proof.wrong:
                raise ValueError(f"{target.name}: {proof.wrong}")
            file.flush()
            os.fsync(file.fileno())
        if target.is_dir() and not target.is_symlink():  # a file cannot be renamed onto a folder; nothing is deleted
            target.rename(target.with_name(f"{target.name}.set-aside-{secrets.token_hex(4)}"))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def temporary(name: str) -> str:
    """A name beside `name` that `writing` removes if it is found left over."""
    return f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part"


@contextlib.contextmanager
def writing(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a folder, made if need be; a disk that fails becomes ValueError with one line."""
    try:
        import filelock
    except ImportError:
        raise ValueError("the Python package filelock is missing: pip install filelock, or use --data=DIR") from None
    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            report(f"waiting for another process that fills {folder}")
            lock.acquire(timeout=LOCK_SECONDS)
        try:
            for leftover in folder.glob(".*.part"):  # of a process that was killed: nobody else holds the lock
                if leftover.is_dir() and not leftover.is_symlink():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)
            yield
        finally:
            lock.release()
    except filelock.Timeout:
        raise ValueError(f"another process holds {folder / '.lock'} for {LOCK_SECONDS:.0f} s: end it first") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "free some space" if full else "make it writable"
        raise ValueError(
            f"the cache {folder} cannot be written: {reason(error)}; {hint}, or set IE_REPR_CACHE to another folder"
        ) from None
