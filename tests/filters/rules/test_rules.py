"""The measures against datatrove's functions on real text, and properties that hold for any text."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.rules import phrases, url_shape
from winnow.filters.rules.table import GROUPS, MEASURES, measure
from winnow.filters.words import decode, split, split_at

KO, EN = language_pack("ko"), language_pack("en")
JA = language_pack("ja").model_copy(update={"word_unit": "character"})

UNITS = ["whitespace", "character", "segment"] + ["morpheme"] * bool(importlib.util.find_spec("kiwipiepy"))

_spec = importlib.util.spec_from_file_location("reference_rules", Path(__file__).with_name("reference_rules.py"))
assert _spec is not None and _spec.loader is not None
_reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_reference)


def rows(*texts, pack=KO, unit=None):
    return measure(pa.array(texts, pa.large_string()), pack, unit).to_pylist()


def crawl(truth, language):
    return [
        unicodedata.normalize("NFC", page["gold_text"])
        for page in truth
        if page.get("lang") == language and (page.get("gold_text") or "").strip()
    ]


def compare(texts, pack):
    for text, row in zip(texts, rows(*texts, pack=pack), strict=True):
        wanted = _reference.reference(text, pack.stop_words)
        assert {name: row[name] for name in wanted} == pytest.approx(wanted, rel=1e-6, abs=1e-9), text[:200]


def test_equals_datatrove_on_korean_pages_and_comments(data, crawl_truth):
    with gzip.open(data / "ko-sentiment-nsmc" / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        comments = [json.loads(next(lines))["text"] for _ in range(2000)]
    compare(crawl(crawl_truth, "ko") + ["\n".join(comments[i : i + 10]) for i in range(0, 2000, 10)], KO)


def test_equals_datatrove_on_english_pages(crawl_truth):
    compare(crawl(crawl_truth, "en")[:150], EN)


def test_deliberate_differences_from_datatrove_are_small_on_prose(crawl_truth):
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION

    pages = crawl(crawl_truth, "ko")
    for text, row in zip(pages, rows(*pages), strict=True):
        words = text.split()
        theirs = sum(any(c not in PUNCTUATION_SET for c in word) for word in words)
        assert abs(row["word_count"] - theirs) <= 1 + 0.15 * len(words)
        lines = [line for line in text.split("\n") if line.strip()]
        ended = sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines) / len(lines)
        assert row["line_punctuation"] - ended + 1e-6 >= 0


@settings(max_examples=150)
@given(st.text(st.sampled_from("가나다 은는ab A.#…•-\n\n"), min_size=1, max_size=120).filter(str.strip))
def test_equals_the_reference_on_texts_that_repeat(text):
    compare([text], KO)


ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=80),
    st.text(
        st.sampled_from(
            "가각ㄱㅋㅏ\u1100\u1161\u11a8한\u00a0\u3000\u200b👍🏽👨‍👩‍👧\ufe0f\n\r\t .!?。日本語ひらカナ\U0001f600\U000e0041\u0301\x00"
        )
    ),
    st.text(st.sampled_from("\n \t"), max_size=10),
    st.text(max_size=40).map(lambda text: unicodedata.normalize("NFD", text.encode("utf-8", "ignore").decode())),
)


def sound(row):
    for m in MEASURES:
        value = row[m.name]
        if m in url_shape.MEASURES:
            assert value is None
            continue
        assert np.isfinite(value) and value >= 0, m.name
        assert m.unit != "share" or value <= 1, m.name


@settings(max_examples=80)
@given(st.lists(ANY_TEXT, max_size=6), st.sampled_from(UNITS))
def test_any_text_gives_finite_values_in_range(texts, unit):
    for row in rows(*texts, unit=unit):
        sound(row)


@settings(max_examples=100)
@given(st.lists(ANY_TEXT, min_size=1, max_size=8), st.integers(0, 8), st.sampled_from(UNITS), st.randoms())
def test_a_row_depends_on_its_own_text_alone(texts, cut, unit, random):
    column = pa.array(texts, pa.large_string())
    whole = rows(*texts, unit=unit)
    parts = [measure(piece, KO, unit) for piece in (column.slice(0, cut), column.slice(cut))]
    assert pa.Table.from_batches(parts).combine_chunks().to_pylist() == whole
    order = random.sample(range(len(texts)), len(texts))
    assert rows(*(texts[at] for at in order), unit=unit) == [whole[at] for at in order]


def raw(*texts):
    """A column of bytes that Arrow has not looked at."""
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(texts))]
    return pa.LargeStringArray.from_buffers(len(texts), buffers[1], buffers[2])


ODD = {
    "empty": b"",
    "one line": "가나다라 마바사. ".encode() * 2_000,
    "emoji": "👍🏽👨‍👩‍👧❤️🇰🇷 ".encode() * 50,
    "emoji alone": "👍🏽".encode(),
    "surrogates": "가 ".encode() + b"\xed\xa0\x80 \xed\xb0\x80" + " 나".encode(),
    "surrogates alone": b"\xed\xa0\x80",
    "broken": b"\xff\xfe abc \xf0\x9f \xe3\x81 \x80\x80 \xc3",
    "NUL": b"\x00\x00 a\x00b \x00",
    "right to left": "שלום עולם. مرحبا بالعالم؟ \u202eabc\u202c".encode(),
    "line breaks": b"\r\n\r\n\x0b\x0c\xe2\x80\xa8",
    "marks": "\u0301\u0308\ufe0f\u200d".encode(),
}


@pytest.mark.parametrize("unit", UNITS)
def test_odd_documents_never_fail(unit):
    for pack in (KO, EN, JA):
        if unit == "morpheme" and pack is not KO:
            continue
        batch = measure(raw(*ODD.values()), pack, unit)
        for row in batch.to_pylist():
            sound(row)
        for at, text in enumerate(ODD.values()):
            assert measure(raw(text), pack, unit).to_pylist() == batch.slice(at, 1).to_pylist()


@pytest.mark.parametrize("unit", ["whitespace", "character", "segment"])
@pytest.mark.parametrize("piece", ["가", "가 ", "한국어 문장이다.\n", "\n", "漢字かな"])
def test_megabytes_are_measured(piece, unit):
    size = 10_000_000 if unit == "whitespace" else 3_000_000
    (row,) = rows(piece * (size // len(piece.encode())), unit=unit)
    sound(row)


def test_words_from_outside_are_those_of_the_kernel_when_they_are_the_same():
    data = b"".join(ODD.values())
    offsets = np.cumsum([0, *map(len, ODD.values())], dtype=np.int64)
    cut = split(offsets, np.frombuffer(data, np.uint8), False)
    texts = [decode(text) for text in ODD.values()]
    places = [[found.span() for found in re.finditer(r"\S+", text)] for text in texts]
    starts, ends = (np.array([place[i] for held in places for place in held], np.int64) for i in (0, 1))
    again = split_at(offsets, np.frombuffer(data, np.uint8), starts, ends, np.cumsum([0, *map(len, places)]))
    for name in (
        "characters",
        "word_offsets",
        "word_start",
        "word_end",
        "word_hash",
        "line_offsets",
        "line_start",
        "line_end",
        "line_block",
    ):
        assert np.array_equal(getattr(cut, name), getattr(again, name)), name


@pytest.mark.parametrize("starts, ends", [([0, 1], [2, 3]), ([2, 0], [3, 1]), ([0], [9]), ([1], [1])])
def test_words_from_outside_must_be_in_order_apart_and_inside(starts, ends):
    data = np.frombuffer("가나 다".encode(), np.uint8)
    with pytest.raises(ValueError, match="expected words in order"):
        split_at(np.array([0, len(data)]), data, np.array(starts), np.array(ends), np.array([0, len(starts)]))


def test_long_columns_are_measured_in_pieces_with_the_same_result(monkeypatch):
    texts = [f"문서 {i}는 이렇게 시작한다. " * (i % 7) for i in range(50)]
    whole = rows(*texts)
    monkeypatch.setattr("winnow.filters.rules.table.CHUNK", 64)
    assert rows(*texts) == whole


def test_a_group_is_measured_alone_as_with_the_others():
    texts = pa.array(
        ["그는 말했다. “그렇다.”\n아니다 ㅋㅋ\n02-123-4567 #맛집", "", "[글](http://a.kr) 글"], pa.large_string()
    )
    whole = measure(texts, KO)
    assert whole.schema.names == [m.name for m in MEASURES] and len({m.name for m in MEASURES}) == len(MEASURES)
    for group in GROUPS:
        alone = measure(texts, KO, groups=[group.name])
        assert alone.schema.names == [m.name for m in group.measures]
        for m in group.measures:
            assert alone[m.name].equals(whole[m.name]) and alone[m.name].type == m.type, m.name


def test_columns_are_known_by_name_in_whatever_order(monkeypatch):
    text = "안 내 말 씀\n그는 말했다. 그렇다.\n메뉴\n홈\nㅋㅋㅋㅋ <b>글</b> #맛집 글"
    (row,) = rows(text)
    monkeypatch.setattr("winnow.filters.rules.table.GROUPS", GROUPS[::-1])
    assert rows(text) == [row]


def test_texts_without_words_are_zero():
    for row in rows("", "\n\n", " \t\u3000"):
        assert not any(value for name, value in row.items() if name not in ("char_count", "compression_ratio"))


def test_isolated_jamo_and_runs():
    row = rows("재밌다 ㅋㅋㅋㅋㅋ 진짜")[0]
    assert row["jamo_ratio"] == pytest.approx(5 / 10)
    assert row["hangul_ratio"] == 1
    assert row["char_run_share"] == pytest.approx(5 / 10)
    assert rows("가 가 가 가")[0]["char_run_share"] == 0


def test_particles_and_sentence_endings_are_seen_through_punctuation():
    row = rows("“학교에서 책을 읽었다.” 사람 구름")[0]
    assert row["ending_share"] == pytest.approx(3 / 5)
    assert row["sentence_end_share"] == pytest.approx(1 / 5)
    assert rows("새 소식을 전합니다")[0]["sentence_end_share"] == pytest.approx(1 / 3)


def test_bad_words_are_found_with_particles_but_not_inside_words():
    assert rows("저 병신은 뭐냐 (병신들아)")[0]["bad_words"] == 2
    assert rows("꽃병신문 시발점 보지 않다")[0]["bad_words"] == 0


def test_whole_bad_words_and_bad_words_across_characters():
    english = EN.model_copy(update={"bad_words": ("ass",)})
    assert rows("An ass, an assumption", pack=english)[0]["bad_words"] == 1
    japanese = JA.model_copy(update={"bad_words": ("馬鹿*",)})
    assert rows("お前は馬鹿だ", pack=japanese)[0]["bad_words"] == 1
    assert rows("馬", "鹿だ", pack=japanese)[0]["bad_words"] == 0


def test_stop_words_ignore_case_and_punctuation():
    assert rows('"The end," AND the rest', pack=EN)[0]["stop_words"] == 2


def test_character_words():
    row = rows("日本語 Python3。です", pack=JA)[0]
    assert row["word_count"] == 6  # 日 本 語 Python3。 で す
    assert row["mean_word_length"] == pytest.approx((5 + 8) / 6)


def test_plain_stop_words_are_as_listed():
    assert rows('"The end," AND the rest, of', pack=EN)[0]["plain_stop_words"] == 2


def test_c4_decides_of_lines():
    text = (
        "A title\nThis line stays, as it ends here. And a second sentence.[1] It goes on, e.g. Mr. Smith!\nToo few.\n"
        "Enable javascript to see this.\nWe use cookies on this site.\nif (a) { return; }.\nNo end here...\nx"
        + "y" * 1000
        + " a b."
    )
    row = rows(text, pack=EN)[0]
    assert row["c4_sentences"] == 3
    assert row["c4_citations"] == row["c4_curly_brackets"] == 1
    for name in ("kept", "few_word", "javascript", "policy", "long_word"):
        assert row[f"c4_{name}_lines"] == pytest.approx(1 / 8), name
    assert row["c4_unended_lines"] == pytest.approx(2 / 8)
    assert rows("Lorem ipsum dolor sit amet.", pack=EN)[0]["c4_lorem_ipsum"] == 1
    assert rows("彼は言った。」\n題名", pack=JA)[0]["c4_unended_lines"] == pytest.approx(1 / 2)


LISTED = phrases.phrases("ko")


HELD = [
    (phrases.folded(phrase), phrases.KINDS.index(kind))
    for language, kinds in yaml.safe_load(phrases.FILE.read_text("utf-8")).items()
    if language in ("all", "ko")
    for kind, listed in kinds.items()
    if kind in phrases.KINDS
    for phrase in listed
]


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                "use cookies",
                "Use Cookie policy",
                "JavaScript",
                "서울",
                "강남",
                "강남구",
                "무단 전재",
                "재배포",
                "금지",
                "더보기",
                " ",
                "\n",
                "a",
                "ПОДРОБНЕЕ",
                "read more",
                "re",
            ]
        ),
        max_size=20,
    ).map("".join)
)
def test_phrases_are_found_where_they_stand(text):
    data = np.frombuffer(text.encode(), np.uint8)
    found = phrases.find(split(np.array([0, len(data)], np.int64), data, False), LISTED)
    wanted = {
        (match.start(), match.start() + len(phrase), kind)
        for phrase, kind in HELD
        for match in re.finditer(f"(?={re.escape(phrase)})", phrases.folded(text))
    }
    assert sorted(wanted) == sorted(zip(found.start.tolist(), found.end.tolist(), found.kind.tolist(), strict=True))
    assert found.end.tolist() == sorted(found.end.tolist())


def test_lines_that_serve_the_page():
    text = "SIGN UP NOW\n3 likes\nHome\n12 / 30\nSign in to your account\nThis is a line of text that says something.\n"
    row = rows(text, pack=EN)[0]
    assert row["capital_lines"] == pytest.approx(1 / 6)
    assert row["counter_lines"] == row["one_word_lines"] == pytest.approx(1 / 6)
    assert row["page_lines"] == pytest.approx(2 / 6)
    assert row["page_words"] == pytest.approx((3 + 2 + 1 + 3 + 5) / (14 + 9))
    korean = rows(
        "좋아요 3개\n댓글 12\n더보기\n본문 바로가기\n무단전재 및 재배포 금지\n이것은 본문이며 더보기 버튼을 설명하는 글이다."
    )[0]
    assert korean["counter_lines"] == pytest.approx(2 / 6)
    assert korean["page_lines"] == pytest.approx(2 / 6)
    assert korean["boilerplate_lines"] == pytest.approx(1 / 6)


def test_signs_of_korean_that_is_no_running_text():
    assert rows("大韓民國은 나라다")[0]["hanja_ratio"] == pytest.approx(4 / 8)
    assert rows("띄어쓰기를전혀하지않은긴문장이라서읽기가어렵다 그렇다")[0]["unspaced_share"] > 0.8
    assert rows("안 내 말 씀 드립니다")[0]["spelled_share"] == pytest.approx(4 / 5)
    assert rows("안 내 드립니다")[0]["spelled_share"] == 0
    assert rows("ㅋㅋㅋ 그래 ㅠㅠ ㅋ")[0]["jamo_runs"] == pytest.approx(2 / 4)
    stuffed = rows("강남맛집 추천 강남맛집 추천 강남맛집 추천 홍대입구 분당구")[0]
    assert stuffed["bare_repeats"] == pytest.approx(2 / 8)
    assert stuffed["place_share"] == pytest.approx(5 / 8)
    assert rows("서울에서 서울은 서울의 서울을")[0]["place_share"] == 0
    phones = rows("문의 02-123-4567\n전화 010.1234.5678\n문의 02-123-4567\n버전 1.2.3 2024-01-05 1588-1234")[0]
    assert phones["phone_lines"] == 1 and phones["repeated_phones"] == 1
    assert rows("날짜 2024-01-05 값 123-4567-8901")[0]["phone_lines"] == 0


def test_a_closing_quotation_mark_may_follow_a_sentence_end():
    assert rows("그는 말했다. “그렇다.”\n아니다 (정말.)\n제목")[0]["line_punctuation"] == pytest.approx(2 / 3)
