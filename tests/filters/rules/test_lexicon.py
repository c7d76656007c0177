"""Word lists as kernels read them: one folding on both sides, no entry lost to a double."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from winnow.filters.languages import LanguagePack, language_pack
from winnow.filters.rules.lexicon import fold, fold_code, key, lexicon
from winnow.filters.rules.running_text import COLUMNS, running_text
from winnow.filters.rules.running_text_kernel import fold as kernel_fold
from winnow.filters.rules.words import Words, split


def cut(text: str) -> Words:
    import numpy as np

    data = np.frombuffer(text.encode(), np.uint8)
    return split(np.array([0, len(data)], np.int64), data, False)


def pack(**changes: tuple[str, ...]) -> LanguagePack:
    return language_pack("en").model_copy(update=changes)


def stop_words(text: str, listed: tuple[str, ...]) -> float:
    found = running_text(cut(text), lexicon(pack(stop_words=listed)))
    values = found[0] if isinstance(found, tuple) else found
    return float(values[0, COLUMNS.index("stop_words")])


def test_the_kernel_folds_every_code_point_as_the_lists_do() -> None:
    compiled = kernel_fold.py_func
    assert [code for code in range(sys.maxunicode + 1) if compiled(code) != fold_code(code)] == []


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
