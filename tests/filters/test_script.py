"""Counting a script's characters in raw bytes agrees with decoding first, whatever the charset."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.charset import decode
from winnow.filters.script import RANGES, UnknownScript, count_script, membership

KOREAN = "한국어로 쓴 문서입니다. 아파치 웹서버는 모든 주소에서 요청을 기다린다."
HANGUL = len(re.findall("[가-힣]", KOREAN))


@pytest.mark.parametrize(
    ("encoding", "header"),
    [
        ("utf-8", None),
        ("utf-8", "euc-kr"),
        ("cp949", "euc-kr"),
        ("cp949", None),
        ("cp949", "utf-8"),
        ("utf-16", None),
        ("utf-16-le", "utf-16"),
        ("utf-32-be", None),
        ("johab", "johab"),
        ("iso2022_kr", None),
    ],
)
def test_every_charset_gives_the_same_count(encoding: str, header: str | None) -> None:
    payload = (f"<html><title>page</title><p>{KOREAN}</p>" * 4).encode(encoding)
    assert count_script(payload, "Hang", header).script == 4 * HANGUL


def test_character_references_count() -> None:
    decimal = "".join(f"&#{ord(char)};" for char in KOREAN)
    hexadecimal = "".join(f"&#x{ord(char):X};" for char in KOREAN)
    assert count_script((decimal + hexadecimal + "&amp;&#;&#x;&#99999999;&#").encode(), "Hang").script == 2 * HANGUL


@pytest.mark.parametrize(
    ("script", "text", "others"),
    [
        ("Hang", "한국어", ["日本語", "ひらがな", "中文", "Ελληνικά"]),
        ("Jpan", "ひらがなカタカナ", ["中文", "한국어"]),
        ("Thai", "ภาษาไทย", ["ລາວ", "English"]),
        ("Hebr", "עברית", ["العربية"]),
        ("Arab", "العربية", ["עברית"]),
        ("Deva", "हिन्दी", ["தமிழ்"]),
        ("Grek", "Ελληνικά", ["русский"]),
        ("Cyrl", "русский", ["Ελληνικά"]),
        ("Hans", "简体中文", ["ひらがな"]),
        ("Hant", "繁體中文", ["ひらがな"]),
    ],
)
def test_scripts_are_data(script: str, text: str, others: list[str]) -> None:
    seen = count_script(text.encode(), script)
    assert (seen.script, seen.ratio) == (len(text), 1.0)
    assert all(count_script(other.encode(), script).script == 0 for other in others)


def test_supplementary_han_counts_for_chinese() -> None:
    assert count_script("𠀀𠮷".encode(), "Hani").script == 2


def test_an_unknown_script_names_the_nearest() -> None:
    with pytest.raises(UnknownScript, match="nearest: 'Hang'"):
        membership("Hangul")


def test_every_range_is_ordered_and_inside_the_table() -> None:
    for script, ranges in RANGES.items():
        assert int(membership(script).sum()) == sum(last - first + 1 for first, last in ranges)


@given(st.text(max_size=300))
def test_utf8_counts_agree_with_decoding(text: str) -> None:
    payload = text.encode("utf-8", "replace")
    plain = html.unescape(re.sub(r"&(?!#)", "", payload.decode()))
    counted = count_script(payload, "Hang")
    if decode(payload).charset == "utf-8" and "&#" not in text:
        expected = sum(1 for char in plain if membership("Hang")[min(ord(char), 0x323FF)])
        assert counted.script == expected
        assert counted.foreign == sum(1 for char in payload.decode() if ord(char) >= 0x80)


@given(st.binary(max_size=5000))
def test_garbage_gives_a_count_not_an_error(payload: bytes) -> None:
    seen = count_script(payload, "Hang", "euc-kr")
    assert 0 <= seen.script <= seen.foreign
    assert 0 <= seen.ratio <= 1


@given(st.integers(0, 200), st.integers(1, 30))
def test_position_within_a_block_does_not_matter(pad: int, repeats: int) -> None:
    payload = b"a" * pad + "가&#44032;b".encode() * repeats
    assert count_script(payload, "Hang").script == 2 * repeats
