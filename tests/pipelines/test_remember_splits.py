"""Any split of documents into snapshots: a later one keeps what is new, and nothing else, by keys recomputed by hand."""

from __future__ import annotations

import importlib.util
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.pipelines.results.dedup_index import write_index
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.duplicate_index import read_index
from winnow.stages.minhash import MinHash
from winnow.stages.opening import opened

Row = tuple[str, str]  # id as the source has it, text


def _beside(name: str) -> Any:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


snapshots = _beside("known_snapshots")
go, identity, kept = snapshots.go, snapshots.identity, snapshots.kept
snapshot, table = snapshots.snapshot, snapshots.table


@dataclass(frozen=True)
class Reference:
    """Who survives in a set of documents, from the keys alone, in plain Python."""

    keys: dict[str, list[int]]
    length: dict[str, int]

    def clusters(self, ids: Iterable[str]) -> list[set[str]]:
        """Connected components of documents that share a band's key."""
        by_key: dict[tuple[int, int], list[str]] = defaultdict(list)
        for i in ids:
            for band, key in enumerate(self.keys[i]):
                by_key[band, key].append(i)
        out = {i: {i} for i in ids}
        for members in by_key.values():
            for other in members[1:]:
                one, two = out[members[0]], out[other]
                if one is not two:
                    one |= two
                    for i in two:
                        out[i] = one
        return list({id(cluster): cluster for cluster in out.values()}.values())

    def stays(self, cluster: Iterable[str]) -> str:
        return min(cluster, key=lambda i: (-self.length[i], i))

    def meets(self, one: Iterable[str], other: Iterable[str]) -> bool:
        have = {(band, key) for i in other for band, key in enumerate(self.keys[i])}
        return any((band, key) in have for i in one for band, key in enumerate(self.keys[i]))


def reference(rows: Sequence[Row], chosen: dict[str, int]) -> Reference:
    stage = MinHash(name="dedup", settings=MinHash.Settings(**chosen), pack=language_pack("ko"))
    empty = [None] * len(rows)
    ids = [identity(i) for i, _ in rows]
    columns = {"id": ids, "url": empty, "date": empty, "title": empty, "source": ["s"] * len(rows)}
    batch = pa.RecordBatch.from_pydict({**columns, "text": [t for _, t in rows]}, schema=DOCUMENT_SCHEMA)
    found = opened(stage).measure(batch)
    bands = [found.column(n).to_pylist() for n in stage.hidden() if n.startswith("_band_")]
    keys = {i: [b[n] for b in bands if b[n] is not None] for n, i in enumerate(ids)}
    return Reference(keys, dict(zip(ids, found.column("_chars").to_pylist(), strict=True)))


def _changed(edits: Sequence[tuple[int, str]]) -> str:
    """One text of ten words with some of them replaced."""
    words = list("사아자차카타파하고도")
    for at, word in edits:
        words[at] = word
    return " ".join(words)


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[list[Row]], list[list[Row]], list[list[Row]]]:
    """Short documents of few words, split into A, B and C, none empty, each in up to three files; ids are distinct."""
    word = st.sampled_from(["가", "나", "다", "라", "마", "바", "1"])
    near = st.lists(st.tuples(st.integers(0, 9), word), max_size=3).map(_changed)  # some bands are shared, others not
    texts = draw(st.lists(near | st.lists(word, max_size=9).map(" ".join), min_size=3, max_size=26))
    rows = [(f"d{n}", t) for n, t in enumerate(texts)]
    out: list[list[list[Row]]] = [[[], [], []] for _ in range(3)]
    for number, row in enumerate(rows):
        out[number if number < 3 else draw(st.integers(0, 2))][draw(st.integers(0, 2))].append(row)
    a, b, c = out
    return a, b, c


@settings(max_examples=8)
@given(splits())
def test_any_split_keeps_what_is_new_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[list[list[Row]], list[list[Row]], list[list[Row]]]
) -> None:
    """B against A, and C against both: what survives is what of B (C) alone survives, but for clusters that share a key
    with something kept before. Clusters of B that no A is in are the joint run's too, with the same survivors."""
    chosen = {"bands": 3, "rows": 2, "ngram": 3}
    folder = tmp_path_factory.mktemp("split")
    truth = reference([row for files in case for rows in files for row in rows], chosen)
    before: set[str] = set()
    for name, files in zip("abc", case, strict=True):
        run = go(snapshot(folder, name, files, known=f"{folder}/known/*", **chosen))
        mine = [identity(i) for rows in files for i, _ in rows]
        clusters = truth.clusters(mine)
        new = [cluster for cluster in clusters if not truth.meets(cluster, before)]
        found = kept(run)
        assert found == {truth.stays(cluster) for cluster in new}
        assert all(not truth.meets([i], before) for i in found)
        rows_of = table(run)
        for cluster in clusters:
            for i in cluster:
                assert rows_of[i]["known"] == (cluster not in new)
                if cluster in new:
                    assert (rows_of[i]["cluster"], rows_of[i]["copies"]) == (truth.stays(cluster), len(cluster))
                else:
                    assert rows_of[i]["cluster"] in before and truth.meets(
                        clusters_of(rows_of, i), [str(rows_of[i]["cluster"])]
                    )
        if name == "b":
            joint = truth.clusters([*before, *mine])
            assert found == {truth.stays(cluster) for cluster in joint if not cluster & before}
        write_index(run, folder / "known" / name)
        before |= found
    indexes = [read_index(str(folder / "known" / name)) for name in "abc"]
    assert sum(g.documents for g in indexes if g) == len(before)
    held = np.concatenate([g.ids(np.arange(g.documents)) for g in indexes if g])
    assert {i.decode() for i in held} == before


def clusters_of(rows: dict[str, dict[str, object]], document: str) -> list[str]:
    """The documents that the run put into a document's cluster."""
    frame = pl.DataFrame({"id": list(rows), "cluster": [row["cluster"] for row in rows.values()]})
    return frame.filter(pl.col("cluster") == rows[document]["cluster"]).get_column("id").to_list()
