"""Shards: what is written comes back, byte for byte and token for token, and damage is refused with its cause."""

import json
import os
import pickle
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.tokenize.reader import ShardSet
from winnow.tokenize.shard import (
    COLUMNS,
    ShardError,
    TokenizerIdentity,
    dataset_digest,
    manifest_of,
    shard_name,
    shard_schema,
)
from winnow.tokenize.verify import read_manifest, verify
from winnow.tokenize.writer import write_bytes, write_manifest, write_shard

IDENTITY = TokenizerIdentity(
    name="test",
    sha256="9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a",  # of the bytes 01 02 03 04
    vocab_size=2**18,
    eos=0,
)

Document = tuple[list[int], float | None, int]
documents = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2**18 - 1), max_size=12),
        st.none() | st.floats(0, 1, width=32),
        st.integers(0, 4),
    ).map(lambda document: (document[0], document[1], min(document[2], len(document[0])))),
    max_size=30,
)


def rows(docs: list[Document], first: int = 0) -> pa.RecordBatch:
    ids, quality, prefix = (list(column) for column in zip(*docs, strict=True)) if docs else ([], [], [])
    return pa.RecordBatch.from_arrays(
        [
            pa.array(ids, COLUMNS.field("input_ids").type),
            pa.array([f"doc-{first + i}" for i in range(len(docs))], pa.string()),
            pa.array(quality, pa.float32()),
            pa.array(prefix, pa.uint16()),
        ],
        schema=COLUMNS,
    )


def dataset(folder: Path, shards: list[list[Document]], batch_tokens: int = 8) -> ShardSet:
    write_bytes(str(folder), "tokenizer.json", b"\x01\x02\x03\x04")
    entries = [
        write_shard(str(folder), shard_name(i), IDENTITY, [rows(docs)], batch_tokens) for i, docs in enumerate(shards)
    ]
    write_manifest(str(folder), manifest_of(IDENTITY, entries))
    return ShardSet.open(folder, verify=True)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    dataset(tmp_path, [[([1, 2, 3, 0], 0.5, 1), ([4, 0], None, 0)], [([5, 6, 7, 8, 9, 0], 0.25, 2)]])
    return tmp_path


@settings(max_examples=150)
@given(documents, st.lists(st.integers(0, 30), max_size=3), st.integers(1, 20), st.integers(1, 15))
def test_any_documents_come_back_and_blocks_tile_the_stream(
    docs: list[Document], cuts: list[int], batch_tokens: int, length: int
) -> None:
    edges = sorted({0, len(docs), *(min(cut, len(docs)) for cut in cuts)})
    shards = [docs[a:b] for a, b in pairwise(edges)]
    with tempfile.TemporaryDirectory() as folder:
        read = dataset(Path(folder), shards, batch_tokens)
        stream = [token for ids, _, _ in docs for token in ids]
        assert read.total_tokens == read.manifest.tokens == len(stream)
        assert read.manifest.documents == len(docs)
        assert read.tokens(0, len(stream)).tolist() == stream
        table = read.documents()
        assert table.column("input_ids").to_pylist() == [ids for ids, _, _ in docs]
        assert table.column("quality").to_pylist() == [quality for _, quality, _ in docs]

        starts, prefixed, position = set(), set(), 0
        for ids, _, prefix in docs:
            if ids:
                starts.add(position)
            prefixed.update(range(position, position + prefix))
            position += len(ids)
        assert read.blocks(length) == max(0, (len(stream) - 1) // length)
        for b in range(read.blocks(length)):
            block = read.block(b, length)
            assert block.dtype == np.uint32
            assert block.tolist() == stream[b * length : b * length + length + 1]
            found = read.boundaries(b, length)
            assert found.dtype == np.int64
            assert found.tolist() == [p for p in range(length + 1) if b * length + p in starts]
            assert read.masked(b, length).tolist() == [b * length + p in prefixed for p in range(length + 1)]
        del read, table


@settings(max_examples=60)
@given(documents.filter(bool), st.integers(1, 20), st.data())
def test_bytes_do_not_depend_on_the_portions_rows_arrive_in(
    docs: list[Document], batch_tokens: int, data: st.DataObject
) -> None:
    portions, first = [], 0
    while first < len(docs):
        size = data.draw(st.integers(1, len(docs)))
        portions.append(rows(docs[first : first + size], first))
        first += size
    whole = rows(docs)
    sliced = pa.Table.from_batches([rows([([9] * 3, 0.9, 1)]), whole]).slice(1).to_batches()
    with tempfile.TemporaryDirectory() as folder:
        entries = {
            write_shard(folder, "a", IDENTITY, given_rows, batch_tokens).digest
            for given_rows in ([whole], portions, sliced)
        }
    assert len(entries) == 1


def test_batches_fill_up_and_a_long_document_has_its_own(tmp_path: Path) -> None:
    docs: list[Document] = [([1] * n, None, 0) for n in (3, 3, 3, 20, 1, 1)]
    write_shard(str(tmp_path), "a.arrow", IDENTITY, [rows(docs)], 8)
    with pa.ipc.open_file(pa.memory_map(str(tmp_path / "a.arrow"))) as reader:
        assert [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)] == [2, 1, 1, 2]
        assert reader.schema.equals(shard_schema(IDENTITY), check_metadata=True)


def test_a_block_inside_one_batch_is_a_view_of_the_file(tmp_path: Path) -> None:
    read = dataset(tmp_path, [[(list(range(1, 100)), None, 0)]], 1000)
    first, second = read.block(0, 10), read.block(1, 10)
    assert not first.flags.owndata
    assert not first.flags.writeable
    assert second.ctypes.data - first.ctypes.data == 10 * 4


def test_it_is_an_ordinary_arrow_file(small: Path) -> None:
    table = pa.ipc.open_file(small / shard_name(0)).read_all()
    assert table.column("doc_id").to_pylist() == ["doc-0", "doc-1"]
    assert table.schema.metadata[b"winnow.eos"] == b"0"


def test_the_empty_dataset(tmp_path: Path) -> None:
    read = dataset(tmp_path, [])
    assert (read.total_tokens, read.blocks(8), read.documents().num_rows) == (0, 0, 0)


def test_object_stores_get_the_same_bytes(small: Path) -> None:
    docs: list[Document] = [([1, 2, 3, 0], 0.5, 1), ([4, 0], None, 0)]
    entry = write_shard("memory://winnow-shards-test", shard_name(0), IDENTITY, [rows(docs)], 8)
    assert entry == read_manifest(small).shards[0]
    assert (
        fsspec.filesystem("memory").cat("/winnow-shards-test/shard-00000.arrow") == (small / shard_name(0)).read_bytes()
    )


@pytest.mark.parametrize("folder", ["local", "memory://winnow-broken-test"])
def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, folder: str) -> None:
    target = str(tmp_path / "out") if folder == "local" else folder

    def broken() -> object:
        yield rows([([1, 0], None, 0)])
        raise RuntimeError("source died")

    with pytest.raises(RuntimeError, match="source died"):
        write_shard(target, "a.arrow", IDENTITY, broken(), 1)  # type: ignore[arg-type]
    fs, root = fsspec.core.url_to_fs(target)
    assert [Path(found).name for found in fs.ls(root, detail=False)] == []


def test_rows_that_do_not_fit_the_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="token id 262144, expected ids below the vocabulary's 262144"):
        write_shard(str(tmp_path), "a", IDENTITY, [rows([([2**18], None, 0)])])
    with pytest.raises(ShardError, match="rows have the columns doc_id: string"):
        write_shard(str(tmp_path), "a", IDENTITY, [rows([([1], None, 0)]).select(["doc_id"])])
    with pytest.raises(ShardError, match="document doc-0 has prefix_len 3, expected at most its 2 tokens"):
        write_shard(str(tmp_path), "a", IDENTITY, [rows([([1, 0], None, 3)])])
    with pytest.raises(ShardError, match="batches of 0 tokens"):
        write_shard(str(tmp_path), "a", IDENTITY, [], 0)
    assert list(tmp_path.iterdir()) == []


def test_digests_name_content_and_order(small: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    manifest = read_manifest(small)
    assert manifest.digest == dataset_digest(manifest.shards)
    assert dataset_digest(manifest.shards[::-1]) != manifest.digest
    again = tmp_path_factory.mktemp("again")
    dataset(again, [[([1, 2, 3, 0], 0.5, 1), ([4, 0], None, 0)], [([5, 6, 7, 8, 9, 0], 0.25, 2)]])
    assert (again / "manifest.json").read_bytes() == (small / "manifest.json").read_bytes()


def test_pickling_reopens_the_same_dataset(small: Path) -> None:
    read = ShardSet.open(small)
    sent = pickle.dumps(read)
    assert len(sent) < 1000
    assert pickle.loads(sent).block(1, 4).tolist() == read.block(1, 4).tolist()
    dataset(small, [[([1, 0], None, 0)]])
    with pytest.raises(ShardError, match="the dataset changed"):
        pickle.loads(sent)


def test_positions_outside_the_dataset(small: Path) -> None:
    read = ShardSet.open(small)
    for b in (-1, read.blocks(4)):
        with pytest.raises(IndexError, match="there are 2"):
            read.block(b, 4)
        with pytest.raises(IndexError, match="there are 2"):
            read.boundaries(b, 4)
        with pytest.raises(IndexError, match="there are 2"):
            read.masked(b, 4)
    with pytest.raises(ShardError, match="at least 1"):
        read.blocks(0)


class TestDamage:
    def test_missing_shard(self, small: Path) -> None:
        (small / shard_name(1)).unlink()
        with pytest.raises(ShardError, match=r"shard-00001\.arrow: missing, expected a shard of \d+ bytes"):
            ShardSet.open(small)

    def test_truncated_shard(self, small: Path) -> None:
        path = small / shard_name(0)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ShardError, match="cut or replaced"):
            ShardSet.open(small)

    def test_flipped_bit_in_tokens(self, small: Path) -> None:
        path = small / shard_name(0)
        content = bytearray(path.read_bytes())
        at = content.index(np.array([1, 2, 3, 0, 4, 0], np.uint32).tobytes())
        content[at] ^= 4
        path.write_bytes(content)
        with pytest.raises(ShardError, match="do not hash"):
            ShardSet.open(small, verify=True)

    def test_overwritten_footer(self, small: Path) -> None:
        path = small / shard_name(0)
        content = path.read_bytes()
        path.write_bytes(content[:-64] + bytes(64))
        with pytest.raises(ShardError, match="not a readable Arrow file"):
            ShardSet.open(small)

    def test_every_single_zeroed_stretch_is_one_clear_error_or_harmless(self, small: Path) -> None:
        path = small / shard_name(0)
        content = path.read_bytes()
        for at in range(0, len(content) - 16, 16):
            path.write_bytes(content[:at] + bytes(16) + content[at + 16 :])
            if path.read_bytes() == content:
                continue
            with pytest.raises(ShardError, match="do not hash"):
                ShardSet.open(small, verify=True)

    def test_shard_of_another_tokenizer(self, small: Path) -> None:
        other = IDENTITY.model_copy(update={"sha256": "beef"})
        entry = write_shard(str(small), shard_name(1), other, [rows([([5, 6, 7, 8, 9, 0], 0.25, 2)])], 8)
        entries = [read_manifest(small).shards[0], entry]
        write_manifest(str(small), manifest_of(IDENTITY, entries))
        with pytest.raises(ShardError, match=r"winnow\.tokenizer is beef, expected 9f64.*another dataset"):
            ShardSet.open(small)

    def test_foreign_arrow_file(self, small: Path) -> None:
        path = small / shard_name(1)
        table = pa.table({"a": [1]})
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
        entries = list(read_manifest(small).shards)
        entries[1] = entries[1].model_copy(update={"bytes": path.stat().st_size})
        write_manifest(str(small), manifest_of(IDENTITY, entries))
        with pytest.raises(ShardError, match="its columns are a, expected input_ids, doc_id"):
            ShardSet.open(small)

    def test_wrong_tokenizer_file(self, small: Path) -> None:
        (small / "tokenizer.json").write_bytes(b"{}")
        ShardSet.open(small)
        with pytest.raises(ShardError, match="is not the tokenizer of the manifest"):
            ShardSet.open(small, verify=True)

    def test_every_file_is_hashed_once_until_it_changes(self, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[str] = []
        real = Path.open

        def noted(path: Path, *arguments: Any, **options: Any) -> Any:
            opened.append(path.name)
            return real(path, *arguments, **options)

        def hashed() -> list[str]:
            opened.clear()
            with monkeypatch.context() as patch:
                patch.setattr(Path, "open", noted)
                verify(small)
            return [name for name in opened if name.endswith((".arrow", "tokenizer.json"))]

        everything = ["tokenizer.json", shard_name(0), shard_name(1)]
        assert hashed() == everything and hashed() == everything, "files written just now may still change unnoticed"
        for name in everything:
            os.utime(small / name, (0, 0))
        monkeypatch.setattr("winnow.tokenize.verify._SETTLED_SECONDS", -1.0)  # the time of a change cannot be set back
        assert hashed() == everything and hashed() == []
        path, kept = small / shard_name(1), (small / shard_name(1)).stat()
        content = bytearray(path.read_bytes())
        content[content.index(np.array([5, 6, 7], np.uint32).tobytes()) + 3] ^= 0x80  # a high byte: an id far too large
        path.write_bytes(content)
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        with pytest.raises(
            ShardError, match=r"shard-00001\.arrow: was damaged or replaced.*`winnow run` write it again"
        ):
            hashed()
        assert shard_name(0) not in opened, "it is still known"
        (small / "tokenizer.json").unlink()
        with pytest.raises(ShardError, match=r"tokenizer\.json: missing, expected the tokenizer"):
            verify(small)

    def test_edited_manifest(self, small: Path) -> None:
        path = small / "manifest.json"
        content = json.loads(path.read_text())
        content["shards"][0]["tokens"] += 1
        path.write_text(json.dumps(content))
        with pytest.raises(ShardError, match="it was edited or damaged"):
            ShardSet.open(small)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("{", "the file: Invalid JSON"),
            ("{}", "tokenizer: Field required"),
            ('{"format": "x"}', "format: Input should be"),
        ],
    )
    def test_not_a_manifest(self, small: Path, content: str, said: str) -> None:
        (small / "manifest.json").write_text(content)
        with pytest.raises(ShardError, match=said):
            ShardSet.open(small)

    def test_no_dataset_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(ShardError, match="unfinished"):
            ShardSet.open(tmp_path)
        with pytest.raises(ShardError, match="no such folder"):
            ShardSet.open(tmp_path / "nowhere")
        with pytest.raises(ShardError, match="copy the folder to a local disk"):
            ShardSet.open("s3://bucket/shards")
