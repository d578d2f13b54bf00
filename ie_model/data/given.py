"""A user's own folder of data: its files are known by their hash after decompression, whatever they are called.

People have the same four files under many names: as Kaggle packs them (`train-images.idx3-ubyte`, or a folder of that
name which holds the file), in upper case, as `.GZ`, gzipped without saying so, or not gzipped though named `.gz`; Keras
packs them as `mnist.npz`. So names only say what to look at first. What is in a file is told by its first bytes; no
archive is unpacked and no pickle is read. Needs the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ie_model.data import hashed_files
from ie_model.facts import numpy_files

DEPTH, MOST_FILES, MOST_BYTES = 4, 2000, 2 << 30  # of a folder: somebody may name a whole disk
LIKELY = re.compile(r"idx|ubyte|train|t10k|test|label|image|mnist|32x32|npz", re.IGNORECASE)
SIDE = 28  # of MNIST's images, and of those made after it
MEMBERS = 64  # of an .npz file
# What a file starts with -> what it is. Gzip is looked into first.
KINDS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: `git lfs pull` fetches it"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"\xfd7zXZ", "an xz archive: unpack it"),
    (b"BZh", "a bzip2 archive: unpack it"),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"<", "a page of HTML or XML, as a failed download leaves it"),
)


class Piece(NamedTuple):
    """Where the bytes of one published file lie: in a file, gzipped or not, or in an array of a NumPy file."""

    path: Path
    array: str | None  # its name in an .npz file, "" for an .npy file
    sha256: str
    size: int  # bytes of the published file

    @property
    def where(self) -> str:
        """File and array, for messages."""
        return f"{self.path}:{self.array}" if self.array else str(self.path)


class Found(NamedTuple):
    """The published files that lie in a folder, by data set and name, and all that was looked at, likely ones first."""

    pieces: dict[str, dict[str, Piece]]
    seen: list[Path]


def search(data: Path, wanted: Mapping[str, str], published: Mapping[str, Mapping[str, str]]) -> Found:
    """Looks for the files of ``wanted`` (name -> hash) among those under ``data``, a folder or a file, until all are
    found; files of other ``published`` data sets that come by are noted as well.
    """
    pieces: dict[str, dict[str, Piece]] = {dataset: {} for dataset in published}
    own = next(dataset for dataset, files in published.items() if files is wanted)
    seen, read = sorted(_files(data), key=lambda path: _order(path, data, wanted)), 0
    for path in seen:
        if set(pieces[own]) == set(wanted) or read > MOST_BYTES:
            break
        with contextlib.suppress(ValueError, OSError):  # what cannot be read is none of the files
            for array, blocks in _contents(path):
                known, count = _named(blocks, published)
                read += count
                for dataset, name, sha256 in known:
                    pieces[dataset].setdefault(name, Piece(path, array, sha256, count))
    return Found(pieces, seen)


def content(piece: Piece) -> Iterator[bytes]:
    """The published file's bytes, in blocks; ValueError where they can no longer be read."""
    for array, blocks in _contents(piece.path):
        if array == piece.array:
            yield from blocks
            return
    raise ValueError(f"{piece.where}: it is not there any more")


def what(path: Path) -> str:
    """What a file seems to be, for somebody who took it for one of the published; "" for nothing that is known."""
    name = path.name.lower()
    if name.endswith(".dvc"):
        return "a DVC link, not the file itself: `dvc pull` fetches it"
    if re.search(r"\.(pkl|pickle|pt|pth)(\.gz)?$", name):
        return "a Python pickle, which is never read here, since reading one can run code"
    try:
        with hashed_files.opened(path, by_content=True) as stream:
            head = stream.read(512)
    except (ValueError, OSError, EOFError, zlib.error):
        return ""
    if (kind := next((words for start, words in KINDS if head.startswith(start)), None)) is not None:
        return kind
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it"
    if head.lstrip()[:1] in (b"{", b"["):
        return "a JSON file"
    if name.endswith((".csv", ".csv.gz", ".tsv")) or re.match(rb"[\w\"., ]*[,\t][\w\"., \t]*\r?\n", head):
        return "a table of text (CSV)"
    return "a Python pickle, which is never read here, since reading one can run code" if head[:1] == b"\x80" else ""


def _files(data: Path) -> Iterator[Path]:
    """Regular files, and links to some, under a folder, or the file itself; without hidden folders, not too deep."""
    if data.is_file():
        yield data
        return
    many = 0
    for folder, inner, names in os.walk(data):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if len(Path(folder).relative_to(data).parts) >= DEPTH:
            inner.clear()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and path.stat().st_size <= hashed_files.FILE_LIMIT:
                yield path
                many += 1
                if many >= MOST_FILES:
                    return


def _order(path: Path, data: Path, wanted: Iterable[str]) -> tuple[int, int, str]:
    """The published names first, then names like them, then any; shallow ones first."""
    exact = path.name in wanted or path.name.removesuffix(".gz") in wanted
    rank = 0 if path.name in wanted else 1 if exact else 2 if LIKELY.search(path.name) else 3
    return rank, len(path.relative_to(data).parts), str(path)


def _named(
    blocks: Iterable[bytes], published: Mapping[str, Mapping[str, str]]
) -> tuple[list[tuple[str, str, str]], int]:
    """Which published files these bytes are: [(data set, name, SHA-256)], and how many bytes there are."""
    proofs = [hashed_files.Proof("0" * 64), hashed_files.Proof("0" * 32)]
    count = 0
    for block in blocks:
        count += len(block)
        for proof in proofs:
            proof.update(block)
    got = {proof.digest for proof in proofs}
    return [
        (dataset, name, proofs[0].sha256)
        for dataset, files in published.items()
        for name, expected in files.items()
        if expected in got
    ], count


def _contents(path: Path) -> Iterator[tuple[str | None, Iterator[bytes]]]:
    """A file's bytes, unzipped if they are gzipped; for a NumPy file those of each of its arrays, as an idx file."""
    with path.open("rb") as file:
        head = file.read(8)
    if numpy_files.MAGIC.match(head):
        with path.open("rb") as file:
            yield "", iter([_idx(file.read(hashed_files.FILE_LIMIT), str(path))])
    elif head.startswith(b"PK\x03\x04") and path.suffix.lower() == ".npz":
        yield from _arrays(path)
    else:
        with hashed_files.opened(path, by_content=True) as stream:
            yield None, hashed_files.blocks(stream, str(path))


def _arrays(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist()[:MEMBERS]:
                if member.filename.endswith(".npy") and member.file_size <= hashed_files.FILE_LIMIT:
                    with file.open(member) as stream:
                        raw = stream.read(hashed_files.FILE_LIMIT)
                    with contextlib.suppress(ValueError):  # an array of something else
                        yield member.filename, iter([_idx(raw, f"{path}:{member.filename}")])
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: cannot be read as .npz ({hashed_files.reason(error)})") from None


def _idx(raw: bytes, where: str) -> bytes:
    """The bytes of an .npy file of whole numbers below 256 as an idx file, of images if it divides into some."""
    about = numpy_files.header(raw, where)
    kind, count = numpy_files.WHOLE_NUMBERS.fullmatch(about.kind), about.values
    if kind is None or about.fortran_order or count * int(kind[3]) != len(raw) - about.begin:
        raise ValueError(f"{where}: not an array of whole numbers")
    width = int(kind[3])
    numbers = raw[about.begin + (width - 1 if kind[1] == ">" else 0) :: width]
    pixels = SIDE * SIDE
    if count % pixels == 0 and len(about.shape) > 1:
        return struct.pack(">4B3I", 0, 0, 8, 3, count // pixels, SIDE, SIDE) + numbers
    return struct.pack(">4B1I", 0, 0, 8, 1, count) + numbers
