"""PNG pictures of a results folder, checked and put into a page as data URIs.

The pictures may come from anyone: only what is a PNG by its structure is embedded, without its texts, times and EXIF
(which may name people and places), and within limits of bytes and pixels.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_PICTURES = 16
MOST_BYTES = 2 * 2**20  # of one picture
MOST_BYTES_IN_ALL = 8 * 2**20
MOST_PIXELS = 40_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset([b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"bKGD"])


@dataclass(frozen=True)
class Picture:
    """One picture: its path in the folder, its name as words, its size in pixels and its content as a data URI."""

    path: str
    title: str
    width: int
    height: int
    uri: str


@dataclass
class Pictures:
    """The pictures that can be shown, and one line for each that cannot."""

    shown: list[Picture] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(source: Callable[[str, int], bytes], files: Iterable[Mapping[str, Any]]) -> Pictures:
    """The pictures below figures/ among the ``files`` of a result. ``source``: as for ``metrics_jsonl.read``."""
    found, total = Pictures(), 0
    paths = [file["path"] for file in files if file["path"].startswith("figures/")]
    for path in paths:
        if not path.endswith(".png"):
            continue
        try:
            content = source(path, MOST_BYTES)
            width, height, content = clean(content, path)
        except ValueError as error:
            found.problems.append(str(error))
            continue
        total += len(content)
        if len(found.shown) == MOST_PICTURES or total > MOST_BYTES_IN_ALL:
            found.problems.append(f"{path} and later pictures: too many or too large to be shown in one page")
            break
        uri = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
        found.shown.append(Picture(path, _title(path), width, height, uri))
    return found


def clean(content: bytes, name: str = "picture") -> tuple[int, int, bytes]:
    """Width, height and bytes of a PNG without its ancillary texts.

    Raises ValueError for what is no PNG by signature, chunks, checksums and header, or has more than 40 million pixels.
    The pixels themselves are left for the viewer to unpack.
    """
    if not content.startswith(_SIGNATURE):
        raise ValueError(f"{name}: is not a PNG picture")
    kept, at, size, kind = [_SIGNATURE], len(_SIGNATURE), (0, 0), b""
    while kind != b"IEND":
        if at + 12 > len(content):
            raise ValueError(f"{name}: the PNG is cut off")
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if length > MOST_BYTES or end > len(content):
            raise ValueError(f"{name}: the PNG is cut off")
        if zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise ValueError(f"{name}: the PNG is damaged (a checksum is wrong)")
        if (kind == b"IHDR") != (at == len(_SIGNATURE)) or (kind == b"IHDR" and length != 13):
            raise ValueError(f"{name}: the PNG does not begin with one header")
        if kind == b"IHDR":
            size = struct.unpack_from(">II", content, at + 8)
        if kind in _KEPT:
            kept.append(content[at:end])
        at = end
    if not 0 < size[0] * size[1] <= MOST_PIXELS or max(size) > 20_000:
        raise ValueError(f"{name}: {size[0]} × {size[1]} pixels, at most {MOST_PIXELS:,} are shown")
    return size[0], size[1], b"".join(kept)


def _title(path: str) -> str:
    words = re.sub(r"[-_.]+", " ", path.rpartition("/")[2].removesuffix(".png")).strip()
    return words[:1].upper() + words[1:]
