"""Means and standard deviations of columns that lie in parts, against exact fractions."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.pipelines.selection.grouped_counts import Cells
from winnow.pipelines.selection.moments import MomentSearch, sums
from winnow.pipelines.selection.statistic_result import Moment, StatisticResult

NAMES = ("news", "", "한국", None)
WIDE = st.floats(allow_nan=False, allow_infinity=False)
SCORES = st.floats(0, 1, width=32)
HUGE = st.floats(1e300, 1.7e308) | st.floats(-1.7e308, -1e300)
TINY = st.floats(-1e-300, 1e-300)
ROWS = st.lists(st.tuples(WIDE | SCORES | HUGE | TINY | st.integers(-3, 3).map(float), st.integers(0, 3)), max_size=30)
CUTS = st.lists(st.integers(0, 30), max_size=4)


def _found(rows: list[tuple[float, int]], cuts: list[int], dtype: str = "float64") -> StatisticResult:
    whole = MomentSearch("mean")
    for start, end in pairwise([0, *sorted(cuts), len(rows)]):
        part = rows[start:end]
        names = list(NAMES[start % 4 :] + NAMES[: start % 4])
        codes = np.array([names.index(NAMES[group]) for _, group in part], np.int64)
        answer = sums(np.array([key for key, _ in part], dtype), codes, names)
        whole.add(pickle.loads(pickle.dumps(answer)))
    return whole.result()


def _of(part: Cells) -> StatisticResult:
    search = MomentSearch("mean")
    search.add(part)
    return search.result()


def _nearest(found: float, square: Fraction) -> bool:
    """Whether a float is the one nearest to the square root of `square`: no half step away crosses it."""
    below, above = (Fraction(math.nextafter(found, to)) for to in (0.0, math.inf))
    low, high = (Fraction(found) + below) / 2, (Fraction(found) + above) / 2
    return (found == 0.0 or low**2 <= square) and square <= high**2


@given(ROWS, CUTS)
def test_the_figures_are_the_exact_ones_rounded_once(rows: list[tuple[float, int]], cuts: list[int]) -> None:
    found = {entry.group: entry for entry in _found(rows, cuts).entries}
    assert found.keys() == {NAMES[group] for _, group in rows}
    for name, entry in found.items():
        keys = [Fraction(key) for key, group in rows if NAMES[group] == name]
        mean = sum(keys, Fraction()) / len(keys)
        assert entry.rows == len(keys)
        assert entry.mean == mean.numerator / mean.denominator
        assert _nearest(entry.std, sum(((key - mean) ** 2 for key in keys), Fraction()) / len(keys))


@given(
    st.lists(st.tuples(WIDE | st.sampled_from([math.inf, -math.inf]), st.integers(0, 3)), max_size=30),
    CUTS,
    CUTS,
    st.randoms(),
)
def test_parts_and_order_do_not_matter(
    rows: list[tuple[float, int]], one: list[int], two: list[int], random: Any
) -> None:
    shuffled = random.sample(rows, len(rows))
    assert json.dumps(_found(rows, one).json()) == json.dumps(_found(shuffled, two).json())


@given(st.lists(st.tuples(SCORES, st.integers(0, 3)), min_size=1, max_size=30))
def test_numpy_agrees(rows: list[tuple[float, int]]) -> None:
    for entry in _found(rows, [], "float32").entries:
        keys = np.array([key for key, group in rows if NAMES[group] == entry.group])
        assert entry.mean == pytest.approx(keys.mean(), rel=1e-14)
        assert entry.std == pytest.approx(keys.std(), rel=1e-6, abs=1e-9)


def test_nothing_cancels() -> None:
    keys = np.array([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])
    assert _found([(key, 0) for key in keys], []).entries == (Moment("news", 1e9 + 10, math.sqrt(22.5), 4),)
    assert _found([(1e300, 0), (1.0, 0), (-1e300, 0)], [1]).entries[0].mean == 1 / 3
    assert _found([(0.1, 0)] * 1000, [3]).entries == (Moment("news", 0.1, 0.0, 1000),)


def test_the_ends_of_the_range() -> None:
    most, least = np.finfo(np.float64).max, 5e-324
    assert _found([(most, 0)] * 3, []).entries == (Moment("news", most, 0.0, 3),)
    assert _found([(most, 0), (-most, 0)], []).entries == (Moment("news", 0.0, most, 2),)
    assert _found([(least, 0), (-least, 0)], []).entries == (Moment("news", 0.0, least, 2),)


def test_infinities_are_what_arithmetic_makes_of_them() -> None:
    found = _found([(math.inf, 0), (1.0, 0), (-math.inf, 1), (math.inf, 2), (-math.inf, 2), (2.0, 3)], [1, 4])
    assert [(e.group, e.mean, e.rows) for e in found.entries if not math.isnan(e.mean)] == [
        (None, 2.0, 1),
        ("", -math.inf, 1),
        ("news", math.inf, 2),
    ]
    assert [math.isnan(entry.std) for entry in found.entries] == [False, True, True, True]
    again = StatisticResult.restore(json.loads(json.dumps(found.json(), allow_nan=False)))
    assert str(again) == str(found)


def test_nulls_count_nowhere() -> None:
    codes = np.array([0, 0, 0, 1])
    found = _of(sums(np.array([1.0, math.nan, 3.0, math.nan], np.float32), codes, ["a", "b"]))
    assert found.entries == (Moment("a", 2.0, 1.0, 2),)
    valid = np.array([True, False, True, False])
    assert _of(sums(np.array([1, 9, 3, 9]), codes, ["a", "b"], valid=valid)) == found
    assert np.array_equal(found.column(codes, ["a", "b"]), [2, 2, 2, math.nan], True)
    assert np.array_equal(replace(found, kind="std").column(codes, ["a", "b"]), [1, 1, 1, math.nan], True)


def test_no_rows_at_all() -> None:
    assert MomentSearch("mean").result().entries == ()
    assert _of(sums(np.zeros(0), np.zeros(0, np.int64), [])).entries == ()


def test_very_many_groups() -> None:
    random = np.random.default_rng(0)
    keys, codes = random.normal(size=30_000), random.integers(0, 10_000, 30_000)
    names = [str(i) for i in range(10_000)]
    whole = MomentSearch("mean")
    for start in range(0, 30_000, 15_000):
        whole.add(sums(keys[start : start + 15_000], codes[start : start + 15_000], names))
    found = whole.result()
    means = found.column(codes, names)
    for code in range(0, 10_000, 500):
        members = keys[codes == code]
        assert means[codes == code] == pytest.approx(math.fsum(members) / max(members.size, 1), rel=1e-15)
    assert len(found.entries) == len(np.unique(codes))


def test_keys_that_are_no_exact_floats_are_refused() -> None:
    with pytest.raises(ValueError, match=r"keys of 2\^53 or more"):
        sums(np.array([2**53 + 1]), np.array([0]), ["a"])
