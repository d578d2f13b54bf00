"""Names that look alike have one skeleton, by Unicode's table; names that do not have two."""

import pytest

pytest.importorskip("confusable_homoglyphs")
from ie_crowd.formats.usernames import skeleton


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("Ada", "ᴀᴅᴀ"),
        ("Ada", "Аda"),
        ("Ada", "ꭺda"),
        ("Ada", "ΑDA"),
        ("Ada", "𝐀𝐝𝐚"),
        ("Ada", "Áda"),
        ("Ada", "A-d a"),
        ("Nora", "ɴoʀa"),
        ("Faye", "ꜰᴀʏᴇ"),
        ("Solo", "S0l0"),
        ("Paul", "PauI"),
        ("Paul", "Pau1"),
        ("Bernd", "Bemd"),
        ("Walt", "VValt"),
        ("Rae", "Ꮢae"),
        ("Bob", "Вов"),
        ("Ada", "ᎪᎠᎪ"),
        ("Соня", "СОНЯ"),
    ],
)
def test_what_looks_alike(name, like):
    assert skeleton(name) == skeleton(like)


def test_what_does_not():
    names = "Ada Bob Cyd Tea Zea Rea Uea Yea Nora Vora Faye Saye Kim Tim Иван Соня 李雷 नमस्ते Zoë Eve 5ara 7ara".split()
    assert len({skeleton(name) for name in names}) == len(names)


def test_every_small_letter_is_itself():
    letters = "abcdefghjklmnopqrstuvwxyz"  # i and l are one shape
    assert [skeleton(letter) for letter in letters] == list(letters)
    assert skeleton("i") == "l"
