"""User names: which are refused, and the skeleton that confusables (names that look alike) share.

Two names with one skeleton are taken for the same at a glance: ``Ada`` with a Cyrillic А, in capitals, in small
capitals, or with a zero for an o. Which characters look alike is Unicode's table (UTS 39), from confusable-homoglyphs;
it comes with the extra `site`, for only a store compares names.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 80
LONGEST_SKELETON = 400
FURTHEST = (
    3  # characters from one to the Latin letter that it looks like: a look-alike, or its other case, and that one's
)
# What is one shape in most typefaces, after everything is in small letters.
_SHAPES = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})
_PAIRS = (("rn", "m"), ("vv", "w"))
_SMALL_CAPITAL = re.compile(r"LATIN LETTER SMALL CAPITAL ([A-Z])")
_TOGETHER = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"))


def skeleton(name: str) -> str:
    """What ``name`` looks like: without case, accents, spaces and punctuation, look-alike letters made one."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = "".join(character for character in folded if unicodedata.category(character)[0] in "LN")
    shape = "".join(map(_looks_like, letters)).translate(_SHAPES)
    for two, one in _PAIRS:
        shape = shape.replace(two, one)
    return shape[:LONGEST_SKELETON] or folded[:LONGEST_SKELETON]


@functools.lru_cache(maxsize=20_000)
def _looks_like(character: str) -> str:
    """The small Latin letter or the digit that a character is nearest to by Unicode's table, else the one of its group
    that all the others of the group are told to look like."""
    if character.isascii():
        return character
    near = [character]
    for _ in range(FURTHEST):
        for one in near:
            capital = _SMALL_CAPITAL.fullmatch(unicodedata.name(one, ""))  # the table takes these for themselves
            if capital or (one.isascii() and one.isalnum()):
                return capital[1].lower() if capital else one.lower()
        forms = [(*_alike(one), one.casefold(), one.upper()) for one in near]
        near = list(dict.fromkeys(form for some in forms for form in some if len(form) == 1))
    others = _alike(character)
    return others[0] if len(others) == 1 else character


@functools.lru_cache(maxsize=20_000)
def _alike(character: str) -> tuple[str, ...]:
    from confusable_homoglyphs import confusables

    rows: Iterable[dict[str, str]] = confusables.confusables_data.get(character, ())
    plain = ("".join(one for one in row["c"] if unicodedata.category(one) != "Cf") for row in rows)
    return tuple(one for one in plain if len(one) == 1)


def problem(name: str) -> str | None:
    """Why a name cannot be chosen, in a few words; None if it can."""
    if not 1 <= len(name) <= LONGEST:
        return f"is {len(name)} characters long, expected 1 to {LONGEST}"
    if name != " ".join(name.split()):
        return "begins or ends with a space, or holds two in a row"
    if unicodedata.normalize("NFKC", name) != name:
        return "holds letters that are drawn as others (write it in plain letters)"
    if any(character in '<>&"`\\' for character in name):
        return 'holds one of < > & " ` \\'
    categories = [unicodedata.category(character) for character in name]
    if any(category[0] == "C" or category in ("Zl", "Zp") for category in categories):
        return "holds a character that is not shown, or that turns the direction of the text"
    if any(pair == ("Mn", "Mn") for pair in itertools.pairwise(categories)):
        return "holds marks that are piled up"
    if not any(category[0] in "LN" for category in categories):
        return "holds no letter or digit"
    scripts = {_script(character) for character in name if unicodedata.category(character)[0] == "L"}
    if len(scripts - _TOGETHER) > 1 or (scripts & _TOGETHER and scripts - _TOGETHER - {"LATIN"}):
        return f"mixes scripts ({', '.join(sorted(script.lower() for script in scripts))})"
    return None


def _script(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").split()[0]
