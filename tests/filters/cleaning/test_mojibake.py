"""Mojibake is repaired where the other reading is sound; nothing else changes, and what is lost is counted."""

from __future__ import annotations

import unicodedata
from typing import Any

import polars as pl
import pytest
from ftfy.badness import BADNESS_RE
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.cleaning.korean_mojibake import damaged
from winnow.filters.cleaning.mojibake import compact, mojibake, repaired
from winnow.filters.edits import apply

KOREAN = ["안녕하세요", "오늘(20일) 날씨가 좋네요.", "한국어 문장입니다 - 2024년", "서울시 강남구"]


def cleaned(text: str) -> str:
    return apply(text, mojibake(pl.Series([text])).get(0, []))


@pytest.mark.parametrize(
    "text", [*KOREAN, "voilà, l’été", "Größe", "“quoted” — dash", "日本語の文章です", "Привет, мир"]
)
@pytest.mark.parametrize("read_as", ["latin-1", "sloppy-windows-1252"])
@pytest.mark.parametrize("times", [1, 2])
def test_utf8_read_as_a_latin_encoding(text: str, read_as: str, times: int) -> None:
    garbled = text
    for _ in range(times):
        garbled = garbled.encode().decode(read_as)
    assert cleaned(f"앞줄\n{garbled}\n뒷줄") == f"앞줄\n{text}\n뒷줄"


@pytest.mark.parametrize("text", ["안녕", *KOREAN])
@pytest.mark.parametrize("read_as", ["latin-1", "sloppy-windows-1252"])
def test_euc_kr_read_as_a_latin_encoding(text: str, read_as: str) -> None:
    assert cleaned(text.encode("cp949").decode(read_as)) == text


def test_euc_kr_beside_other_writing_is_read_in_stretches() -> None:
    assert cleaned("日本 ¾È³çÇÏ¼¼¿ä") == "日本 안녕하세요"


@pytest.mark.parametrize("text", ["garçon", "Über uns", "Größe", "le même café naïve", "señor"])
def test_latin_letters_in_utf8_read_as_cp949(text: str) -> None:
    garbled = text.encode().decode("cp949")
    assert garbled != text
    assert cleaned(garbled) == text


@pytest.mark.parametrize("text", ["챗GPT", "my 챗bot", "e책 reader", "gar챌on은 소년", "caf챕", "K책", "gar챌on 챗GPT"])
def test_hangul_beside_latin_letters_stays(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize("text", ["“MANHÃ”", "A IRMÃ”", "`MAÇÃ™`", "AMANHÃ®", "“CAFÉ DA MANHÃ” E “PÃO”"])
def test_marks_after_words_in_capitals_stay(text: str) -> None:
    assert cleaned(text) == text
    assert cleaned("HÃ”TEL, CAFÃ‰") == "HÔTEL, CAFÉ"


def test_utf8_read_as_cp949() -> None:
    assert "고기".encode().decode("cp949") == "怨좉린"
    assert cleaned("怨좉린") == "고기"


@pytest.mark.parametrize(
    "text",
    [
        "ÀÉÈÊ", "°±²³´µ¶·¸¹º»¼½¾", "AÇÃO E REAÇÃO", "¡¿Qué?", "±5 °C, 10 µm², £3 — “ok”", "李 대통령과 源泉", "naïve café",
        "Ünïcödé ÄÖÜ", "한국어 · 日本語 · Ελληνικά · кириллица", "│ 표 │ 값 │", "ㅋㅋㅋ ^^ ♥ ★ ※ → ①", "😀👨‍👩‍👧 ❤️",
    ],
)  # fmt: skip
def test_sound_text_stays(text: str) -> None:
    assert cleaned(text) == text


def test_what_is_lost_is_counted_and_left() -> None:
    texts = ["?占쏙옙占쏙옙", "?덈뀞?섏꽭??", "맑은 하늘?", "\ufffd\ufffd a", "안녕하세요? 뷁", ""]
    assert damaged(pl.Series(texts)).to_list() == [6, 6, 0, 2, 0, 0]
    assert [cleaned(text) for text in texts] == texts
    assert damaged(pl.Series([], dtype=pl.String)).to_list() == []


def test_the_pattern_without_its_layout_finds_what_ftfy_finds() -> None:
    parts = ["Ã©", "â€™", "a b", "é€", "Â ", "ÃÂ°", "вЂ", "# x", "[", "ВРВ", "\x85", "┤Ç", "Œ ", "ØØ"]
    texts = [first + second for first in parts for second in parts]
    found = pl.Series(texts).str.contains(compact(BADNESS_RE.pattern)).to_list()
    assert found == [BADNESS_RE.search(text) is not None for text in texts]


def test_the_pattern_finds_what_ftfy_finds_on_real_pages_and_korean_gold_text_stays(
    crawl_truth: list[dict[str, Any]],
) -> None:
    rows = [row for row in crawl_truth if row.get("gold_text")]
    texts = pl.Series([row["gold_text"][:20_000] for row in rows])
    found = texts.str.contains(compact(BADNESS_RE.pattern)).to_list()
    assert found == [BADNESS_RE.search(text) is not None for text in texts]
    changed = mojibake(texts)
    assert not [row for row in changed if rows[row].get("lang") == "ko"]
    assert len(changed) < 0.02 * len(rows)


@settings(max_examples=300)
@given(st.text(st.sampled_from("ÃÂâ€™é¾È³çÇÏì•ˆë…•占쏙옙怨좉린?a \n\x85\u00a0가"), max_size=20))
def test_repairing_twice_is_repairing_once_and_texts_stay_nfc(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    once = cleaned(text)
    assert cleaned(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once.count("\n") == text.count("\n")
    assert repaired(text.replace("\n", "")) is not None
