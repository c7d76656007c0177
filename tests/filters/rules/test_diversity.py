"""MTLD against its definition in plain Python; entropy and single use against a counter."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.rules import diversity
from winnow.filters.rules.table import Texts


def rows(*texts):
    offsets = np.concatenate([[0], np.cumsum([len(text.encode()) for text in texts])]).astype(np.int64)
    column = Texts(offsets, np.frombuffer("".join(texts).encode(), np.uint8), language_pack("ko"), "whitespace")
    found = column.records(diversity.GROUP)
    return [dict(zip(found.dtype.names, row, strict=True)) for row in found.tolist()]


def core(word):
    kept = [i for i, c in enumerate(word) if unicodedata.category(c)[0] in "LMN"]
    inner = word[kept[0] : kept[-1] + 1]
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in inner)


def factors(words):
    """McCarthy and Jarvis 2010: full stretches, and the last one by how far its quotient has come from 1 to 0.72."""
    full, kinds, length = 0, set(), 0
    for word in words:
        kinds.add(word)
        length += 1
        if 100 * len(kinds) <= 72 * length:
            full, kinds, length = full + 1, set(), 0
    if not length:
        return full
    if not full and len(kinds) == length:
        return (1 - length / (length + 1)) / 0.28
    return full + (1 - len(kinds) / length) / 0.28


def reference(text):
    words = [core(word) for word in text.split() if any(c.isalpha() for c in word)]
    if not words:
        return dict.fromkeys((measure.name for measure in diversity.MEASURES), 0.0)
    counts = Counter(words).values()
    return {
        "mtld": (len(words) / factors(words) + len(words) / factors(words[::-1])) / 2,
        "word_entropy": sum(-n / len(words) * math.log(n / len(words)) for n in counts),
        "single_use_words": sum(n == 1 for n in counts) / len(words),
    }


def compare(texts):
    for text, row in zip(texts, rows(*texts), strict=True):
        assert row == pytest.approx(reference(text), rel=1e-9, abs=1e-12), text[:200]


@settings(max_examples=300)
@given(st.lists(st.text(st.sampled_from("abABßİé가나 가나ㅋ 12.,'\n\u0301"), max_size=200), max_size=4))
def test_equals_the_definition_on_texts_that_repeat(texts):
    compare(texts)


def test_equals_the_definition_on_real_pages(crawl_truth):
    texts = [row.get("gold_text") or "" for row in crawl_truth[::4]]
    compare([unicodedata.normalize("NFC", text) for text in texts if text.strip()])


def test_the_example_of_the_paper():
    # Types / tokens: of 1.00 the 1.00 people 1.00 by 1.00 the .80 people .667 | for 1.00 the 1.00 people 1.00
    words = ["of", "the", "people", "by", "the", "people", "for", "the", "people"]
    forward, backward = 1 + 0, factors(words[::-1])
    assert factors(words) == forward
    assert rows(" ".join(words))[0]["mtld"] == pytest.approx((9 / forward + 9 / backward) / 2)


def test_case_and_outer_punctuation_do_not_make_another_word():
    row = rows("Word, word! «WORD» Ёж ёж 12 3")[0]
    assert row["single_use_words"] == 0
    assert row["word_entropy"] == pytest.approx(-(0.6 * math.log(0.6) + 0.4 * math.log(0.4)))


def test_distinct_words_lie_above_one_repeated_word():
    words = [f"말{chr(0xAC00 + i)}" for i in range(40)]
    distinct, repeated = rows(" ".join(words), " ".join([*words[:-1], words[0]]))
    assert distinct["mtld"] > repeated["mtld"] > 40
    assert rows("같은 " * 500)[0]["mtld"] == 2


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["가", "나", "다", "라", "마", "바"]), min_size=1, max_size=80))
def test_reading_backward_changes_nothing(words):
    there, back = rows(" ".join(words), " ".join(words[::-1]))
    assert there == pytest.approx(back)
