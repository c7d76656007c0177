"""The lookup in indexes against a plain dictionary, whatever the blocks, the number of indexes and the slices."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.dedup import index as lookup
from winnow.filters.dedup.clusters import Forest
from winnow.filters.dedup.index import KnownMatches, first_numbers, known_edges
from winnow.stages.duplicate_index import (
    DuplicateIndexError,
    IndexWriter,
    StoredIndex,
    numbers_type,
    read_index,
    read_indexes,
)

Known = list[tuple[int, int]]  # id, key of one band


def write(folder: Path, known: Known) -> StoredIndex:
    """An index of one band."""
    ids = sorted({i for i, _ in known})
    writer = IndexWriter(LocalFileSystem(), str(folder))
    folder.mkdir(parents=True)
    raw = b"".join(i.to_bytes(16, "big") for i in ids)
    writer.ids(np.frombuffer(raw, np.dtype((np.void, 16))))
    pairs = sorted({(key, ids.index(i)) for i, key in known})
    writer.band(0, np.array([k for k, _ in pairs], np.uint64), np.array([n for _, n in pairs], np.uint32))
    writer.manifest({"bands": 1}, {"run": folder.name})
    found = read_index(str(folder))
    assert found is not None
    return found


keys = st.integers(0, 12) | st.sampled_from([2**64 - 1, 2**63, 2**40])
known = st.lists(st.tuples(st.integers(0, 30) | st.just(2**128 - 1), keys), max_size=30)


@settings(max_examples=80)
@given(st.lists(known, max_size=3), st.lists(keys, max_size=25), st.integers(1, 5))
def test_every_known_document_that_shares_a_key_is_met_once(made: list[Known], new: list[int], block: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "BLOCK", block)
        index = [write(Path(folder) / str(n), one) for n, one in enumerate(made)]
        rows = np.arange(3, 3 + len(new), dtype=np.uint32)
        met, found = known_edges(index, 0, np.array(new, np.uint64), rows)
        starts = first_numbers(index)
        want = []
        for start, one in zip(starts, made, strict=False):
            ids = sorted({i for i, _ in one})
            pairs = {(key, ids.index(i)) for i, key in one if key in new}
            want += [(3 + new.index(key), int(start) + number) for key, number in pairs]
        assert sorted(zip(met.tolist(), found.tolist(), strict=True)) == sorted(want)
        assert (met.dtype, found.dtype, int(starts[-1])) == (
            np.uint32,
            np.uint64,
            sum(len({i for i, _ in o}) for o in made),
        )


@settings(max_examples=80)
@given(st.lists(known, min_size=1, max_size=3), st.lists(st.tuples(keys, keys), min_size=1, max_size=12))
def test_clusters_are_named_after_the_smallest_known_document(made: list[Known], new: list[tuple[int, int]]) -> None:
    """Two batches of edges, as of two bands; the clusters by colouring the graph until nothing changes."""
    with tempfile.TemporaryDirectory() as folder:
        index = [write(Path(folder) / str(n), one) for n, one in enumerate(made)]
        forest, met = Forest(len(new)), KnownMatches()
        rows = np.arange(len(new), dtype=np.uint32)
        for band in (0, 1):
            column = np.array([pair[band] for pair in new], np.uint64)
            for one, other in ((a, b) for a in rows for b in rows if a < b and column[a] == column[b]):
                forest.unite(np.array([one]), np.array([other]))
            met.add(forest, *known_edges(index, 0, column, rows))
        labels, alone, clusters = forest.labels()
        clusters = met.number_alone(labels, alone, clusters)
        numbers, names = met.names(index, labels)
        nodes: dict[object, set[int]] = defaultdict(set)  # a key of a band, or a known document -> rows
        for row, pair in enumerate(new):
            for band, key in enumerate(pair):
                nodes["band", band, key].add(row)
                for g, one in enumerate(made):
                    for i in {i for i, k in one if k == key}:
                        nodes["known", g, i].add(row)
        colour = list(range(len(new)))
        for _ in new:
            for members in nodes.values():
                for row in members:
                    colour[row] = min(colour[m] for m in members)
        smallest: dict[int, int] = {}
        for node, members in nodes.items():
            if isinstance(node, tuple) and node[0] == "known":
                one = colour[min(members)]
                smallest[one] = min(smallest.get(one, 2**128), int(node[2]))
        named = {int(n): int(name, 16) for n, name in zip(numbers, names, strict=True)}
        assert {colour[row]: named[int(labels[row])] for row in rows if int(labels[row]) in named} == smallest
        assert all(labels[a] == labels[b] for a in rows for b in rows if colour[a] == colour[b] and a != b)
        assert (
            len(set(labels[labels != alone].tolist()))
            == clusters
            == len({c for c in colour if colour.count(c) > 1 or c in smallest})
        )


def test_a_place_may_be_an_index_a_folder_of_them_or_a_glob(tmp_path: Path) -> None:
    one, two = write(tmp_path / "k" / "one", [(1, 1)]), write(tmp_path / "k" / "two", [(2, 1)])
    write(tmp_path / "k" / ".three.remembering", [(3, 1)])
    (tmp_path / "k" / "half").mkdir()
    (tmp_path / "k" / "notes.txt").touch()
    write(tmp_path / "elsewhere", [(1, 1)])
    both = sorted([one, two], key=lambda g: g.manifest.digest)

    def urls(*places: Path | str) -> Sequence[StoredIndex]:
        return read_indexes([str(place) for place in places])

    assert (
        urls(tmp_path / "k")
        == urls(tmp_path / "k" / "*")
        == urls(f"{tmp_path}/*/*o*")
        == urls(f"{tmp_path}/k/")
        == both
    )
    assert urls(one.url, two.url, one.url, tmp_path / "k", tmp_path / "elsewhere") == both
    assert urls(f"file://{two.url}")[0].manifest == two.manifest
    assert urls() == urls(tmp_path / "k" / "half") == urls(tmp_path / "none" / "*") == []
    with pytest.raises(
        DuplicateIndexError, match=r"none' is not there: expected a duplicate index .* or '.*/none/\*' where"
    ):
        urls(tmp_path / "none")
    with pytest.raises(DuplicateIndexError, match="cannot be opened"):
        urls("gopher://host/known")
    write(tmp_path / "k" / "[odd]", [(5, 1)])
    assert [g.manifest.made_from["run"] for g in urls(tmp_path / "k" / "[odd]")] == ["[odd]"]


def test_an_id_is_found_and_files_are_as_small_as_said(tmp_path: Path) -> None:
    ids = [n * 3**70 for n in range(1_000)]
    index = write(tmp_path / "g", [(i, i % 2**64) for i in ids])
    assert all(index.holds(f"{i:032x}") for i in ids[::50])
    assert not any(index.holds(f"{i + 1:032x}") for i in ids[::50]) and not index.holds("f" * 32)
    assert sum(file.bytes for file in index.manifest.files.values()) == 1_000 * (16 + 12)
    assert [numbers_type(n).itemsize for n in (0, 2**32, 2**32 + 1)] == [4, 4, 8]
    (tmp_path / "g" / "ids").unlink()
    with pytest.raises(DuplicateIndexError, match="'ids' is missing, expected 16,000"):
        index.check()
    with pytest.raises(DuplicateIndexError, match="ids: cannot be read, expected 1,000 rows"):
        index.holds("0" * 32)
