"""The measures against datatrove's functions on real text, and properties that hold for any text."""

from __future__ import annotations

import gzip
import importlib.util
import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.lexicon import lexicon
from winnow.filters.measures import MEASURES
from winnow.filters.rules import COLUMNS, measure

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
KO, EN, JA = language_pack("ko"), language_pack("en"), language_pack("ja")

_spec = importlib.util.spec_from_file_location("reference_rules", Path(__file__).with_name("reference_rules.py"))
assert _spec is not None and _spec.loader is not None
_reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_reference)


def rows(*texts, pack=KO, by_character=False):
    return measure(pa.array(texts, pa.large_string()), lexicon(pack), by_character).to_pylist()


def crawl(language):
    with gzip.open(DATA / "crawl" / "web-mixed.truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        truth = [json.loads(line) for line in lines]
    return [
        unicodedata.normalize("NFC", page["gold_text"])
        for page in truth
        if page.get("lang") == language and (page.get("gold_text") or "").strip()
    ]


def compare(texts, pack):
    for text, row in zip(texts, rows(*texts, pack=pack), strict=True):
        wanted = _reference.reference(text, pack.stop_words)
        assert {name: row[name] for name in wanted} == pytest.approx(wanted, rel=1e-6, abs=1e-9), text[:200]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_equals_datatrove_on_korean_pages_and_comments():
    with gzip.open(DATA / "ko-sentiment-nsmc" / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        comments = [json.loads(next(lines))["text"] for _ in range(2000)]
    compare(crawl("ko") + ["\n".join(comments[i : i + 10]) for i in range(0, 2000, 10)], KO)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_equals_datatrove_on_english_pages():
    compare(crawl("en")[:400], EN)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_deliberate_differences_from_datatrove_are_small_on_prose():
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION

    for text, row in zip(crawl("ko"), rows(*crawl("ko")), strict=True):
        words = text.split()
        theirs = sum(any(c not in PUNCTUATION_SET for c in word) for word in words)
        assert abs(row["word_count"] - theirs) <= 1 + 0.15 * len(words)
        lines = [line for line in text.split("\n") if line.strip()]
        ended = sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines) / len(lines)
        assert row["line_punctuation"] - ended + 1e-6 >= 0


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=200, deadline=None)
@given(st.lists(ANY_TEXT, max_size=6), st.booleans())
def test_any_text_gives_finite_values_in_range(texts, by_character):
    for row in rows(*texts, by_character=by_character):
        for m in MEASURES:
            value = row[m.name]
            assert np.isfinite(value) and value >= 0
            assert m.unit != "share" or value <= 1


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY_TEXT, min_size=1, max_size=8), st.integers(0, 8), st.booleans())
def test_a_row_depends_on_its_own_text_alone(texts, cut, by_character):
    column = pa.array(texts, pa.large_string())
    whole = measure(column, lexicon(JA), by_character)
    parts = [measure(piece, lexicon(JA), by_character) for piece in (column.slice(0, cut), column.slice(cut))]
    assert pa.Table.from_batches(parts).combine_chunks().to_pylist() == whole.to_pylist()


def test_long_columns_are_measured_in_pieces_with_the_same_result(monkeypatch):
    texts = [f"문서 {i}는 이렇게 시작한다. " * (i % 7) for i in range(50)]
    whole = rows(*texts)
    monkeypatch.setattr("winnow.filters.rules.CHUNK", 64)
    assert rows(*texts) == whole


def test_table_and_kernels_name_the_same_measures():
    assert sorted(COLUMNS) == sorted(m.name for m in MEASURES)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_texts_without_words_are_zero():
    for row in rows("", "\n\n", " \t\u3000"):
        assert not any(row.values())


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
    assert rows("お前は馬鹿だ", pack=japanese, by_character=True)[0]["bad_words"] == 1
    assert rows("馬", "鹿だ", pack=japanese, by_character=True)[0]["bad_words"] == 0


def test_stop_words_ignore_case_and_punctuation():
    assert rows('"The end," AND the rest', pack=EN)[0]["stop_words"] == 2


def test_character_words():
    row = rows("日本語 Python3。です", pack=JA, by_character=True)[0]
    assert row["word_count"] == 6  # 日 本 語 Python3。 で す
    assert row["mean_word_length"] == pytest.approx((5 + 8) / 6)


def test_a_closing_quotation_mark_may_follow_a_sentence_end():
    assert rows("그는 말했다. “그렇다.”\n아니다 (정말.)\n제목")[0]["line_punctuation"] == pytest.approx(2 / 3)
