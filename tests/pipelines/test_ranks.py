"""Quantiles and tops of columns that lie in parts, against sorting the whole column."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.pipelines.selection.grouped_counts import Cells, combined, labelled, ungrouped
from winnow.pipelines.selection.ranks import Quantiles, State, Top, histogram, ordered_bits
from winnow.pipelines.selection.statistic_result import Boundary, StatisticResult, Threshold

DTYPES = ("float32", "float64", "int32", "int64")
NAMES = ("news", "", "한국", None)

Row = tuple[Any, int, int, int]  # key (None: null), weight, hash, group


def _key(dtype: str) -> st.SearchStrategy[Any]:
    bits = int(dtype[-2:])
    whole = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    wide = whole if dtype.startswith("int") else st.floats(width=bits, allow_nan=False)  # type: ignore[call-overload]
    return st.one_of(st.integers(-3, 3), wide)


def _rows(dtype: str, most: int = 40) -> st.SearchStrategy[list[Row]]:
    hashes = st.one_of(st.integers(0, 3), st.integers(2**64 - 3, 2**64 - 1), st.integers(0, 2**64 - 1))
    weights = st.one_of(st.integers(0, 3), st.integers(0, 2**40))
    return st.lists(st.tuples(st.one_of(st.none(), _key(dtype)), weights, hashes, st.integers(0, 3)), max_size=most)


TABLES = st.sampled_from(DTYPES).flatmap(lambda dtype: st.tuples(st.just(dtype), _rows(dtype)))
CUTS = st.lists(st.integers(0, 40), max_size=4)


def _columns(dtype: str, rows: list[Row]) -> dict[str, Any]:
    """Keyword arguments of `histogram`; names in another order for every part, and only those that occur or not."""
    names = list(NAMES[len(rows) % 4 :] + NAMES[: len(rows) % 4])
    null = math.nan if dtype.startswith("float") else 0
    return {
        "keys": np.array([null if key is None else key for key, *_ in rows], dtype),
        "codes": np.array([names.index(NAMES[group]) for *_, group in rows], np.int32),
        "names": names,
        "valid": None if dtype.startswith("float") else np.array([row[0] is not None for row in rows], np.bool_),
        "weights": np.array([row[1] for row in rows], np.int64),
        "hashes": np.array([row[2] for row in rows], np.uint64),
    }


def _parts(dtype: str, rows: list[Row], cuts: list[int]) -> list[dict[str, Any]]:
    edges = [0, *sorted(cuts), len(rows)]
    return [_columns(dtype, rows[start:end]) for start, end in pairwise(edges)]


def _find(search: Quantiles | Top, parts: list[dict[str, Any]]) -> Any:
    passes = 0
    while not search.done:
        state = pickle.loads(pickle.dumps(search.state))
        for part in parts:
            given = {**part, "hashes": part["hashes"] if state.needs_hashes else None}
            if isinstance(search, Quantiles):
                given["weights"] = None
            search.add(pickle.loads(pickle.dumps(histogram(state, **given))))
        search.advance()
        passes += 1
    assert passes <= search.state.key_passes + (4 if isinstance(search, Top) else 0)
    return search.result()


def _by_group(rows: list[Row]) -> dict[str | None, list[Row]]:
    found: dict[str | None, list[Row]] = {}
    for row in rows:
        if row[0] is not None:
            found.setdefault(NAMES[row[3]], []).append(row)
    return found


def _sorted_top(rows: list[Row], budget: Callable[[int], int]) -> tuple[set[tuple[Any, int]], int]:
    """The (key, hash) kept by walking the sorted rows, those that share both together; and their weight."""
    ordered = sorted(rows, key=lambda row: (-row[0], row[2]))
    room = allowed = budget(sum(row[1] for row in rows))
    kept: list[Row] = []
    for row in ordered:
        if row[1] > room:
            kept = [k for k in kept if (k[0], k[2]) != (row[0], row[2])]
            break
        room -= row[1]
        kept.append(row)
    weight = sum(row[1] for row in kept)
    assert weight <= allowed
    return {(row[0], row[2]) for row in kept}, weight


@given(TABLES, CUTS, st.integers(0, 1000))
def test_quantiles_are_what_sorting_finds(table: tuple[str, list[Row]], cuts: list[int], thousandths: int) -> None:
    dtype, rows = table
    q = Fraction(thousandths, 1000)
    found = _find(Quantiles(thousandths / 1000, dtype), _parts(dtype, rows, cuts))
    wanted = []
    for name, members in _by_group(rows).items():
        keys = sorted(row[0] for row in members)
        value = next(key for i, key in enumerate(keys, 1) if Fraction(i, len(keys)) >= q)
        wanted.append(Threshold(name, value, len(keys)))
    assert sorted(found.entries, key=str) == sorted(wanted, key=str)


@given(TABLES, CUTS, st.integers(0, 64))
def test_quantiles_are_numpys_inverted_cdf(table: tuple[str, list[Row]], cuts: list[int], share: int) -> None:
    dtype, rows = table
    found = _find(Quantiles(share / 64, dtype), _parts(dtype, rows, cuts))
    assert len(found.entries) == len(_by_group(rows))
    for entry in found.entries:
        keys = np.array([row[0] for row in _by_group(rows)[entry.group]], dtype)
        assert entry.value == np.quantile(keys, share / 64, method="inverted_cdf")


@given(TABLES, CUTS, st.one_of(st.integers(0, 1000), st.none()), st.one_of(st.integers(0, 50), st.integers(0, 2**45)))
def test_tops_are_what_sorting_finds(
    table: tuple[str, list[Row]], cuts: list[int], thousandths: int | None, amount: int
) -> None:
    dtype, rows = table
    parts = _parts(dtype, rows, cuts)
    search = Top(dtype, amount=amount) if thousandths is None else Top(dtype, share=thousandths / 1000)
    found = _find(search, parts)

    def budget(total: int) -> int:
        return amount if thousandths is None else total * thousandths // 1000

    wanted = {name: _sorted_top(members, budget) for name, members in _by_group(rows).items()}
    assert {entry.group: entry.kept for entry in found.entries} == {
        name: weight for name, (_, weight) in wanted.items()
    }
    for part, start in zip(parts, np.cumsum([0, *(len(part["keys"]) for part in parts)]).tolist(), strict=False):
        kept = found.kept(part["keys"], part["hashes"], part["codes"], part["names"], valid=part["valid"])
        for row, here in zip(rows[start:], kept.tolist(), strict=False):
            assert here == (row[0] is not None and (row[0], row[2]) in wanted[NAMES[row[3]]][0])


@given(TABLES, CUTS, CUTS, st.integers(0, 20), st.randoms())
def test_parts_do_not_matter(
    table: tuple[str, list[Row]], one: list[int], two: list[int], twentieths: int, random: Any
) -> None:
    dtype, rows = table
    shuffled = random.sample(rows, len(rows))
    for search in (lambda: Quantiles(twentieths / 20, dtype), lambda: Top(dtype, share=twentieths / 20)):
        found = [_find(search(), _parts(dtype, *given)) for given in ((rows, one), (shuffled, two))]
        assert json.dumps(found[0].json()) == json.dumps(found[1].json())


@given(TABLES)
def test_histograms_add_up_in_any_bracketing(table: tuple[str, list[Row]]) -> None:
    dtype, rows = table
    state = Top(dtype, share=0.5).state
    a, b, c = (histogram(state, **_columns(dtype, rows[i::3])) for i in range(3))

    def entries(cells: Cells) -> set[tuple[object, ...]]:
        places = zip(cells.places.tolist(), cells.slots.tolist(), strict=True)
        return {(cells.names[g], s, *v) for (g, s), v in zip(places, cells.sums.T.tolist(), strict=True)}

    whole = entries(combined([a, b, c], 2))
    assert entries(combined([combined([c, a], 2), b], 2)) == whole
    assert entries(combined([a, combined([b, c], 2)], 2)) == whole


@given(st.sampled_from(DTYPES).flatmap(lambda d: st.tuples(st.just(d), _key(d), _key(d))))
def test_bits_have_the_order_of_keys(pair: tuple[str, Any, Any]) -> None:
    dtype, one, two = pair
    bits = ordered_bits(np.array([one, two], dtype))
    assert bits.dtype.itemsize == np.dtype(dtype).itemsize and bits.dtype.kind == "u"
    assert (bits[0] < bits[1]) == (one < two) and (bits[0] == bits[1]) == (one == two)


def test_zero_has_no_sign() -> None:
    for dtype in ("float32", "float64"):
        bits = ordered_bits(np.array([0.0, -0.0], dtype))
        assert bits[0] == bits[1]


@given(TABLES, CUTS)
def test_results_survive_json(table: tuple[str, list[Row]], cuts: list[int]) -> None:
    dtype, rows = table
    parts = _parts(dtype, rows, cuts)
    quantiles, top = _find(Quantiles(0.4, dtype), parts), _find(Top(dtype, share=0.4), parts)
    assert StatisticResult.restore(json.loads(json.dumps(quantiles.json(), allow_nan=False))) == quantiles
    assert StatisticResult.restore(json.loads(json.dumps(top.json(), allow_nan=False))) == top


@pytest.mark.parametrize("share", [0.0, 0.25, 0.7, 1.0])
def test_a_constant_score_is_cut_by_the_hashes(share: float) -> None:
    rows = 100_000
    codes, names = ungrouped(rows)
    hashes = np.random.default_rng(1).integers(0, 2**64 - 1, rows, np.uint64, endpoint=True)
    part = {"keys": np.full(rows, 0.5, np.float32), "codes": codes, "names": names, "weights": None, "valid": None}
    found = _find(Top("float32", share=share), [{**part, "hashes": hashes}])
    kept = found.kept(part["keys"], hashes, codes, names)
    assert kept.sum() == found.entries[0].kept == round(rows * share)
    assert share in (0.0, 1.0) or hashes[kept].max() < hashes[~kept].min()


def test_many_groups_and_many_parts() -> None:
    random = np.random.default_rng(3)
    keys = random.normal(size=60_000).astype(np.float32)
    groups = random.integers(0, 3_000, 60_000)
    labels = [f"group {i}" for i in range(3_000)]
    search = Quantiles(0.7, "float32")
    while not search.done:
        for start in range(0, 60_000, 1_000):
            here = slice(start, start + 1_000)
            codes, names = labelled(pa.array([labels[i] for i in groups[here]]))
            search.add(histogram(search.state, keys[here], codes, names))
        search.advance()
    found = search.result().column(groups, labels)
    for i in range(0, 3_000, 100):
        wanted = np.quantile(keys[groups == i], 0.7, method="inverted_cdf")
        assert (found[groups == i] == wanted).all()


def test_rows_of_groups_without_a_figure() -> None:
    quantiles = StatisticResult("quantile", (Threshold(None, 1.5, 3), Threshold("a", -math.inf, 1)), "float32")
    codes = np.array([0, 1, 2, 0])
    assert np.array_equal(quantiles.column(codes, ["b", "a", None]), [math.nan, -math.inf, 1.5, math.nan], True)
    top = StatisticResult("top", (Boundary("a", 0.5, 7, 1, 1), Boundary(None, 0.5, None, 1, 1)), "float32")
    keys, hashes = np.array([0.5, 0.5, 0.5, math.nan], np.float32), np.array([7, 8, 0, 0], np.uint64)
    assert top.kept(keys, hashes, np.array([0, 0, 1, 0]), ["a", None]).tolist() == [True, False, False, False]
    assert not top.kept(keys + 1, hashes, np.array([0, 0, 0, 0]), ["b"]).any()
    assert top.kept(keys + 1, hashes, codes, ["b", "a", None], valid=np.array([1, 0, 1, 1], np.bool_)).tolist() == [
        False,
        False,
        True,
        False,
    ]


def test_labels_become_codes() -> None:
    labels = pa.chunked_array([["a", None], ["b", "a"]], pa.large_string())
    codes, names = labelled(labels)
    assert [names[code] for code in codes] == ["a", None, "b", "a"]
    assert labelled(pa.array([], pa.string()))[1] == []


def test_no_rows_at_all() -> None:
    for search in (Quantiles(0.5, "int64"), Top("float64", amount=5)):
        search.advance()
        assert search.done and search.result().entries == ()


@pytest.mark.parametrize("wrong", [-0.1, 1.5, math.nan, math.inf])
def test_what_is_no_share_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"the quantile is .* expected a number from 0 to 1"):
        Quantiles(wrong, "float32")
    with pytest.raises(ValueError, match=r"the share is .* expected a number from 0 to 1"):
        Top("float32", share=wrong)


def test_wrong_searches_are_refused() -> None:
    with pytest.raises(ValueError, match="either a share or an amount"):
        Top("float32")
    with pytest.raises(ValueError, match="either a share or an amount"):
        Top("float32", share=0.5, amount=3)
    with pytest.raises(ValueError, match="amount is -1"):
        Top("float32", amount=-1)
    with pytest.raises(ValueError, match="of type float16, expected one of float32, int32"):
        Quantiles(0.5, "float16")


def _state() -> State:
    return Top("float32", share=0.5).state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.array([1, -1])}, "expected integers from 0"),
        ({"weights": np.array([1.0, 2.0])}, "weights are float64"),
        ({"weights": np.array([2**61, 2**61])}, "2\\^62 or more"),
    ],
)
def test_weights_that_cannot_be_counted_are_refused(change: dict[str, Any], message: str) -> None:
    good = {"keys": np.zeros(2, np.float32), "codes": np.array([0, 1]), "names": ["a", "b"]}
    with pytest.raises(ValueError, match=message):
        histogram(_state(), **{**good, **change})


def test_a_pass_over_other_rows_is_noticed() -> None:
    part = {"keys": np.arange(5, dtype=np.float32), "codes": np.zeros(5, np.int64), "names": ["a"]}
    for times in (0, 2):
        search = Quantiles(0.5, "float32")
        search.add(histogram(search.state, **part))
        search.advance()
        for _ in range(times):
            search.add(histogram(search.state, **part))
        with pytest.raises(ValueError, match=r"group 'a' has \d rows in pass 2, expected the 1 that pass 1 found"):
            search.advance()


def test_an_int64_threshold_is_never_rounded() -> None:
    found = _find(Quantiles(0.5, "int64"), [_columns("int64", [(2**62 + 1, 1, 0, 0)])])
    assert found.entries[0].value == 2**62 + 1
    with pytest.raises(ValueError, match="4611686018427387905 of group 'news' is no float64"):
        found.column(np.array([0]), ["news"])
