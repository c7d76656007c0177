"""Copies from multiplicities."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.hash_random import realise

ROWS = st.lists(st.tuples(st.floats(0, 65_535, width=32), st.text(max_size=40)), max_size=30)


@given(ROWS, st.integers(-(2**70), 2**70))
def test_the_definition_row_by_row(rows: list[tuple[float, str]], seed: int) -> None:
    ids = pa.array([name for _, name in rows], pa.string())
    copies = realise(np.array([m for m, _ in rows], np.float32), ids, seed)
    assert copies.dtype == np.uint16
    for got, (m, name) in zip(copies.tolist(), rows, strict=True):
        coin = xxhash.xxh64_intdigest(name, seed % 2**64) < (m - int(m)) * 2**64
        assert got == int(m) + coin


@given(ROWS, st.integers(0, 2**64 - 1), st.integers(0, 30))
def test_batches_do_not_matter(rows: list[tuple[float, str]], seed: int, cut: int) -> None:
    ids = pa.array([name for _, name in rows], pa.string())
    wanted = np.array([m for m, _ in rows], np.float32)
    halves = [realise(wanted[:cut], ids[:cut], seed), realise(wanted[cut:], ids[cut:], seed)]
    assert (np.concatenate(halves) == realise(wanted, ids, seed)).all()


def test_the_expected_value_is_the_multiplicity() -> None:
    rows = 100_000
    ids = pa.array([f"{i:032x}" for i in range(rows)])
    for wanted in (0.1, 1.5, 3.9):
        copies = realise(np.full(rows, wanted, np.float32), ids, 7)
        part = wanted % 1
        assert abs(copies.mean() - wanted) < 4 * (part * (1 - part) / rows) ** 0.5
    assert (realise(np.full(rows, 2.5), ids, 7) != realise(np.full(rows, 2.5), ids, 8)).any()


def test_more_never_means_less() -> None:
    ids = pa.array([f"{i:032x}" for i in range(2_000)])
    before = np.zeros(2_000, np.uint16)
    for wanted in np.linspace(0, 4, 33):
        after = realise(np.full(2_000, wanted), ids, 0)
        assert (after >= before).all()
        before = after


@pytest.mark.parametrize("wrong", [-0.5, float("nan"), float("inf"), 65_536.0])
def test_what_is_no_multiplicity_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"document 'b' has multiplicity .* from 0 to 65535"):
        realise(np.array([1.0, wrong]), pa.array(["a", "b"]), 0)
