"""Text that people wrote, shown as it is: what a reader would not see in it is spelled out."""

from __future__ import annotations

import unicodedata

_JOINERS = ("\u200c", "\u200d")  # ZWNJ and ZWJ: Persian, the scripts of India and emoji are written with them


def plain(text: str) -> str:
    """``text`` with every invisible or direction-turning character as ⟨U+200B⟩; joiners stay where they join.

    Line breaks stay, too. The result is still to be escaped.
    """
    return "".join(
        one if one == "\n" or _seen(text, index) else f"⟨U+{ord(one):04X}⟩" for index, one in enumerate(text)
    )


def _seen(text: str, index: int) -> bool:
    one = text[index]
    if one in _JOINERS:
        around = text[max(index - 1, 0) : index] + text[index + 1 : index + 2]
        return len(around) == 2 and all(_joins(other) for other in around)
    if one in ("\u00ad", "\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\u2800"):
        return False  # drawn as nothing, whatever their category says
    category = unicodedata.category(one)
    return not (category[0] == "C" or category in ("Zl", "Zp"))


def _joins(one: str) -> bool:
    category = unicodedata.category(one)
    return not one.isascii() and (category[0] in "LM" or category in ("So", "Sk"))
