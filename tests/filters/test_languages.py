"""Every language pack is sound: its clauses read signals that exist, and its lists hold what the kernels can match."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest

from winnow.filters.languages import UnknownLanguage, language_pack, languages
from winnow.filters.lexicon import key
from winnow.filters.measures import MEASURES


@pytest.mark.parametrize("code", languages())
def test_clauses_are_simple_comparisons_of_known_signals(code):
    empty = pl.DataFrame({m.name: [1.0] for m in MEASURES})
    names = [clause for group in language_pack(code).clauses.values() for clause in group]
    assert len(names) == len(set(names))
    for group in language_pack(code).clauses.values():
        for expression in group.values():
            signal, operator, literal = expression.split()
            assert signal in empty.columns and operator in ("<=", ">=")
            assert float(literal) >= 0
            assert empty.select(pl.sql_expr(expression)).to_series().dtype == pl.Boolean


@pytest.mark.parametrize("code", languages())
def test_shares_are_bounded_within_what_a_share_can_be(code):
    shares = {m.name for m in MEASURES if m.unit == "share"}
    for group in language_pack(code).clauses.values():
        for expression in group.values():
            signal, _, literal = expression.split()
            assert signal not in shares or 0 < float(literal) < 1


@pytest.mark.parametrize("code", languages())
def test_words_are_composed_and_without_white_space(code):
    pack = language_pack(code)
    for word in (*pack.stop_words, *pack.endings, *pack.sentence_endings, *pack.bad_words):
        assert word == unicodedata.normalize("NFC", word) and word == "".join(word.split()).lower()
    if pack.word_unit == "character":
        assert all(len(word) == 1 for word in pack.stop_words)


def test_korean_by_any_of_its_codes():
    assert language_pack("kor_Hang") == language_pack("kor") == language_pack("ko")
    with pytest.raises(UnknownLanguage, match="ko"):
        language_pack("kr")


def test_keys_fold_capitals():
    assert key("THE") == key("the") != key("thé")
    assert key("МИР") == key("мир")
