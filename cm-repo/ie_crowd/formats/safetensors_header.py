"""The header of a safetensors file, read strictly and with limits, before any program loads the file.

Format: 8 bytes, the length of the header as a little-endian integer; the header, a JSON object of tensor names with
type, shape and place; the tensors' bytes, without gaps. No number of a tensor is read here, and nothing is executed.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from ie_crowd.formats import strict

SUFFIX = ".safetensors"
HEADER = strict.Limits(size=2**20, depth=4, values=60_000, string=2_000)
# Bytes of one number of each type.
TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
TYPES |= {"U64": 8, "U32": 4, "U16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
# What other formats of weights begin with; loading one of these would execute what it holds.
EXECUTABLE = {
    b"PK\x03\x04": "a zip archive, which may hold a pickle",
    b"\x80": "a pickle",
    b"\x93NUMPY": "a NumPy file",
}


def read_header(path: Path, *, within: Path | None = None) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in the safetensors file ``path``.

    Raises ValueError, one line, if it is another format, is cut off, holds more than its header says, or its header
    is beyond the limits.
    """
    name = strict.name_of(path)
    if within is not None:
        strict.refuse_links(path, within)
    with strict.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        for mark, what in EXECUTABLE.items():
            # A pickle's mark is one byte, which a length may begin with too: then the length is what is wrong.
            if start.startswith(mark) and (len(mark) > 1 or int.from_bytes(start, "little") > size):
                raise ValueError(f"{name}: is {what}; expected safetensors, which nothing is executed from")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise ValueError(f"{name}: is cut off, or no safetensors file ({size:,} bytes)")
        if length > HEADER.size:
            raise ValueError(f"{name}: a header of {length:,} bytes, at most {HEADER.size:,} are read")
        header = strict.parse_json(file.read(length), HEADER, name)
    if not isinstance(header, dict):
        raise ValueError(f"{name}: its header is no JSON object")
    header.pop("__metadata__", None)
    places = sorted(_place(name, tensor, entry) for tensor, entry in header.items())
    end = 0
    for begin, stop in places:
        if begin != end:
            raise ValueError(f"{name}: its tensors overlap or leave a gap at byte {end:,}")
        end = stop
    if 8 + length + end != size:
        raise ValueError(f"{name}: holds {size:,} bytes, its header describes {8 + length + end:,}")
    return {tensor: tuple(entry["shape"]) for tensor, entry in header.items()}


def _place(name: str, tensor: str, entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends, if its entry is sound."""
    expected = f"{name}: tensor {tensor!r:.80}: expected dtype, shape and data_offsets that fit together"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(expected)
    shape, offsets = entry["shape"], entry["data_offsets"]
    width = TYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if width is None or not _whole(shape) or not _whole(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise ValueError(expected)
    if offsets[1] - offsets[0] != width * math.prod(shape):
        raise ValueError(expected)
    return offsets[0], offsets[1]


def _whole(values: Any) -> bool:
    """Whether it is a list of whole numbers from 0."""
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
