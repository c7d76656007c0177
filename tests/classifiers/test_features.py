"""The lines that a classifier sees."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from winnow.classifiers.features import PLAIN, Features, normalize, top_count, windows

RICH = Features(window=7, chars=300)


@given(st.text())
def test_a_line_holds_no_newline_nor_what_fasttext_treats_specially(text: str) -> None:
    for features in (PLAIN, RICH):
        line = normalize(text, features)
        assert line == " ".join(line.split())
        assert "\0" not in line
        assert "</s>" not in line.split(" ")
        assert not any(word.startswith("__label__") for word in line.split(" "))


@given(st.text())
def test_windows_hold_every_word_once_in_order(text: str) -> None:
    whole = " ".join(normalize(line, RICH) for line in text[:300].splitlines())
    assert " ".join(windows(text, RICH)).split() == whole.split()
    assert all(1 <= len(line.split(" ")) <= 7 for line in windows(text, RICH))


def test_numbers_addresses_and_decomposed_hangul() -> None:
    line = normalize("한글 2024년, https://example.com/a?b=1 로 ㅋㅋㅋㅋㅋ ABC", Features())
    assert line == "한글 0000년 , addr 로 ㅋㅋ abc" or line == "한글 00년 , addr 로 ㅋㅋ abc"


def test_short_lines_are_gathered_and_long_lines_stay_apart() -> None:
    text = "하나 둘\n셋\n" + " ".join("가나다라마바사") + "\n" + "끝 말"
    assert windows(text, Features(window=7)) == ["하나 둘 셋", "가 나 다 라 마 바 사", "끝 말"]


def test_top_count_is_at_least_one_window() -> None:
    assert [top_count(n, 0.1) for n in (1, 10, 11, 100)] == [1, 1, 2, 10]


def by_translation(text: str, features: Features) -> str:
    """`normalize` written with `str.translate` and a regular expression: what models were first fitted with."""
    table = {code: "0" for code in range(0x3100) if unicodedata.category(chr(code)) == "Nd"} if features.mask else {}
    if features.punctuation:
        wide = (*range(0xFF01, 0xFF10), *range(0xFF1A, 0xFF21), 0x30FB)
        marks = (code for code in range(0x3100) if unicodedata.category(chr(code))[0] in "PS")
        table |= {code: f" {chr(code)} " for code in (*marks, *wide)}
    text = unicodedata.normalize("NFC", text)
    if features.mask:
        text = re.sub(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+", " addr ", text, flags=re.IGNORECASE)
    text = text.lower() if features.lower else text
    text = re.sub(r"(\S)\1{2,}", r"\1\1", text) if features.squeeze else text
    text = text.translate(table)
    return " ".join(text.replace("__label__", "label ").replace("</s>", " s ").replace("\0", " ").split())


PIECES = st.sampled_from(
    ["한글 ", "ㅋ", "ㅋㅋㅋ", "!!!!", " . ", "\n\n\n", "\u2028", "１２", "0", "Aǅİ", "😀😀😀", "www.x.y ", "a@b.c"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)), st.booleans(), st.booleans(), st.booleans())
def test_lines_are_those_of_the_plain_formulation(text: str, mask: bool, punctuation: bool, squeeze: bool) -> None:
    features = Features(mask=mask, punctuation=punctuation, squeeze=squeeze)
    assert normalize(text, features) == by_translation(text, features)
