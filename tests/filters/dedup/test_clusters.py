"""Components against scipy, in any order of edges, narrow and wide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from winnow.filters.dedup import clusters as module
from winnow.filters.dedup.clusters import Forest, equal_key_edges, row_type

EDGES = st.integers(1, 40).flatmap(
    lambda rows: st.tuples(
        st.just(rows),
        st.lists(st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1)), max_size=60),
        st.integers(0, 2**32),
        st.booleans(),
    )
)


def expected_labels(rows: int, edges: list[tuple[int, int]]) -> list[int]:
    """Per row its cluster, clusters numbered by their smallest row; -1 for a row alone."""
    a, b = [e[0] for e in edges], [e[1] for e in edges]
    _, of = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(rows, rows)), directed=False)
    crowded = [of[row] for row in range(rows) if (of == of[row]).sum() > 1]
    number = {cluster: i for i, cluster in enumerate(dict.fromkeys(crowded))}
    return [number.get(cluster, -1) for cluster in of]


@given(EDGES)
def test_components_are_scipys(case: tuple[int, list[tuple[int, int]], int, bool]) -> None:
    rows, edges, seed, wide = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WIDE", 1 if wide else 2**32 - 1)
        forest = Forest(rows)
        assert forest.nbytes == rows * (8 if wide else 4)
        shuffled = np.random.default_rng(seed).permutation(np.array(edges, np.uint64).reshape(-1, 2))
        middle = len(edges) // 2
        for some in (shuffled[:middle], shuffled[middle:]):
            forest.unite(some[:, 0], some[:, 1])
        labels, alone, clusters = forest.labels()
    expected = expected_labels(rows, edges)
    assert [-1 if label == alone else int(label) for label in labels] == expected
    assert clusters == max(expected) + 1


@given(st.lists(st.integers(0, 6), max_size=40))
def test_equal_keys_are_joined_and_no_others(keys: list[int]) -> None:
    rows = np.arange(len(keys), dtype=np.uint32) + np.uint32(7)
    a, b = equal_key_edges(np.array(keys, np.uint64), rows)
    assert a.size == len(keys) - len(set(keys))
    assert all(keys[int(x) - 7] == keys[int(y) - 7] for x, y in zip(a, b, strict=True))
    labels = expected_labels(len(keys), [(int(x) - 7, int(y) - 7) for x, y in zip(a, b, strict=True)]) if keys else []
    for i, key in enumerate(keys):
        for j, other in enumerate(keys[:i]):
            assert (key == other) == (labels[i] == labels[j] != -1)


def test_an_edge_outside_is_refused() -> None:
    with pytest.raises(IndexError, match="row 5, but there are 5 rows"):
        Forest(5).unite(np.array([1], np.uint32), np.array([5], np.uint32))


def test_rows_are_narrow_while_one_value_is_left_over() -> None:
    assert row_type(2**32 - 2) is np.uint32
    assert row_type(2**32 - 1) is np.uint64


def test_a_long_chain() -> None:
    rows = 300_000
    forest = Forest(rows)
    chain = np.arange(rows - 1, dtype=np.uint32)[::-1].copy()
    forest.unite(chain, chain + np.uint32(1))
    labels, _, clusters = forest.labels()
    assert clusters == 1
    assert not labels.any()
