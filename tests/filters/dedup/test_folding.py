"""Which characters count as the same."""

from __future__ import annotations

import unicodedata

import pytest

from winnow.filters.dedup.minhash import DIGIT, DROP, LIMIT, SPACE, fold_table


def test_every_code_point_folds_as_its_category_says() -> None:
    table = fold_table()
    for point in range(LIMIT):
        char = chr(point)
        category = unicodedata.category(char)
        folded = int(table[point])
        if category == "Nd":
            assert folded == DIGIT
        elif category[0] in "PSZ" or category == "Cc":
            assert folded == SPACE
        elif folded not in (DROP, SPACE, DIGIT):
            assert int(table[folded]) == folded, f"folding U+{point:04X} twice gives another character"
    assert (table[0xAC00:0xD7A4] == range(0xAC00, 0xD7A4)).all()


@pytest.mark.parametrize(
    ("char", "folded"),
    [
        ("A", "a"),
        ("É", "e"),
        ("Σ", "σ"),
        ("ς", "σ"),
        ("Й", "и"),
        ("が", "が"),
        ("한", "한"),
        ("漢", "漢"),
        ("İ", "i"),
        ("Ａ", "ａ"),
    ],
)
def test_letters(char: str, folded: str) -> None:
    assert chr(fold_table()[ord(char)]) == folded


@pytest.mark.parametrize("char", ["\u0301", "\u200b", "\u00ad", "\ufe0f", "\ufeff"])
def test_invisible_characters_vanish(char: str) -> None:
    assert fold_table()[ord(char)] == DROP
