"""Shares of characters against Unicode categories in plain Python, and what each tells apart."""

from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pytest

from winnow.filters.character_classes import KINDS_SIZE, PRIVATE, kind_table
from winnow.filters.languages import language_pack
from winnow.filters.rules import characters
from winnow.filters.rules.table import Texts


def rows(*texts):
    held = [text if isinstance(text, bytes) else text.encode() for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in held])]).astype(np.int64)
    column = Texts(offsets, np.frombuffer(b"".join(held), np.uint8), language_pack("ko"), "whitespace")
    found = column.records(characters.GROUP)
    return [dict(zip(found.dtype.names, row, strict=True)) for row in found.tolist()]


def damaged(c):
    category = unicodedata.category(c)
    return c == "\ufffd" or category in ("Cs", "Co", "Cc") or 0xFDD0 <= ord(c) < 0xFDF0 or ord(c) & 0xFFFE == 0xFFFE


def reference(text):
    visible = [c for c in text if not c.isspace()]
    categories = [unicodedata.category(c) for c in visible]
    letters = sum(category[0] == "L" for category in categories)
    words = text.split()
    shouted = [
        word
        for word in words
        if any(unicodedata.category(c) == "Lu" for c in word)
        and not any(unicodedata.category(c) in ("Ll", "Lt") for c in word)
    ]
    return {
        "digit_ratio": categories.count("Nd") / max(1, len(visible)),
        "symbol_ratio": sum(category[0] == "S" for category in categories) / max(1, len(visible))
        - visible.count("\ufffd") / max(1, len(visible)),
        "punctuation_ratio": sum(category[0] == "P" for category in categories) / max(1, len(visible)),
        "damaged_ratio": sum(map(damaged, visible)) / max(1, len(visible)),
        "uppercase_ratio": categories.count("Lu") / max(1, letters),
        "all_caps_words": len(shouted) / max(1, len(words)),
    }


def test_equals_the_categories_for_every_code_point():
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000 and code != 10]
    texts = ["".join(every[i : i + 997]) for i in range(0, len(every), 997)]
    for text, row in zip(texts, rows(*texts), strict=True):
        assert row == pytest.approx(reference(text), abs=1e-12), hex(ord(text[0]))


def test_equals_the_categories_on_real_pages(crawl_truth):
    texts = [row.get("gold_text") or "" for row in crawl_truth[::4]]
    texts = [text for text in texts if text.strip()]
    for text, row in zip(texts, rows(*texts), strict=True):
        assert row == pytest.approx(reference(text), abs=1e-12), text[:200]


def test_nothing_past_the_table_has_a_kind_but_private_use():
    for code in range(KINDS_SIZE, PRIVATE):
        assert unicodedata.category(chr(code)) in ("Lo", "Cn", "Cf", "Mn"), hex(code)  # Cn: the noncharacters too
    assert not kind_table().flags.writeable


def test_wrong_decoding_is_seen():
    intact = "한글 문서입니다"
    broken = intact.encode("cp949").decode("utf-8", "replace")
    row, clean, surrogates = rows(broken, intact, b"ab\xed\xa0\x80\xed\xbf\xbf")
    assert row["damaged_ratio"] > 0.5 and clean["damaged_ratio"] == 0
    assert surrogates["damaged_ratio"] == 0.5
    assert rows("a\x00\x00b")[0]["damaged_ratio"] == 0.5
    assert rows("👨‍👩‍👧 \u200fab\u202c")[0]["damaged_ratio"] == 0  # joiners and marks of direction are text


def test_capitals():
    row = rows("NASA가 쏜 ROCKET 2호, 3M")[0]
    assert row["all_caps_words"] == pytest.approx(3 / 5)
    assert row["uppercase_ratio"] == pytest.approx(11 / 14)
