"""Word lists as kernels read them: one folding on both sides, no entry lost to a double."""

from __future__ import annotations

import sys
import unicodedata

import pyarrow as pa
import pytest

from winnow.filters.languages import LanguagePack, language_pack
from winnow.filters.rules.lexicon import Lexicon, fold, fold_code, key
from winnow.filters.rules.lexicon import lexicon as tables
from winnow.filters.rules.table import measure


def pack(**changes: tuple[str, ...]) -> LanguagePack:
    return language_pack("en").model_copy(update=changes)


def lexicon(pack: LanguagePack) -> Lexicon:
    return tables(pack.stop_words, pack.endings, pack.sentence_endings)


def stop_words(text: str, listed: tuple[str, ...]) -> int:
    found = measure(pa.array([text], pa.large_string()), pack(stop_words=listed), groups=["running_text"])
    return int(found["stop_words"][0].as_py())


def test_a_folded_capital_is_its_small_letter() -> None:
    changed = [chr(code) for code in range(sys.maxunicode + 1) if fold_code(code) != code]
    assert len(changed) > 80
    unassigned = [c for c in changed if unicodedata.category(c) == "Cn"]
    assert unassigned == ["\u03a2"]
    assert all(fold(c) == c.lower() for c in changed if c not in unassigned)
    assert all(fold(fold(c)) == fold(c) for c in changed)


@pytest.mark.parametrize("letter", ["É", "Ж", "Ω", "Z", "Ё", "Ł", "Ạ", "İ"])
def test_a_stop_word_in_capitals_is_found(letter: str) -> None:
    assert stop_words(f"x{letter} y", (f"x{letter}",)) == 1


def test_entries_are_composed_and_counted_once() -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    assert stop_words("le café CAFÉ", (decomposed, "café", "CAFÉ")) == 1
    assert lexicon(pack(stop_words=(decomposed, "café", "CAFÉ"))).stop_words.entries == 1


def test_endings_are_kept_backwards_composed_and_once() -> None:
    held = lexicon(pack(endings=("니다", unicodedata.normalize("NFD", "니다"), "ING"))).endings
    assert {key("다니"), key("gni")} == set(held.keys.tolist()) - {0}
    assert (held.longest, held.entries) == (3, 2)


def test_an_empty_entry_is_none() -> None:
    assert lexicon(pack(stop_words=("",))).stop_words.longest == 0
