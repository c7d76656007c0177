"""What holds for every extra signal on any text: ranges, independence of neighbours, hostile texts, other word units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.rules import characters, compression, density, diversity
from winnow.filters.rules.words import split, split_at

GROUPS = {
    "compression": (compression, lambda offsets, data, words: compression.compression(offsets, data)),
    "diversity": (diversity, lambda offsets, data, words: diversity.diversity(words)),
    "characters": (characters, lambda offsets, data, words: characters.characters(words)),
    "density": (density, lambda offsets, data, words: density.density(words)),
}
MEASURES = [measure for module, _ in GROUPS.values() for measure in module.MEASURES]


def column(texts):
    """Offsets and bytes of texts given as bytes, as Arrow holds them; nothing checks that they are UTF-8."""
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    return offsets, np.frombuffer(b"".join(texts), np.uint8)


def measured(offsets, data, by_character=False):
    words = split(offsets, data, by_character)
    return np.hstack([fn(offsets, data, words) for _, fn in GROUPS.values()])


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
    words = split_at(offsets, data, *places)
    assert density.density(words)[0].tolist() == density.density(split(offsets, data, False))[0].tolist()
    assert (
        characters.characters(words)[0, :5].tolist()
        == characters.characters(split(offsets, data, False))[0, :5].tolist()
    )
    assert diversity.diversity(words)[0, 2] == 1


def test_columns_are_the_measures_in_order():
    for module, _ in GROUPS.values():
        assert tuple(measure.name for measure in module.MEASURES) == module.COLUMNS
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
