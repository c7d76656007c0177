"""The `tokenize` stage: ids per document, plans from the selection alone, shards that hold exactly that selection."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.tokenize import KIND, Tokenize
from winnow.tokenize.reader import ShardSet
from winnow.tokenize.tokenizer import find, load

PACK = language_pack("ko")


def stage(**given: object) -> Tokenize:
    return Tokenize(name="shards", settings=Tokenize.Settings(**given), pack=PACK)


def batch(texts: Sequence[str], first: int = 0) -> pa.RecordBatch:
    n = len(texts)
    columns = [
        pa.array([f"{first + i:032x}" for i in range(n)], pa.string()),
        pa.nulls(n, pa.string()),
        pa.nulls(n, pa.string()),
        pa.array(["test"] * n, pa.string()),
        pa.nulls(n, pa.string()),
        pa.array(texts, pa.large_string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENT_SCHEMA)


@dataclass
class Held:
    """A partition held in memory, with the stage's signals under their dotted names."""

    index: int
    table: pa.Table

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def read(self, columns: Sequence[str]) -> pa.Table:
        return self.table.select(list(columns))


def measured(node: Tokenize, partitions: Sequence[Sequence[str]]) -> list[Held]:
    parts, first = [], 0
    for index, texts in enumerate(partitions):
        documents = batch(texts, first)
        signals = node.measure(documents)
        table = pa.table(
            {
                "id": documents.column("id"),
                "shards.tokens": signals.column("tokens"),
                "_input_ids": signals.column("_input_ids"),
                "quality.score": pa.array([(first + i) / 100 for i in range(len(texts))], pa.float64()),
            }
        )
        parts.append(Held(index, table))
        first += len(texts)
    return parts


def times(*columns: Sequence[int]) -> list[pa.Array]:
    return [pa.array(column, pa.uint16()) for column in columns]


def handed_off(node: Tokenize, parts: Sequence[Held], multiplicity: list[pa.Array], folder: Path) -> ShardSet:
    plans = [pickle.loads(pickle.dumps(plan)) for plan in node.plan(parts, multiplicity)]
    entries = {plan.shard: node.write(plan, parts, str(folder)) for plan in reversed(plans)}  # any order
    manifest = node.manifest([entries[i] for i in range(len(plans))])
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return ShardSet.open(folder, verify=bool(plans))


TEXTS = [["안녕하세요 세계", "두 번째 문서", ""], [], ["영어 English 섞임", "다섯째 <|endoftext|> 문서 " * 5]]


def test_it_measures_what_it_declares() -> None:
    node = pickle.loads(pickle.dumps(stage()))
    assert KIND is Tokenize
    result = node.measure(batch(TEXTS[0]))
    assert result.schema.names == [*node.signals(), *node.hidden()]
    assert [field.type for field in result.schema] == [*node.signals().values(), *node.hidden().values()]
    plain = tokenizers.Tokenizer.from_file(str(find("ko-bpe").path))
    expected = [[*plain.encode(text).ids, 0] for text in TEXTS[0]]
    assert result.column("_input_ids").to_pylist() == expected
    assert result.column("tokens").to_pylist() == [len(ids) for ids in expected]
    assert node.measure(batch([])).num_rows == 0


def test_without_eos() -> None:
    result = stage(append_eos=False).measure(batch(["가", ""]))
    assert result.column("tokens").to_pylist()[1] == 0
    assert 0 not in result.column("_input_ids").to_pylist()[0]


def test_the_tokenizer_is_its_artifact() -> None:
    tokenizer, config = stage().artifacts()
    assert tokenizer.digest == find("ko-bpe").digest
    assert config.digest == sha256(config.path.read_bytes()).hexdigest()
    assert stage(quality="quality.score").reads() == ["quality.score"]
    assert stage().reads() == []


def test_a_row_that_cannot_be_encoded_is_an_error_of_that_row(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("</s>", -0.1), ("<", -3.0), ("/", -3.0), ("s", -3.0), (">", -3.0), ("a", -2.0)]
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 0))
    unigram.add_special_tokens(["</s>"])
    unigram.save(str(tmp_path / "tokenizer.json"))
    result = stage(tokenizer=str(tmp_path)).measure(batch(["a", "a</s>", "aa"]))
    assert result.column("tokens").to_pylist() == [2, None, 3]
    assert result.column("_input_ids").to_pylist() == [[6, 1], None, [6, 6, 1]]
    assert [bool(cause) for cause in result.column("error").to_pylist()] == [False, True, False]


def test_copies_are_written_in_passes(tmp_path: Path) -> None:
    node = stage(quality="quality.score")
    parts = measured(node, TEXTS)
    read = handed_off(node, parts, times([2, 0, 1], [], [3, 1]), tmp_path / "out")
    ids = [int(found, 16) for found in read.documents().column("doc_id").to_pylist()]
    assert ids == [0, 2, 3, 4, 0, 3, 3]
    assert read.documents().column("quality").to_pylist() == pytest.approx([i / 100 for i in ids])
    flat = [ids for part in parts for ids in part.table.column("_input_ids").to_pylist()]
    assert read.documents().column("input_ids").to_pylist() == [flat[i] for i in ids]
    assert read.manifest.tokenizer.eos == 0
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == find("ko-bpe").path.read_bytes()


@settings(max_examples=60)
@given(st.data(), st.integers(1, 60), st.integers(1, 30))
def test_shards_hold_the_selection_however_it_is_partitioned(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shard_tokens: int, batch_tokens: int
) -> None:
    texts = data.draw(
        st.lists(st.sampled_from(["가", "나 다", "라 마 바 사 아", "", "길다 " * 12]), min_size=1, max_size=25)
    )
    copies = data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts)))
    cut = data.draw(st.integers(0, len(texts)))
    node = stage(shard_bytes=4 * shard_tokens, batch_tokens=batch_tokens)
    sets = []
    for edges in ([0, len(texts)], [0, cut, len(texts)]):
        pairs = list(pairwise(edges))
        parts = measured(node, [texts[a:b] for a, b in pairs])
        sets.append(handed_off(node, parts, times(*(copies[a:b] for a, b in pairs)), tmp_path_factory.mktemp("out")))
    assert sets[0].digest == sets[1].digest
    lengths = parts[0].table.column("shards.tokens").to_pylist() + parts[1].table.column("shards.tokens").to_pylist()
    expected = [i for repeat in range(3) for i in range(len(texts)) if copies[i] > repeat]
    assert [int(found, 16) for found in sets[0].documents().column("doc_id").to_pylist()] == expected
    for entry in sets[0].manifest.shards:
        assert entry.tokens <= shard_tokens or entry.documents == 1
    assert sets[0].total_tokens == sum(lengths[i] for i in expected)


def test_plans_are_small(tmp_path: Path) -> None:
    node = stage(shard_bytes=4 * 200_000)
    rows = 100_000
    table = pa.table({"shards.tokens": pa.array([10] * rows, pa.int32())})
    everything = node.plan([Held(0, table)], times([1] * rows))
    assert [plan.documents for plan in everything] == [20_000] * 5
    assert len(pickle.dumps(everything)) < 1000
    random = np.random.default_rng(0).integers(0, 2, rows)
    assert len(pickle.dumps(node.plan([Held(0, table)], times(random)))) < 1.1 * rows / 8


def test_nothing_selected_is_an_empty_dataset(tmp_path: Path) -> None:
    node = stage()
    read = handed_off(node, measured(node, [["가"]]), times([0]), tmp_path / "out")
    assert (read.total_tokens, node.plan([], [])) == (0, [])


def test_rows_that_were_never_encoded_cannot_be_planned() -> None:
    table = pa.table({"shards.tokens": pa.array([3, None], pa.int32())})
    assert len(stage().plan([Held(4, table)], times([1, 0]))) == 1
    with pytest.raises(StageError, match="shards: row 1 of partition 4 is selected but was not encoded"):
        stage().plan([Held(4, table)], times([1, 1]))
    with pytest.raises(StageError, match="partition 4 has 2 rows, its multiplicities 1"):
        stage().plan([Held(4, table)], times([1]))


def test_partitions_that_changed_after_planning(tmp_path: Path) -> None:
    node = stage()
    (plan,) = node.plan(measured(node, [["가 나 다", "라"]]), times([1, 1]))
    with pytest.raises(StageError, match="the partitions changed after planning"):
        node.write(plan, measured(node, [["가", "라"]]), str(tmp_path))


def test_tokenizers_that_cannot_do_what_is_asked() -> None:
    with pytest.raises(StageError, match=r"shards: tokenizer 'ko-bp' is neither shipped.*nearest: 'ko-bpe'"):
        stage(tokenizer="ko-bp").artifacts()
    with pytest.raises(StageError, match="shards: tokenizer 'ko-bpe' has no BOS token"):
        stage(prepend_bos=True).measure(batch(["가"]))
    assert load(find("ko-bpe")).bos is None
