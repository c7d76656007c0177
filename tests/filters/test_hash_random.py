"""Random numbers of documents."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.hash_random import gumbel, hashes, uniform

IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=120), max_size=30)
SEEDS = st.integers(-(2**70), 2**70)
STRINGS = st.sampled_from([pa.string(), pa.large_string()])
PLAIN = pa.array([f"{i:032x}" for i in range(200_000)])


@given(IDS, SEEDS, STRINGS)
def test_it_is_xxh64(names: list[str], seed: int, kind: pa.DataType) -> None:
    got = hashes(pa.array(names, kind), seed)
    assert got.dtype == np.uint64
    assert got.tolist() == [xxhash.xxh64_intdigest(name, seed % 2**64) for name in names]


def test_every_length() -> None:
    names = ["ab" * (size // 2) + "c" * (size % 2) for size in range(200)]
    assert hashes(pa.array(names), 2**63 + 5).tolist() == [xxhash.xxh64_intdigest(n, 2**63 + 5) for n in names]


@given(IDS, SEEDS, st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_salt_hashes_into_the_seed(names: list[str], seed: int, salt: str) -> None:
    inner = xxhash.xxh64_intdigest(salt, seed % 2**64)
    assert hashes(pa.array(names, pa.string()), seed, salt).tolist() == [
        xxhash.xxh64_intdigest(n, inner) for n in names
    ]


@given(IDS, STRINGS, st.integers(0, 30), st.integers(0, 30))
def test_slices_and_chunks_do_not_matter(names: list[str], kind: pa.DataType, start: int, cut: int) -> None:
    ids = pa.array(names, kind)
    whole = hashes(ids, 3).tolist()
    assert hashes(ids[start:], 3).tolist() == whole[start:]
    assert hashes(pa.chunked_array([ids[:cut], ids[cut:]], kind), 3).tolist() == whole
    assert hashes(pa.chunked_array([], kind), 3).tolist() == []


@given(IDS, SEEDS)
def test_uniform_numbers_are_the_leading_bits(names: list[str], seed: int) -> None:
    ids = pa.array(names, pa.string())
    got = uniform(ids, seed, "clause")
    assert got.tolist() == [(value >> 11) / 2**53 for value in hashes(ids, seed, "clause").tolist()]
    assert ((got >= 0) & (got < 1)).all()


def test_gumbel_numbers_are_the_double_logarithm() -> None:
    for value, drawn in zip(
        hashes(PLAIN[:5_000], 1, "x").tolist(), gumbel(PLAIN[:5_000], 1, "x").tolist(), strict=True
    ):
        inner = -math.log(((value >> 12) + 0.5) / 2**52)
        assert drawn == pytest.approx(-math.log(inner), rel=1e-15, abs=3e-16)


def test_gumbel_numbers_are_finite_at_the_ends() -> None:
    from winnow.filters.hash_random import gumbel_of

    out = np.empty(4)
    gumbel_of(np.array([0, 2**12 - 1, 2**64 - 2**12, 2**64 - 1], np.uint64), out)
    ends = [-math.log(53 * math.log(2)), -math.log(-math.log1p(-(2.0**-53)))]
    assert out.tolist() == pytest.approx([ends[0]] * 2 + [ends[1]] * 2, rel=1e-15)


def test_the_distributions_are_what_their_names_say() -> None:
    rows = len(PLAIN)
    u, g = uniform(PLAIN, 5, "a"), gumbel(PLAIN, 5, "a")
    assert abs(u.mean() - 0.5) < 4 / math.sqrt(12 * rows)
    assert abs(u.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / rows)
    assert abs(g.mean() - np.euler_gamma) < 4 * math.pi / math.sqrt(6 * rows)
    assert abs(np.corrcoef(u, uniform(PLAIN, 5, "b"))[0, 1]) < 4 / math.sqrt(rows)
    assert abs(np.corrcoef(u, uniform(PLAIN, 6, "a"))[0, 1]) < 4 / math.sqrt(rows)


def test_gumbel_noise_samples_in_proportion_to_weights() -> None:
    weights = np.array([1.0, 2.0, 5.0])
    ids = pa.array([f"{row}-{option}" for row in range(30_000) for option in range(3)])
    chosen = np.argmax(gumbel(ids, 0).reshape(-1, 3) + np.log(weights), axis=1)
    shares = np.bincount(chosen) / 30_000
    assert np.abs(shares - weights / 8).max() < 4 * math.sqrt(0.25 / 30_000)


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 document ids are null"):
        hashes(pa.array(["a", None]), 0)
    with pytest.raises(ValueError, match="of type int64, expected string"):
        hashes(pa.array([1, 2]), 0)
