"""The order is a bijection per epoch, keeps its weights at every prefix, and knows nothing of ranks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.train_handoff.order import RESOLUTION, Interleave, Shuffle, SourceOrder, parts_of

PARTS = st.lists(st.integers(1, 40), min_size=1, max_size=6).map(tuple)


@given(size=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
@settings(max_examples=60)
def test_shuffle_is_a_bijection_for_any_size_and_key(size: int, key: int) -> None:
    shuffle = Shuffle.of(size, key)
    assert sorted(shuffle(i) for i in range(size)) == list(range(size))


@given(size=st.integers(2**32, 2**40), index=st.integers(0, 2**32 - 1), key=st.integers(0, 2**64 - 1))
def test_shuffle_stays_in_range_for_corpora_of_any_size(size: int, index: int, key: int) -> None:
    assert 0 <= Shuffle.of(size, key)(index) < size


def test_shuffle_spreads_neighbours() -> None:
    # For a random permutation of n the mean distance of images of neighbours is n / 3, with a deviation below 1% here.
    n = 20_000
    for key in range(5):
        shuffle = Shuffle.of(n, key)
        images = [shuffle(i) for i in range(n)]
        mean = sum(abs(a - b) for a, b in pairwise(images)) / (n - 1)
        assert mean == pytest.approx(n / 3, rel=0.04)
        assert sum(i == image for i, image in enumerate(images)) < 10


@given(blocks=st.integers(1, 200), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=40)
def test_each_epoch_visits_each_block_once_and_in_another_order(blocks: int, seed: int) -> None:
    order = SourceOrder("d" * 64, blocks, seed)
    epochs = [[order.at(e * blocks + i) for i in range(blocks)] for e in range(3)]
    for number, epoch in enumerate(epochs):
        assert {e for e, _ in epoch} == {number}
        assert sorted(block for _, block in epoch) == list(range(blocks))
    if blocks > 20:
        assert [b for _, b in epochs[0]] != [b for _, b in epochs[1]]


def test_order_depends_on_the_data_and_the_seed_alone() -> None:
    first = [SourceOrder("a" * 64, 500, 1).at(k) for k in range(500)]
    assert first == [SourceOrder("a" * 64, 500, 1).at(k) for k in range(500)]
    assert first != [SourceOrder("b" * 64, 500, 1).at(k) for k in range(500)]
    assert first != [SourceOrder("a" * 64, 500, 2).at(k) for k in range(500)]


@given(parts=PARTS)
@settings(max_examples=60)
def test_every_prefix_keeps_every_weight_within_one_draw(parts: tuple[int, ...]) -> None:
    interleave, total = Interleave(parts), sum(parts)
    counts = [0] * len(parts)
    for sample in range(2 * total + 3):
        source, draw = interleave.at(sample)
        assert draw == counts[source]
        counts[source] += 1
        for part, count in zip(parts, counts, strict=True):
            assert abs(count * total - part * (sample + 1)) < total
        if sample % 7 == 0:
            assert interleave.drawn(sample + 1) == tuple(counts)


@given(parts=PARTS, samples=st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
@settings(max_examples=40)
def test_a_position_needs_no_history(parts: tuple[int, ...], samples: list[int]) -> None:
    used = Interleave(parts)
    for sample in samples:
        assert used.at(sample) == Interleave(parts).at(sample)


def test_weights_as_written() -> None:
    assert parts_of([0.7, 0.25, 0.05]) == (14, 5, 1)
    assert parts_of([2.0]) == (1,)
    assert parts_of([3.0, 3.0, 3.0]) == (1, 1, 1)
    rounded = parts_of([1 / 3, 0.123456789, 1e-12])
    assert min(rounded) >= 1 and abs(sum(rounded) - RESOLUTION) <= 2
    assert rounded[0] / sum(rounded) == pytest.approx((1 / 3) / (1 / 3 + 0.123456789), abs=2e-6)
    for weights in ([], [0.0], [-1.0], [float("nan")], [float("inf")]):
        with pytest.raises(ValueError, match="weight"):
            parts_of(weights)
