"""The lines that a classifier sees."""

from __future__ import annotations

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
