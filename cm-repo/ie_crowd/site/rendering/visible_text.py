"""Spell out invisible and direction-changing characters in texts that people wrote; link their addresses."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

# An address that may be clicked: http or https, a whole host in ASCII with no name in front of it, then a path.
_ADDRESS = re.compile(
    r"(?<!\w)https?://(?=[A-Za-z0-9])[A-Za-z0-9.-]{1,253}+(?::[0-9]{1,5})?+(?![\w@:%\\])"
    r"(?:[/?#][A-Za-z0-9/?#._~:@!$&*+,;=%()-]{0,2000}+)?"
)
_ENDS = ".,;:!?)"  # belong to the sentence around an address, not to it
_JOINERS = ("\u200c", "\u200d")  # ZWNJ and ZWJ: Persian, the scripts of India and emoji are written with them


def plain(text: str) -> str:
    """``text`` with every invisible or direction-turning character as ⟨U+200B⟩; joiners stay where they join.

    Line breaks stay, too. The result is still to be escaped.
    """
    return "".join(
        one if one == "\n" or _seen(text, index) else f"⟨U+{ord(one):04X}⟩" for index, one in enumerate(text)
    )


def linked(text: str) -> Markup:
    """``plain`` of the text, escaped, with addresses as links that say where they lead and lend it no weight."""
    shown, parts, done = plain(text), [], 0
    for match in _ADDRESS.finditer(shown):
        address = match[0]
        while address[-1] in _ENDS and not (address[-1] == ")" and address.count("(") >= address.count(")")):
            address = address[:-1]
        parts.append(escape(shown[done : match.start()]))
        parts.append(Markup('<a href="{0}" rel="nofollow ugc noopener noreferrer">{0}</a>').format(address))
        done = match.start() + len(address)
    return Markup("").join([*parts, escape(shown[done:])])


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
