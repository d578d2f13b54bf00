"""SVG to PNG, for charts as files and for the pictures that other sites show of a page.

By resvg, which reads no script, draws in milliseconds and comes as a wheel for every system; without it there are no
PNGs. Fonts come along, so a picture is the same on every machine. What is drawn may hold only the elements of our own
drawings: nothing that refers to a file or an address.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import threading
from collections import OrderedDict
from pathlib import Path

FONTS = [str(path) for path in sorted((Path(__file__).parents[1] / "assets" / "fonts").glob("*.ttf"))]
LARGEST, MOST_PIXELS = 2**20, 2**23  # bytes of a drawing; pixels of a picture
KEPT_BYTES = 8 * 2**20
WAIT_SECONDS = 3.0  # for the picture that another reader is waiting for
ELEMENTS = frozenset("svg title desc style rect g path line circle polyline text".split())
ATTRIBUTES = frozenset(
    "xmlns class role id x y x1 x2 y1 y2 dy cx cy r rx d points width height viewBox transform fill stroke stroke-width"
    " stroke-dasharray font-family font-size font-weight text-anchor aria-labelledby aria-hidden".split()
)
_TAG = re.compile(r'</?([A-Za-z]+)((?: [A-Za-z0-9-]+="[^"<>]*")*)/?>')
_ATTRIBUTE = re.compile(r' ([A-Za-z0-9-]+)="([^"]*)"')
_ELSEWHERE = re.compile(r"url\(|@import|expression", re.IGNORECASE)
_OUTER = re.compile(r'<svg xmlns="[^"]*" width="([0-9]{1,5})" height="([0-9]{1,5})"')
_one = threading.Lock()  # one picture at a time: drawing takes a processor
_guard = threading.Lock()
_kept: OrderedDict[str, bytes] = OrderedDict()


class Busy(Exception):
    """Other pictures are being drawn."""


@functools.cache
def available() -> bool:
    """Whether PNGs can be drawn here."""
    return importlib.util.find_spec("resvg_py") is not None and bool(FONTS)


def check(svg: str) -> None:
    """Raise ValueError unless the drawing holds only what our own drawings are made of, and is not too large."""
    if len(svg) > LARGEST:
        raise ValueError(f"a drawing of {len(svg):,} characters; at most {LARGEST:,} are drawn")
    place = 0
    while (place := svg.find("<", place)) >= 0:
        tag = _TAG.match(svg, place)
        if tag is None or tag[1] not in ELEMENTS:
            raise ValueError(f"a drawing holds {svg[place : place + 40]!r}")
        for name, value in _ATTRIBUTE.findall(tag[2]):
            if name not in ATTRIBUTES or _ELSEWHERE.search(value):
                raise ValueError(f"a drawing holds {name}={value[:40]!r}")
        if tag[1] == "style" and _ELSEWHERE.search(svg[tag.end() : svg.index("<", tag.end())]):
            raise ValueError("a style sheet refers to something else")
        place = tag.end()


def draw(svg: str, scale: int = 1) -> bytes:
    """The picture of a whole SVG file, ``scale`` pixels for each of its own; kept, so that it is drawn once.

    Raises ValueError for what is not one of our drawings, Busy where others have to be drawn first.
    """
    key = f"{scale}{hashlib.sha256(svg.encode()).hexdigest()}"
    with _guard:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    check(svg)
    size = _OUTER.match(svg)
    if size is None or int(size[1]) * int(size[2]) * scale**2 > MOST_PIXELS:
        raise ValueError("a drawing without a size, or too large a one")
    if not _one.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        import resvg_py

        content = resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=float(scale),
            skip_system_fonts=True,
            font_files=FONTS,
            font_family="DejaVu Sans",
            sans_serif_family="DejaVu Sans",
        )
    finally:
        _one.release()
    with _guard:
        _kept[key] = content
        while sum(map(len, _kept.values())) > KEPT_BYTES and len(_kept) > 1:
            _kept.popitem(last=False)
    return content
