"""Names that people choose: which are refused, and what a name looks like to a reader.

Two names with one skeleton are taken for the same at a glance: ``Ada`` with a Cyrillic А, in capitals, or with a zero
for an o. After the idea of Unicode's UTS 39, with the letters that matter here instead of its full table.
"""

from __future__ import annotations

import itertools
import unicodedata

LONGEST = 80
LONGEST_SKELETON = 400
# Letters of other scripts, in lower case, each before the Latin letter (or a part of one) that it looks like.
_PAIRS = (
    "аa вb еe іi кk мm нh оo рp сc тt уy хx ѕs јj ԁd һh ԛq ԝw ьb ӏl αa βb εe ηn ιi κk νv οo ρp τt υu χx ωw ϲc 0o 1l ıi"
)
_LOOKS_LIKE = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})
_TOGETHER = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"))


def skeleton(name: str) -> str:
    """What ``name`` looks like: without case, accents, spaces and punctuation, look-alike letters made one."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = "".join(character for character in folded if unicodedata.category(character)[0] in "LN")
    return letters.translate(_LOOKS_LIKE)[:LONGEST_SKELETON] or folded[:LONGEST_SKELETON]


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
