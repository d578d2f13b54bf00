"""Lines of text in a picture: how wide they are; broken at words and clipped to what fits.

ASCII has the widths of the fonts that come along; any other character is taken for as wide as few are, so that what
fits by this, fits.
"""

from __future__ import annotations

from ie_crowd.site.rendering import visible_text

# Hundredths of the size, rounded up, that a character from the space to ~ takes in DejaVu Sans, and in its bold.
PLAIN = (
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84,
    84, 84, 54, 100, 69, 69, 70, 78, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79, 61, 79, 70, 64, 62, 74, 69, 99, 69,
    62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98, 64, 62, 64, 64, 42, 53, 40, 64,
    60, 82, 60, 60, 53, 64, 34, 64, 84,
)  # fmt: skip
BOLD = (
    35, 46, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40, 84,
    84, 84, 59, 100, 78, 77, 74, 84, 69, 69, 83, 84, 38, 38, 78, 64, 100, 84, 86, 74, 86, 78, 73, 69, 82, 78, 111, 78,
    73, 73, 46, 37, 46, 84, 50, 50, 68, 72, 60, 72, 68, 44, 72, 72, 35, 35, 67, 35, 105, 72, 69, 72, 72, 50, 60, 48, 72,
    66, 93, 65, 66, 59, 72, 37, 72, 84,
)  # fmt: skip
OTHERS = 108  # of 95 in 100 of the other characters no wider
LONGEST = 400  # characters of a text that are looked at


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Pixels of a line in that size."""
    known = BOLD if bold else PLAIN
    return sum(known[ord(one) - 32] if 32 <= ord(one) < 127 else OTHERS for one in text) * size / 100


def clipped(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """As much of a text as fits one line, with … where that is not all."""
    return next(iter(lines(text, size, room, 1, bold=bold)), "")


def lines(text: str, size: float, room: float, most: int, *, bold: bool = False) -> list[str]:
    """The text in at most that many lines, the last with … where that is not all; what a reader would not see in it
    is spelled out."""
    words = visible_text.plain(" ".join(text[:LONGEST].split())).split(" ")
    found: list[str] = []
    rest = [word for word in words if word]
    while rest and len(found) < most:
        line = rest.pop(0)
        while rest and width(f"{line} {rest[0]}", size, bold=bold) <= room:
            line = f"{line} {rest.pop(0)}"
        if len(found) == most - 1 and rest:
            line += "…"
        if width(line, size, bold=bold) > room:
            while len(line) > 1 and width(f"{line}…", size, bold=bold) > room:
                line = line[:-1].rstrip("…")
            line += "…"
        found.append(line)
    return found
