"""Widths and invisible characters: what goes, what is part of how a script or an emoji is written, and NFC always."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.cleaning.characters import Width, characters
from winnow.filters.edits import apply


def cleaned(text: str, width: Width = "ascii") -> str:
    return apply(text, characters(width)(pl.Series([text])).get(0, []))


@pytest.mark.parametrize(
    ("width", "expected"),
    [("keep", "ＡＢ１２！（주）　ｶﾞｷﾞ｡￦10³"), ("cjk", "AB12！（주）　ガギ。￦10³"), ("ascii", "AB12!(주) ガギ。₩10³")],
)
def test_width_policies(width: Width, expected: str) -> None:
    assert cleaned("ＡＢ１２！（주）　ｶﾞｷﾞ｡￦10³", width) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("제\u200b로\u200b폭", "제로폭"),
        ("\ufeff머리", "머리"),
        ("soft\u00adhyphen", "softhyphen"),
        ("a\x00b\x07c\x7f\x9b", "abc"),
        ("한 줄\r\n두 줄\r세 줄\u2028네 줄\x0c다섯", "한 줄\n두 줄\n세 줄\n네 줄\n다섯"),
        ("a\x1fb\tc", "a b\tc"),
        ("left\u200eto\u202aright\u202c", "lefttoright"),
        ("\ufffd\ue000", "\ufffd\ue000"),
        ("one\x85two\r\x85three\u2029four\x0bfive", "one\ntwo\nthree\nfour\nfive"),
        ("latin\u180eletters \u180e", "latinletters "),
    ],
)
def test_what_nobody_sees_goes(text: str, expected: str) -> None:
    assert cleaned(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "👨‍👩‍👧‍👦 ❤️‍🔥 🏳️‍🌈 👩🏽‍💻",
        "می\u200cخواهم",
        "क्\u200dष क्\u200cष",
        "ශ්\u200dරී",
        "ភាសា\u200bខ្មែរ",
        "العربية\u200f (abc)\u200f",
        "ᠬᠠᠭᠠᠨ\u180eᠠ ᠮᠣᠩᠭᠣᠯ\u202fᠤᠨ ᠨ\u180bᠠ",
        "ꦏ꧀\u200cꦏ 𞤀\u200c𞤁",
        "أ\u061c1 שלו\u034fם ☎\ufe0e 葛\U000e0100",
        "\ufff9漢字\ufffaかんじ\ufffb",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_what_is_part_of_the_writing_stays(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mERROR\x1b[0m: \x1b[1;38;5;208mhot\x1b[m \x1b[2K\x1b[10;5Hdone", "ERROR: hot done"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]0;me@host: ~\x07$ ls \x1b]8;;https://a.example/\x1b\\link\x1b]8;;\x1b\\", "$ ls link"),
        ("\x1bPq#0;2;0;0;0\x1b\\drawn\x1b(B\x1b7\x1b>", "drawn"),
        ("cut off \x1b[3", "cut off "),
        ("stray \x1bHello", "stray Hello"),
        ("N\bNA\bAM\bME\bE  _\bf_\bi_\bl_\be  가\b\b가", "NAME  file  가"),
        ("10%\b\b\b99%\nabc\b \bd\bd\n\bx\b", "99%\nabd\nx"),
        ("caf\x1b[1me\u0301", "café"),
        ("spelled out: \\033[31m, \\e[0m, ^[[0m, [31m", "spelled out: \\033[31m, \\e[0m, ^[[0m, [31m"),
    ],
)
def test_what_terminals_act_on_goes_as_a_whole(text: str, expected: str) -> None:
    assert cleaned(text) == expected
    assert cleaned(expected) == expected


def test_characters_that_come_to_be_neighbours_compose() -> None:
    assert cleaned("cafe\u200b\u0301 \u1100\u200b\u1161 ｶ\u200bﾞ") == "café 가 ガ"


ALPHABET = "aé가ᄀ\u1161\u0301क्می👨❤ｶﾞＡ　\u200b\u200c\u200d\ufe0f\u200e\u202a\r\n\x00\x1f\x85\u2028\u00ad\ufeffภา\x1b[]0m\x07\b\x9b"


@settings(max_examples=500)
@given(st.text(st.sampled_from(ALPHABET), max_size=15), st.sampled_from(["keep", "cjk", "ascii"]))
def test_twice_is_once_and_texts_stay_nfc(text: str, width: Width) -> None:
    text = unicodedata.normalize("NFC", text)
    once = cleaned(text, width)
    assert unicodedata.is_normalized("NFC", once)
    assert cleaned(once, width) == once
