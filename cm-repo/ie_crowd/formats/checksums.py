"""The files of a results folder: listed without following links, hashed, and written as ``sha256sum -c`` reads them."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ie_crowd.formats import strict

SUMS = "SHA256SUMS"
MARKER = "incomplete.json"  # lies in a results folder until its last step is done, and is no part of the result
MOST_FILES = 20_000
DEEPEST = 8
LARGEST_SUMS = 8 * 2**20
LINE_ENDINGS = "its line endings were changed to CRLF, as git does: clone again with git clone -c core.autocrlf=false"
_BYSTANDER = re.compile(
    r"(eh)?thumbs(_vista)?\.db|desktop\.ini|folder\.jpg|~\$.*|ro-crate-preview\.html"
    r"|(readme|notes?|licen[cs]e|citation)(\.(md|txt|rst|cff|html))?",
    re.IGNORECASE,
)
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def listing(folder: Path) -> list[str]:
    """Relative paths, with forward slashes, of every file below ``folder``, sorted by their bytes.

    Names that start with a dot are left out: locks, temporaries and what file browsers drop. Raises ValueError for
    links, for what is neither file nor folder, for names that no list of sums can hold, and beyond 20,000 files or
    8 levels.
    """
    found = []
    for path in _walk(folder, "", 1):
        found.append(path)
        if len(found) > MOST_FILES:
            raise ValueError(f"{strict.name_of(folder)}: holds more than {MOST_FILES:,} files")
    return sorted(found, key=lambda path: path.encode())


def bystander(path: str) -> bool:
    """Whether a file that nobody listed is what file browsers leave in any folder, a page that tools make of a crate,
    or a note of somebody's. Any other could be taken for a part of the result."""
    *folders, name = path.split("/")
    return _BYSTANDER.fullmatch(name) is not None or "ro-crate-preview_files" in folders


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise ValueError(f"{prefix!r:.80}: folders are nested more than {DEEPEST} levels deep")
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"{strict.name_of(folder)}: cannot be listed ({reason})") from None
    for entry in entries:
        path = prefix + entry.name
        if entry.name.startswith("."):
            continue
        refuse_name(path)
        if entry.is_symlink():
            raise ValueError(f"{path!r:.120}: is a symbolic link; a results folder holds files only")
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, path + "/", depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            raise ValueError(f"{path!r:.120}: is neither a file nor a folder")


def refuse_name(path: str) -> None:
    """Raise ValueError for a relative path that a line of SHA256SUMS cannot hold, or that leads out of its folder."""
    odd = any(unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") for character in path)
    parts = path.split("/")
    if odd or "\\" in path or ".." in parts or "." in parts or "" in parts or path != path.strip():
        raise ValueError(f"{path!r:.120}: a name with control characters, backslashes, '..' or outer spaces; rename it")


def sha256_file(path: Path, *, within: Path | None = None) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a regular file, read in pieces. Raises ValueError if it cannot be read."""
    if within is not None:
        strict.refuse_links(path, within)
    total, digest = 0, hashlib.sha256()
    try:
        with strict.open_regular(path) as file:
            while piece := file.read(2**20):
                digest.update(piece)
                total += len(piece)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ValueError(f"{strict.name_of(path)}: cannot be read ({reason})") from None
    return digest.hexdigest(), total


def why_differs(path: Path, expected: str) -> str:
    """What other programs do to a file, where that explains why its SHA-256 is not ``expected``; else nothing.

    Git rewrites the line endings of text files (core.autocrlf), and Git LFS leaves a pointer where a file is not
    fetched yet. Only files of up to 8 MiB are looked into. Raises ValueError if it cannot be read.
    """
    if path.stat().st_size > LARGEST_SUMS:
        return ""
    content = strict.read_bytes(path, LARGEST_SUMS)
    if content.startswith(strict.LFS_POINTER):
        return "is a Git LFS pointer, not the file: run git lfs pull"
    if hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest() == expected:
        return LINE_ENDINGS
    return ""


def summed(folder: Path) -> list[str]:
    """The paths that ``SHA256SUMS`` names: every file but itself and the marker of an unfinished folder."""
    return [path for path in listing(folder) if path not in (SUMS, MARKER)]


def write_sha256sums(folder: Path) -> Path:
    """Write ``SHA256SUMS`` of every other file of ``folder`` but the marker (by rename, sorted); returns its path.

    ``sha256sum -c SHA256SUMS`` checks it. Raises ValueError as ``listing`` does.
    """
    lines = [f"{sha256_file(folder / path)[0]}  {path}\n" for path in summed(folder)]
    strict.write_text(folder / SUMS, "".join(lines))
    return folder / SUMS


def read_sha256sums(folder: Path) -> dict[str, str]:
    """Path to SHA-256 of ``folder/SHA256SUMS``. Raises ValueError for what ``write_sha256sums`` would not write."""
    content = strict.read_bytes(folder / SUMS, LARGEST_SUMS, within=folder)
    sums: dict[str, str] = {}
    if b"\r\n" in content:
        raise ValueError(f"{SUMS}: {LINE_ENDINGS}")
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{SUMS}: is not UTF-8") from None
    if lines.pop() != "":
        raise ValueError(f"{SUMS}: does not end with a newline; it may be cut off")
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{SUMS}: line {number} is not 'hash  path'")
        refuse_name(match.group(2))
        if match.group(2) in sums:
            raise ValueError(f"{SUMS}: line {number} names {match.group(2)!r:.120} a second time")
        sums[match.group(2)] = match.group(1)
    return sums
