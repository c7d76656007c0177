"""What holds for every extra signal on any text: ranges, independence of neighbours, hostile texts, other word units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.rules import characters, density, diversity
from winnow.filters.rules.table import Texts
from winnow.filters.words import split_at

GROUPS = (diversity.COMPRESSION_GROUP, diversity.GROUP, characters.GROUP, density.GROUP)
MEASURES = [measure for group in GROUPS for measure in group.measures]


def column(texts):
    """Offsets and bytes of texts given as bytes, as Arrow holds them; nothing checks that they are UTF-8."""
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    return offsets, np.frombuffer(b"".join(texts), np.uint8)


def measured(offsets, data, by_character=False):
    texts = Texts(offsets, data, language_pack("ko"), "character" if by_character else "whitespace")
    return np.hstack([values(texts, group) for group in GROUPS])


def values(texts, group):
    return np.array(texts.records(group).tolist()).reshape(-1, len(group.measures))


ODD = st.one_of(
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(
        st.sampled_from("가나ㅋ。 \n\t|{};=()1234.・①-[](http://www.a.kr)한אبß🙂\u200f\u202e\x00\ufffd\U000f0001"),
        max_size=80,
    ).map(str.encode),
    st.binary(max_size=40),
)


@settings(max_examples=150)
@given(st.lists(ODD, max_size=6), st.booleans())
def test_any_bytes_give_finite_values_in_range(texts, by_character):
    found = measured(*column(texts), by_character)
    assert found.shape == (len(texts), len(MEASURES))
    assert np.isfinite(found).all() and (found >= 0).all()
    for measure, values in zip(MEASURES, found.T, strict=True):
        assert measure.unit != "share" or (values <= 1).all(), measure.name


@settings(max_examples=150)
@given(st.lists(ODD, min_size=1, max_size=8), st.integers(0, 8), st.randoms(use_true_random=False), st.booleans())
def test_a_row_depends_on_its_own_text_alone(texts, cut, random, by_character):
    offsets, data = column(texts)
    whole = measured(offsets, data, by_character)
    cut = min(cut, len(texts))
    sliced = [measured(piece, data, by_character) for piece in (offsets[: cut + 1], offsets[cut:])]
    assert np.array_equal(np.vstack(sliced), whole)
    order = random.sample(range(len(texts)), len(texts))
    assert np.array_equal(measured(*column([texts[i] for i in order]), by_character), whole[order])


@pytest.mark.parametrize("by_character", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n \n\t\n",
        "👍🏽👨‍👩‍👧🇰🇷".encode(),
        b"\x00" * 100,
        b"\xed\xa0\x80 \xed\xbf\xbf lone surrogates",
        b"\xff\xfe\x80\x80\xf8\xf0\x9f",
        "מילים בעברית 12 עם ‏סימנים‎ וعربية".encode(),
        b"](" * 200_000,
        b"a" * 10_000_000,
        "가나다 http://www.kr](x) 1. ".encode() * 300_000,
    ],
    ids=[
        "empty",
        "blank",
        "emoji",
        "NUL",
        "surrogates",
        "not UTF-8",
        "right to left",
        "brackets",
        "one word",
        "one line",
    ],
)
def test_hostile_texts(text, by_character):
    alone = measured(*column([text]), by_character)
    assert np.isfinite(alone).all() and (alone >= 0).all()
    assert text.strip() or not alone[:, 1:].any()  # white space compresses too
    amid = measured(*column([b"before\n", text, "뒤에".encode()]), by_character)
    assert np.array_equal(amid[1:2], alone)


def test_words_from_outside_may_leave_characters_out():
    offsets, data = column(["1. 말 http://a.kr".encode()])
    places = [np.array(values, np.int64) for values in ([3], [4], [0, 1])]
    texts, parted = (Texts(offsets, data, language_pack("ko"), "whitespace") for _ in range(2))
    parted.words = split_at(offsets, data, *places)
    assert np.array_equal(values(parted, density.GROUP), values(texts, density.GROUP))
    assert np.array_equal(values(parted, characters.GROUP)[:, :5], values(texts, characters.GROUP)[:, :5])
    assert parted.records(diversity.GROUP)["single_use_words"] == [1]
