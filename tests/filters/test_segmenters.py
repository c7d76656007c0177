"""Segmenters: places that point at the words, the same words as their models', and no text that makes them fail."""

from __future__ import annotations

import itertools
import json
import re
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.rules.table import measure
from winnow.filters.segmenters import MissingSegmenter, Segmenter, pieces, segmenter

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
MIXED = st.text(
    st.sampled_from("가각 나\n\n.…! ab\u202f1\u200d\u0301\0東京のไทย\U0001f468\U0001f469\ud800\udc00\ufffd")
)
HARD = {
    "empty": "",
    "white space": " \n\t\u3000\n",
    "nul": "\0\0 가\0나",
    "lone surrogates": "\ud800학교 \udc00\ud800",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1f0\U0001f1f7" * 500,
    "right to left": "\u202eשלום עולם\u202c مرحبا",
    "one long line": "학교에 갔다 " * 20_000,
    "no space": "東京都" * 20_000,
    "one syllable": "가" * 20_000,
    "digits": "1,234," * 5_000,
    "marks": "가\u0301\u0302" * 5_000,
    "line breaks": "\n" * 100_000,
}


def words(found: Segmenter, *texts: str) -> list[list[str]]:
    starts, ends, offsets = found.cut(list(texts))
    assert len(offsets) == len(texts) + 1 and offsets[0] == 0 and offsets[-1] == len(starts) == len(ends)
    return [
        [text[a:b] for a, b in zip(starts[first:last], ends[first:last], strict=True)]
        for text, first, last in zip(texts, offsets[:-1], offsets[1:], strict=True)
    ]


def check(found: Segmenter, text: str) -> None:
    """Words are in order, apart, not empty, without white space, and hold every other character."""
    starts, ends, _ = found.cut([text])
    assert (starts < ends).all() and (ends[:-1] <= starts[1:]).all()
    assert not len(ends) or (starts[0] >= 0 and ends[-1] <= len(text))
    assert "".join(words(found, text)[0]) == "".join(text.split())


def segments(code: str) -> Segmenter:
    found = segmenter("segment", language_pack(code))
    assert found is not None
    return found


def morphemes() -> Segmenter:
    pytest.importorskip("kiwipiepy")
    found = segmenter("morpheme", language_pack("ko"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("th", "ประเทศไทยเป็นประเทศที่มีภาษาไทย", "ประเทศไทย เป็น ประเทศ ที่ มี ภาษา ไทย"),
        ("zh", "我们在学校学习中文。", "我们 在 学校 学习 中文 。"),
        ("ja", "私は東京の大学で日本語を勉強しています。", "私 は 東京 の 大学 で 日本語 を 勉強 し てい ます 。"),
        ("en", "The dog's tail, 3.5 m... (wags)", "The dog's tail , 3.5 m ... ( wags )"),
        ("de", "Über 12\u202f000 Häuser -- heißt's.", "Über 12 000 Häuser -- heißt's ."),
        ("hi", "यह हिन्दी है।", "यह हिन्दी है ।"),
        ("ar", "كيف حالك؟", "كيف حالك ؟"),
    ],
)
def test_segments_of_sentences(code, text, expected):
    assert words(segments(code), text) == [expected.split()]


def test_places_count_characters_beyond_the_basic_plane():
    text = "\U00020000東京 \U0001f600\U0001f600 b\U0001d504c d"
    starts, ends, _ = segments("ja").cut([text])
    assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == words(segments("ja"), text)[0]
    assert "\U0001f600\U0001f600" in words(segments("ja"), text)[0] and words(segments("ja"), text)[0][-1] == "d"


@given(st.one_of(ANY_TEXT, MIXED))
def test_segments_hold_every_character_but_white_space(text):
    check(segments("th"), text)


@given(st.lists(st.one_of(ANY_TEXT, MIXED), max_size=6), st.integers(0, 6))
def test_segments_depend_on_their_own_text(texts, cut):
    found = segments("ja")
    assert words(found, *texts) == words(found, *texts[:cut]) + words(found, *texts[cut:])


@settings(max_examples=50)
@given(st.one_of(ANY_TEXT, MIXED))
def test_morphemes_are_in_order_and_apart(text):
    starts, ends, _ = morphemes().cut([text])
    assert (starts < ends).all() and (ends[:-1] <= starts[1:]).all()
    assert not any(character.isspace() for word in words(morphemes(), text)[0] for character in word[:1] + word[-1:])


@pytest.mark.parametrize("name", HARD)
def test_hard_texts_are_cut(name):
    check(segments("zh"), HARD[name])
    found = words(morphemes(), HARD[name], "학교에 갔다.")
    assert found[1] == ["학교", "에", "갔", "다", "."]


def test_a_long_number_is_one_word_and_moves_no_other():
    text = "값은 " + "1" * 30 + "원이고 " + "1,000," * 5 + "끝이다."
    found = words(morphemes(), text)[0]
    assert "1" * 30 in found and "1,000," * 5 in found and "값" in found and "끝" in found and found[-1] == "."


def check_morphemes(texts: list[str]) -> tuple[int, int]:
    """Compares with datatrove's Korean words: how many it has, and how many of them share a syllable with another one."""
    load = pytest.importorskip("datatrove.utils.word_tokenizers").load_word_tokenizer
    theirs = load("kor_Hang")
    count = shared = 0
    for text, ours in zip(texts, words(morphemes(), *texts), strict=True):
        place = 0
        for word in theirs.word_tokenize(text):
            count += 1
            if place < len(ours) and word == ours[place]:
                place += 1
                continue
            shared += 1
            assert place, word
            if word not in ours[place - 1]:
                assert word.endswith(ours[place]) and ours[place - 1].endswith(word.removesuffix(ours[place]))
                place += 1
        assert place == len(ours)
    return count, shared


def test_morphemes_are_datatrove_s_but_for_shared_syllables():
    text = "나는 어제 학교에 갔다. 그는 공부를 했고 우리는 예뻤던 꽃을 봤습니다. 2024년 3월에 만나요!"
    count, shared = check_morphemes([text])
    assert 0 < shared < count


def test_few_words_of_manuals_share_syllables(data):
    texts = []
    for name in ("ko-html-vue", "ko-html-debian-faq"):
        with (data / name / "gold.jsonl").open(encoding="utf-8") as lines:
            texts += [json.loads(line)["gold_text"][:4000] for line in itertools.islice(lines, 4)]
    count, shared = check_morphemes([text for text in texts if text])
    assert 0 < shared < 0.08 * count


@given(st.text(st.sampled_from("ab \n"), max_size=200), st.integers(1, 12))
def test_pieces_make_up_the_text(text, limit):
    found = list(pieces(text, limit))
    assert "".join(piece for _, piece in found) == text
    assert all(text.startswith(piece, start) and len(piece) <= limit for start, piece in found)


def test_pieces_end_where_lines_do():
    assert [piece for _, piece in pieces("a b\n\nc d\ne f", 8)] == ["a b\n\n", "c d\ne f"]
    assert [piece for _, piece in pieces("a b\nc d", 6)] == ["a b\n", "c d"]
    assert [piece for _, piece in pieces("ab cdef", 5)] == ["ab ", "cdef"]
    assert [piece for _, piece in pieces("abcdef", 4)] == ["abcd", "ef"]


def test_the_kernel_s_own_units_need_no_segmenter():
    assert segmenter("whitespace", language_pack("ko")) is None
    assert segmenter("character", language_pack("ja")) is None


def test_morphemes_of_another_language_are_refused():
    with pytest.raises(MissingSegmenter, match=r"Korean.*'de'.*whitespace"):
        segmenter("morpheme", language_pack("de"))


def test_without_kiwi_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    with pytest.raises(MissingSegmenter, match=r"pip install 'winnow\[ko\]'"):
        segmenter("morpheme", language_pack("ko"))


def test_a_segmenter_tells_its_version():
    assert re.fullmatch(r"ICU [\d.]+", segments("th").version)
    assert re.fullmatch(r"kiwipiepy [\d.]+, kiwipiepy_model [\d.]+", morphemes().version)


def test_rules_measure_segments():
    text = "ประเทศไทยเป็นประเทศที่มีภาษาไทย"
    row = measure(pa.array([text, "", text], pa.large_string()), language_pack("th")).to_pylist()
    assert [r["word_count"] for r in row] == [7, 0, 7] and row[0]["stop_words"] == 3
