"""The header of an array that NumPy stored, read without NumPy. No pickle is ever read."""

from __future__ import annotations

import ast
import math
import re
import struct
from typing import Any, NamedTuple

MAGIC = re.compile(rb"\x93NUMPY([\x01-\x03])\x00")
WHOLE_NUMBERS = re.compile(r"([|<>])([iu])([1248])")
LARGEST_HEADER = 10_000  # bytes


class Header(NamedTuple):
    """What an array is: its shape, the type of its values as NumPy writes it, its order, and where its values begin."""

    shape: tuple[int, ...]
    kind: str
    fortran_order: bool
    begin: int

    @property
    def values(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


def header(raw: bytes, where: str) -> Header:
    """The header at the start of ``raw``. Raises ValueError for what is no .npy file."""
    start = MAGIC.match(raw)
    if start is None or len(raw) < 12:
        raise ValueError(f"{where}: not an .npy file")
    long = start[1] != b"\x01"
    (size,) = struct.unpack_from("<I" if long else "<H", raw, 8)
    begin = (12 if long else 10) + size
    if size > LARGEST_HEADER or begin > len(raw):
        raise ValueError(f"{where}: not an .npy file")
    try:
        about: Any = ast.literal_eval(raw[begin - size : begin].decode("latin-1").strip())
        return Header(tuple(map(int, about["shape"])), str(about["descr"]), bool(about["fortran_order"]), begin)
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        raise ValueError(f"{where}: not an .npy file") from None
