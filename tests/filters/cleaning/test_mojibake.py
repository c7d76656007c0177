"""Mojibake is repaired where the other reading is sound; nothing else changes, and what is lost is counted."""

from __future__ import annotations

import unicodedata
from typing import Any

import polars as pl
import pytest
from ftfy.badness import BADNESS_RE
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.cleaning.mojibake import compact, damaged, mojibake, repaired
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


MEANT = [
    "assert fix('GrÃ¶ÃŸe') == 'Größe'",
    "name = name.replace('Ã¼', 'ü').replace('Ã¶', 'ö')",
    'FIXES = {"â€œ": "“", "â€™": "’"}',
    "A page that says naÃ¯ve where it should say naïve was decoded by somebody who guessed.",
    "Wherever “ was typed, the visitors see â€œ now.",
    "Then â€™ stands where an apostrophe was, because the bytes were read as Windows-1252.",
    "The euro sign € comes out as â‚¬.",
    "`Ã±` is what two bytes look like.",
    "| letter | bytes | shown |\n| --- | --- | --- |\n| ä | C3 A4 | Ã¤ |\n| ß | C3 9F | ÃŸ |",
    "ä\tÃ¤\nß\tÃŸ",
    "é\nÃ©\nè\nÃ¨",
    "Wanted:\n\nMünchen\n\nGot:\n\nMÃ¼nchen",
    "Typical mojibake: GarÃ§on, SeÃ±or.",
    "GarÃ§on and SeÃ±or are UTF-8 that a program took for Latin-1.",
    "'고기'를 UTF-8로 쓰고 CP949로 읽으면 '怨좉린'가 된다.",
    "인코딩을 잘못 고르면 怨좉린 같은 말이 나온다.",
    "글자가 이렇게 깨져 보입니다.\nì•ˆë…•í•˜ì„¸ìš”",
    "‘안녕하세요’가 ‘¾È³çÇÏ¼¼¿ä’로 보이는 까닭을 알아보자.",
    "文字化けの例：\nã“ã‚“ã«ã¡ã¯",
    "Aus Größe wird GrÃ¶ÃŸe, wenn die Kodierung nicht stimmt.",
    "Si « été » devient « Ã©tÃ© », l'encodage est faux.",
    "Вместо «мир» видно «Ð¼Ð¸Ñ€».",
]


@pytest.mark.parametrize("text", MEANT)
def test_text_about_mojibake_stays(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Weâ€™re moving to UTF-8 â€“ at last.\nItâ€™s late, but donâ€™t worry.", "We’re moving to UTF-8 – at last.\nIt’s late, but don’t worry."),
        ("â€¢ one\nâ€¢ two", "• one\n• two"),
        ("| a | â€“ |\n| b | â€“ |", "| a | – |\n| b | – |"),
        ("Il habite Ã  Paris, prÃ¨s de la gare.", "Il habite à Paris, près de la gare."),
        ("Â«NosÂ» mots et Â«vosÂ» mots", "«Nos» mots et «vos» mots"),
        ("Das «Café» ist offen, das Â«GasthausÂ» nicht.", "Das «Café» ist offen, das «Gasthaus» nicht."),
        ("This line is sound.\nThis one isnâ€™t.", "This line is sound.\nThis one isn’t."),
        ("20Â° und 30Â°, 5Âº und 6Âº", "20° und 30°, 5º und 6º"),
    ],
)  # fmt: skip
def test_real_damage_is_repaired_whatever_it_is_about(text: str, expected: str) -> None:
    assert cleaned(text) == expected


def test_pages_that_were_read_wrongly_are_repaired_whatever_they_speak_of() -> None:
    page = (
        "L'encodage des caractères est une vieille affaire.\nUTF-8 est né à un dîner.\nOn écrit « é » sur deux octets.\n"
        "Les élèves l'ont appris à l'école.\nCela coûte peu — voilà tout."
    )
    for read_as in ("latin-1", "sloppy-windows-1252"):
        assert cleaned("\n".join(line.encode().decode(read_as) for line in page.split("\n"))) == page


@pytest.mark.parametrize("end", ["\x85", "\r\x85", "\r", "\r\n", "\u2028", "\u2029", "\x0b", "\x0c"])
def test_ends_of_lines_are_no_damage(end: str) -> None:
    lines = ["첫째 줄은 길다.", "Le café est là", "« voilà »", "끝"]
    assert cleaned(end.join(lines)) == end.join(lines)
    garbled = "Größe, Öl".encode().decode("latin-1")
    assert cleaned(end.join([*lines, garbled, "Ende"])) == end.join([*lines, "Größe, Öl", "Ende"])


def test_the_byte_85_is_no_end_of_a_line() -> None:
    assert cleaned("Åland, Århus".encode().decode("latin-1")) == "Åland, Århus"
    assert cleaned("He said \x93wait\x85\x94") == "He said “wait…”"
    assert cleaned("Ãˆ\x85") == "Ãˆ\x85"
    korean = "셅은 드물고 안녕은 흔하다".encode().decode("latin-1")
    assert cleaned(f"{korean}\x85{korean}") == "셅은 드물고 안녕은 흔하다\x85셅은 드물고 안녕은 흔하다"


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
