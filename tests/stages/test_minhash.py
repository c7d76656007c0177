"""Near-duplicates: clusters and survivors, whatever the partitions; recall on real duplicates, none on paraphrases."""

from __future__ import annotations

import json
import pickle
import random
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.filters.languages import language_pack
from winnow.stages import minhash
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.duplicate_index import IndexWriter
from winnow.stages.minhash import MinHash
from winnow.stages.opening import opened

Row = tuple[str, str]  # id, text


@dataclass(frozen=True)
class MemoryPart:
    """A part whose rows are a table; remembers which columns were asked for."""

    index: int
    table: pa.Table
    asked: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def read(self, columns: Sequence[str]) -> pa.Table:
        self.asked.extend(columns)
        return self.table.select(list(columns))


def stage(language: str = "ko", **chosen: Any) -> MinHash:
    return MinHash(name="dedup", settings=MinHash.Settings(**chosen), pack=language_pack(language))


def batch(rows: Sequence[Row]) -> pa.RecordBatch:
    empty: dict[str, list[Any]] = dict.fromkeys(["url", "date", "title"], [None] * len(rows))
    columns: dict[str, list[Any]] = {
        "id": [i for i, _ in rows],
        "text": [text for _, text in rows],
        "source": ["test"] * len(rows),
    }
    return pa.RecordBatch.from_pydict(empty | columns, schema=DOCUMENT_SCHEMA)


def parts_of(dedup: MinHash, groups: Iterable[Sequence[Row]]) -> list[MemoryPart]:
    parts = []
    for index, rows in enumerate(groups):
        documents = batch(rows)
        measured = opened(dedup).measure(documents)
        assert dict(zip(measured.schema.names, measured.schema.types, strict=True)) == dedup.hidden()
        columns = {name: measured.column(name) for name in measured.schema.names}
        parts.append(MemoryPart(index, pa.table({"id": documents.column("id")} | columns)))
    return parts


def reduced(dedup: MinHash, parts: Sequence[MemoryPart]) -> list[tuple[str, str, int, bool]]:
    """Exchange and reduce as the engine runs them: id, cluster, copies, representative, row by row."""
    buckets = dedup.buckets(sum(part.rows for part in parts))
    batches = list(
        opened(dedup).reduce(parts, (opened(dedup).exchange(bucket, buckets, parts) for bucket in range(buckets)))
    )
    assert len(batches) == len(parts)
    out = []
    for part, signals in zip(parts, batches, strict=True):
        assert dict(zip(signals.schema.names, signals.schema.types, strict=True)) == dedup.signals()
        columns = [signals.column(name).to_pylist() for name in ("cluster", "copies", "representative")]
        out += list(zip(part.table.column("id").to_pylist(), *columns, strict=True))
    return out


def dedup(rows: Sequence[Row], **chosen: Any) -> dict[str, tuple[str, int, bool]]:
    one = stage(**chosen)
    return {i: (cluster, copies, stays) for i, cluster, copies, stays in reduced(one, parts_of(one, [rows]))}


SENTENCE = "가을이 오면 산에 붉은 단풍이 들고 사람들은 길을 따라 천천히 걸으며 지난 여름을 이야기한다"


def test_the_longest_stays_then_the_smallest_id() -> None:
    rows = [
        ("d", SENTENCE),
        ("c", SENTENCE + " !!!"),
        ("b", SENTENCE + " !!!"),
        ("a", SENTENCE),
        ("e", "다른 이야기를 하는 글이 하나 더 있다"),
    ]
    assert dedup(rows) == {
        "a": ("b", 4, False),
        "b": ("b", 4, True),
        "c": ("b", 4, False),
        "d": ("b", 4, False),
        "e": ("e", 1, True),
    }


def test_empty_texts_are_nobodys_duplicates() -> None:
    found = dedup([("a", ""), ("b", ""), ("c", " \n"), ("d", "..."), ("e", "말"), ("f", "말!")])
    assert {i: copies for i, (_, copies, _) in found.items()} == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 2}
    assert found["f"] == ("f", 2, True)


def test_a_record_read_twice_stays_once() -> None:
    one = stage()
    rows = [("a", SENTENCE), ("b", "다른 글"), ("a", SENTENCE), ("b", "다른 글")]
    for groups in ([rows], [rows[:1], rows[1:]], [rows[2:], [], rows[:2]]):
        found = reduced(one, parts_of(one, groups))
        assert sorted(found) == [("a", "a", 2, False), ("a", "a", 2, True), ("b", "b", 2, False), ("b", "b", 2, True)]


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[Row], int]:
    """Short documents of few words, many of them equal up to punctuation, ids of several lengths, some shared."""
    word = st.sampled_from(["가", "나", "다", "라", "a", "1"])
    text = st.lists(word, max_size=9).map(" ".join) | st.sampled_from(["", "!", "가 나", "가  나!", "가, 나"])
    rows = draw(st.lists(st.tuples(st.text("abé가", min_size=1, max_size=3), text), max_size=24))
    return rows, draw(st.integers(0, 2**32))


@settings(max_examples=60)
@given(corpora())
def test_partitions_and_their_order_do_not_matter(case: tuple[list[Row], int]) -> None:
    rows, seed = case
    rng = random.Random(seed)
    one = stage(bands=4, rows=2, ngram=3)
    expected = sorted(reduced(one, parts_of(one, [rows])))
    figures = opened(one).report()
    shuffled = rng.sample(rows, len(rows))
    cuts = sorted(rng.randrange(len(rows) + 1) for _ in range(rng.randrange(5)))
    groups = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    assert sorted(reduced(one, parts_of(one, groups))) == expected
    assert opened(one).report() == figures
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "SLICE_ROWS", 3)
        assert sorted(reduced(one, parts_of(one, groups))) == expected


@settings(max_examples=60)
@given(corpora())
def test_every_cluster_has_one_survivor_and_the_figures_add_up(case: tuple[list[Row], int]) -> None:
    rows, _ = case
    one = stage(bands=4, rows=2, ngram=3)
    found = reduced(one, parts_of(one, [rows]))
    survivors = [(cluster, copies) for _, cluster, copies, stays in found if stays]
    assert sum(copies for _, copies in survivors) == len(rows)
    assert all(i == cluster for i, cluster, _, stays in found if stays)
    assert opened(one).report() == {
        "documents": len(rows),
        "clusters": len(survivors),
        "duplicates": len(rows) - len(survivors),
        "largest": max((copies for _, copies in survivors), default=0),
    }


def remembered(folder: Path, one: MinHash, rows: Sequence[Row]) -> None:
    """An index of documents, whose ids are 32 hex digits."""
    rows = sorted(rows)
    measured = opened(one).measure(batch(rows))
    writer = IndexWriter(LocalFileSystem(), str(folder))
    folder.mkdir()
    writer.ids(np.frombuffer(bytes.fromhex("".join(i for i, _ in rows)), np.dtype((np.void, 16))))
    for band in range(one.settings.bands):
        column = measured.column(f"_band_{band:02d}").to_pylist()
        pairs = sorted((key, number) for number, key in enumerate(column) if key is not None)
        keys, numbers = (np.array([pair[n] for pair in pairs], np.uint64) for n in (0, 1))
        writer.band(band, keys, numbers)
    writer.manifest(one.scheme(), {"run": "runs/a"})


def changed(edits: Sequence[tuple[int, str]]) -> str:
    """One text of ten words with some of them replaced."""
    words = list("사아자차카타파하고도")
    for at, word in edits:
        words[at] = word
    return " ".join(words)


near = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("가나다")), max_size=3).map(changed)


@settings(max_examples=40)
@given(st.lists(near | st.sampled_from(["", "!", "가 나"]), max_size=20), st.integers(0, 20))
def test_known_documents_change_their_clusters_and_no_others(texts: list[str], cut: int) -> None:
    """A cluster of the new documents alone is known where one of them has a key of a known document."""
    rows = [(f"{n:032x}", text) for n, text in enumerate(texts)]
    before, now = rows[:cut], rows[cut:]
    alone = stage(bands=4, rows=2, ngram=3)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        remembered(Path(folder) / "a", alone, before)
        one = stage(bands=4, rows=2, ngram=3, known=folder)
        found = reduced(one, parts_of(one, [now[::2], now[1::2]]))
        patch.setattr(minhash, "SLICE_ROWS", 3)
        again = pickle.loads(pickle.dumps(one))
        assert again == one and again.artifacts() == one.artifacts() != []
        assert sorted(reduced(again, parts_of(again, [now]))) == sorted(found)
        assert opened(one).report()["known"] == sum(cluster in dict(before) for _, cluster, _, _ in found)
    measured = opened(alone).measure(batch(rows))
    bands = [measured.column(f"_band_{band:02d}").to_pylist() for band in range(4)]
    keys = {i: {(band, column[n]) for band, column in enumerate(bands)} for n, (i, _) in enumerate(rows)}
    theirs = {pair for i, _ in before for pair in keys[i] if pair[1] is not None}
    by_themselves = reduced(alone, parts_of(alone, [now]))
    meeting = {cluster for i, cluster, _, _ in by_themselves if keys[i] & theirs}
    expected = {row[0]: row for row in by_themselves}
    for i, cluster, copies, stays in found:
        if expected[i][1] in meeting:
            assert cluster in dict(before) and not stays
            assert copies == 1 + sum(c == cluster for _, c, _, _ in found)
        else:
            assert (i, cluster, copies, stays) == expected[i]


def test_an_exchange_reads_its_own_band_and_nothing_else() -> None:
    one = stage()
    parts = parts_of(one, [[("a", SENTENCE)], [("b", SENTENCE)]])
    edges = opened(one).exchange(3, one.buckets(2), parts)
    assert [part.asked for part in parts] == [["_band_03"], ["_band_03"]]
    assert edges.to_pydict() == {"a": [0], "b": [1]}


def test_the_number_of_buckets_depends_on_the_rows_alone() -> None:
    assert [stage().buckets(rows) for rows in (0, 1, 2, 2**24 - 1, 2**24, 10**9)] == [0, 0, 14, 14, 28, 14 * 60]
    assert [stage(known="none-*").buckets(rows) for rows in (0, 1, 2)] == [0, 14, 14]


def test_nothing_in_nothing_out() -> None:
    one = stage()
    assert reduced(one, []) == []
    assert reduced(one, parts_of(one, [[], []])) == []
    assert opened(one).report() == {"documents": 0, "clusters": 0, "duplicates": 0, "largest": 0}


def test_characters_count_in_languages_written_without_spaces() -> None:
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    one = stage("ja")
    found = reduced(one, parts_of(one, [[("a", text), ("b", text.replace("。", "。\n")), ("c", "別の文章です。")]]))
    assert [row[1] for row in found] == ["b", "b", "c"]


def test_it_travels_to_workers_and_measures_the_same() -> None:
    one = stage()
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert opened(again).measure(batch([("a", SENTENCE)])).equals(opened(one).measure(batch([("a", SENTENCE)])))
    assert one.clauses() == {"copy": "representative"}
    assert one.measured_signals() == {}


def test_a_part_that_lost_rows_is_refused() -> None:
    class Short(MemoryPart):
        def read(self, columns: Sequence[str]) -> pa.Table:
            return super().read(columns).slice(1)

    one = stage()
    whole = parts_of(one, [[("a", SENTENCE), ("b", SENTENCE)]])[0]
    with pytest.raises(StageError, match="dedup: part 0 gave 1 rows of _band_00, expected its 2 selected rows"):
        opened(one).exchange(0, 14, [Short(0, whole.table)])


def test_settings_out_of_range_are_refused() -> None:
    refused: list[dict[str, Any]] = [{"bands": 0}, {"rows": 0}, {"ngram": 0}, {"band": 14}]
    for wrong in refused:
        with pytest.raises(ValidationError):
            stage(**wrong)


def shingles(text: str) -> set[tuple[str, ...]]:
    """Word 5-grams after a plain normalisation: lower case, each number as 0, letters, marks and digits kept."""
    folded = re.sub(r"\d+([.,]\d+)?", "0", text)
    words = "".join(c.lower() if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def test_recall_on_real_near_duplicates_is_the_theoretical_one(data: Path) -> None:
    """Same-page pairs of seven builds of a manual, by word 5-gram similarity; candidate pairs before transitivity."""
    lines = (data / "dup-ko-ig-arch" / "docs.jsonl").read_text("utf-8").splitlines()
    rows = [(row["id"], unicodedata.normalize("NFC", row["text"])) for row in map(json.loads, lines)]
    sets = {i: shingles(text) for i, text in rows}
    bands = {False: [0.0, 0.0, 0.0], True: [0.0, 0.0, 0.0]}  # near or far -> pairs, joined, expected
    exact, joined_exact = 0, 0
    seeds = range(4)
    keys = []
    for seed in seeds:
        one = stage(seed=seed)
        measured = opened(one).measure(batch(rows))
        columns = [measured.column(f"_band_{j:02d}").to_pylist() for j in range(14)]
        keys.append({row[0]: [column[k] for column in columns] for k, row in enumerate(rows)})
    for line in (data / "dup-ko-ig-arch" / "pairs.tsv").read_text("utf-8").splitlines()[1:]:
        a, b, _ = line.split("\t")
        similarity = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for chosen in keys:
            joined = any(x == y for x, y in zip(chosen[a], chosen[b], strict=True))
            if similarity == 1:
                exact, joined_exact = exact + 1, joined_exact + joined
            else:
                tally = bands[similarity >= 0.8]
                tally[0] += 1
                tally[1] += joined
                tally[2] += 1 - (1 - similarity**8) ** 14
    assert exact > 4 * 700 and joined_exact == exact
    for pairs, joined_pairs, expected in bands.values():
        assert pairs > 4 * 100
        assert joined_pairs / pairs == pytest.approx(expected / pairs, abs=0.05)


def merged_without_reason(texts: list[str]) -> tuple[int, int]:
    """How many texts share a cluster with another, and how many of those are less than .5 like any text in it."""
    one = stage()
    rows = [(f"{i:032x}", unicodedata.normalize("NFC", text)) for i, text in enumerate(texts)]
    clusters: dict[str, list[str]] = {}
    for (_, text), (_, cluster, _, _) in zip(rows, reduced(one, parts_of(one, [rows])), strict=True):
        clusters.setdefault(cluster, []).append(text)
    merged = wrong = 0
    for members in clusters.values():
        sets = [shingles(text) for text in members]
        if len(sets) > 1:
            merged += len(sets)
            for k, one_set in enumerate(sets):
                others = sets[:k] + sets[k + 1 :]
                wrong += max(len(one_set & other) / len(one_set | other) for other in others) < 0.5
    return merged, wrong


def test_paraphrases_are_not_merged(data: Path) -> None:
    """Few words make few shingles: two paraphrases with one of three in common are joined once in 470 pairs."""
    parakqc = (data / "dup-ko-parakqc" / "data" / "paraKQC_v1.txt").read_text("utf-8").splitlines()
    texts = [line.split("\t")[2] for line in parakqc]
    merged, wrong = merged_without_reason(texts)
    assert len(texts) >= 9_900
    assert wrong <= 0.0005 * len(texts)
    assert merged < 0.01 * len(texts)


def test_question_pairs_are_merged_only_where_they_are_the_same_text(data: Path) -> None:
    lines = (data / "dup-ko-question-pair" / "train.txt").read_text("utf-8").splitlines()[1:]
    texts = sorted({text for line in lines for text in line.split("\t")[:2]})
    _, wrong = merged_without_reason(texts)
    assert wrong == 0
