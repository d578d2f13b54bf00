"""A result as people send it: a results folder, a bare result.json, or a ZIP file of either.

A file is looked at in a temporary folder that is gone afterwards. A ZIP file may come from anyone: number, names and
sizes of its members are limited before anything is unpacked, what a member really holds is counted while it is, and
links, encrypted members and names that lead out are refused.
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ie_crowd.formats import checksums, scratch, strict
from ie_crowd.formats.upgrade import RESULT

MOST_BYTES = 4 * 2**30  # of a ZIP file's members together
ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
_PIECE = 2**20
_GIVE = f"expected a results folder, its {RESULT} or a ZIP file of it"
_ENCODED = f"expected plain UTF-8, as {RESULT} was written"
STRANGERS = {
    strict.LFS_POINTER: "is a Git LFS pointer, not the file: run git lfs pull",
    b"outs:": "is a DVC link, not the file: run dvc pull",
    b"\xef\xbb\xbf": f"starts with a byte order mark; {_ENCODED}",
    b"\xff\xfe": f"is UTF-16 text; {_ENCODED}",
    b"\xfe\xff": f"is UTF-16 text; {_ENCODED}",
    b"<<<<<<< ": "holds a merge conflict of git: take one of its two sides",
    b"<": f"is a web page or XML; {_GIVE}",
    b"\x1f\x8b": f"is a gzip file; {_GIVE}",
    b"7z\xbc\xaf": f"is a 7z archive; {_GIVE}",
    b"Rar!": f"is a RAR archive; {_GIVE}",
    b"\x28\xb5\x2f\xfd": f"is a Zstandard file; {_GIVE}",
}


@contextlib.contextmanager
def results_folder(place: Path) -> Iterator[Path]:
    """The results folder that ``place`` is or holds. Raises ValueError, one line, where it is none of the three."""
    if not place.is_file():
        yield place  # whoever reads it says what is wrong with it
        return
    with scratch.folder("check") as folder:
        with strict.open_regular(place) as file:
            start = file.read(4)
        if start in (ZIP, EMPTY_ZIP):
            yield _unpacked(place, folder)
        else:
            content = strict.read_bytes(place, strict.RESULT.size)
            if content.lstrip()[:1] not in (b"{", b"["):
                raise ValueError(f"{strict.name_of(place)}: {_stranger(content)}")
            (folder / RESULT).write_bytes(content)
            yield folder


def _stranger(content: bytes) -> str:
    """What a file is that is no JSON object and no ZIP file, and what to do."""
    for start, what in STRANGERS.items():
        if content.startswith(start):
            return what
    if content[257:262] == b"ustar":
        return f"is a tar archive; {_GIVE}"
    return "is empty" if not content.strip() else f"is not a folder, a {RESULT} or a ZIP file of one; {_GIVE}"


def _unpacked(place: Path, folder: Path) -> Path:
    """The folder of the archive's result.json, below ``folder``."""
    name = strict.name_of(place)
    try:
        with zipfile.ZipFile(place) as archive:
            members = [member for member in archive.infolist() if not member.is_dir() and not _dropped(member.filename)]
            _refuse(name, members)
            for member in members:
                _write(archive, member, folder / member.filename, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{name}: cannot be unpacked ({' '.join(what.split())[:120]}); pack it again") from None
    paths = [PurePosixPath(member.filename) for member in members]
    held = sorted((path.parent for path in paths if path.name == RESULT), key=str)
    if not held:
        raise ValueError(f"{name}: holds no {RESULT}; expected the ZIP file of a results folder")
    top = min(held, key=lambda parent: len(parent.parts))
    if sum(len(parent.parts) == len(top.parts) for parent in held) > 1:
        raise ValueError(f"{name}: holds several results ({held[0]}, {held[1]}, …); check one at a time")
    return folder / top


def _dropped(filename: str) -> bool:
    """What file browsers put beside the files: no part of the result."""
    return any((part.startswith(".") and part not in ("..", ".")) or part == "__MACOSX" for part in filename.split("/"))


def _refuse(name: str, members: list[zipfile.ZipInfo]) -> None:
    """Raise ValueError for what is not unpacked. Nothing has been read of any member yet."""
    if len(members) > checksums.MOST_FILES:
        raise ValueError(f"{name}: holds {len(members):,} files, at most {checksums.MOST_FILES:,} are unpacked")
    if (total := sum(member.file_size for member in members)) > MOST_BYTES:
        raise ValueError(f"{name}: would unpack to {total:,} bytes, at most {MOST_BYTES:,} are")
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < total:
        raise ValueError(f"{name}: would unpack to {total:,} bytes, and {tempfile.gettempdir()} has room for {free:,}")
    seen = set()
    for member in members:
        checksums.refuse_name(member.filename)
        if member.filename.count("/") > checksums.DEEPEST:
            raise ValueError(f"{name}: {member.filename!r:.80}: nested more than {checksums.DEEPEST} levels deep")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"{name}: {member.filename!r:.80}: is a link or a device, and only files are unpacked")
        if member.flag_bits & 1:
            raise ValueError(f"{name}: {member.filename!r:.80}: is encrypted")
        if member.filename.lower() in seen:
            raise ValueError(f"{name}: {member.filename!r:.80}: is there twice")
        seen.add(member.filename.lower())


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, name: str) -> None:
    """One member, as long as it says it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, target.open("xb") as file:
        while piece := source.read(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"{name}: {member.filename!r:.80}: holds more than it says")
            file.write(piece)
