"""Parts are visible when whole, recorded, and readable by column; on a local disk and on another filesystem."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.identity import UnknownValue
from winnow.pipelines.engine.store import Store, StoreError, fingerprint, rebatched

SCHEMA = pa.schema({"a": pa.int64(), "b": pa.string()})


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield Store(str(tmp_path / "run") if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def batch(n: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"a": list(range(n)), "b": [str(i) for i in range(n)]}, schema=SCHEMA)


def test_a_part_is_there_only_once_closed(store: Store) -> None:
    writer = store.writer("x/part", SCHEMA)
    writer.write(batch(5))
    assert store.record("x/part") is None
    record = writer.close(extra=1)
    assert store.record("x/part") == record
    assert (record["rows"], record["extra"]) == (5, 1)
    assert store.read("x/part").to_pydict()["a"] == list(range(5))
    assert store.read("x/part", ["b"]).column_names == ["b"]


def test_columns_come_in_the_order_asked_for(store: Store) -> None:
    writer = store.writer("part", SCHEMA)
    writer.write(batch(3))
    writer.close()
    assert store.read("part", ["b", "a"]).column_names == ["b", "a"]


def test_a_part_of_another_size_than_recorded_does_not_exist(store: Store) -> None:
    writer = store.writer("part", SCHEMA)
    writer.write(batch(5))
    writer.close()
    with store.fs.open(store.path("part.arrow"), "wb") as file:
        file.write(b"short")
    assert store.record("part") is None
    with pytest.raises(StoreError, match=r"part\.arrow: has 5 bytes, expected \d+: it was cut or replaced"):
        store.read("part")


def test_the_same_rows_have_the_same_hash(store: Store) -> None:
    hashes = set()
    for name in ("one", "two"):
        writer = store.writer(name, SCHEMA)
        writer.write(batch(100))
        hashes.add(writer.close()["hash"])
    assert len(hashes) == 1


def test_discarding_leaves_what_was_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    first = store.writer("part", SCHEMA)
    first.write(batch(2))
    record = first.close()
    second = store.writer("part", SCHEMA)
    second.write(batch(3))
    second.discard()
    assert store.record("part") == record
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.arrow", "part.json"]


def test_damaged_json_is_one_sentence(store: Store) -> None:
    store.write_text("x.json", "{")
    with pytest.raises(StoreError, match=r"x\.json: is damaged or was edited"):
        store.read_json("x.json")
    assert store.read_json("absent.json") is None


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    code = (
        "import sys, time, pyarrow as pa\n"
        "from winnow.pipelines.engine.store import Store\n"
        "w = Store(sys.argv[1]).writer('part', pa.schema({'a': pa.int64()}))\n"
        "w.write(pa.RecordBatch.from_pydict({'a': list(range(100_000))}))\n"
        "print('written', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    store = Store(str(tmp_path))
    assert store.record("part") is None
    assert any(".tmp-" in p.name for p in tmp_path.iterdir())
    store.sweep()
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.integers(0, 7), max_size=12), st.integers(1, 5))
def test_rebatching_keeps_every_row_in_order(sizes: list[int], rows: int) -> None:
    batches, at = [], 0
    for size in sizes:
        batches.append(
            pa.RecordBatch.from_pydict({"a": list(range(at, at + size))}, schema=pa.schema({"a": pa.int64()}))
        )
        at += size
    out = list(rebatched(batches, rows))
    assert [v for b in out for v in b.column(0).to_pylist()] == list(range(at))
    assert all(b.num_rows == rows for b in out[:-1])
    assert not out or 0 < out[-1].num_rows <= rows


def test_a_fingerprint_does_not_depend_on_key_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_wide_part_has_large_batches_whatever_came(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    rows = pa.table({"n": pa.array(range(40_000))})
    writer = store.writer("part", rows.schema, wide=True)
    for batch in rows.to_batches(max_chunksize=500):
        writer.write(batch)
    record = writer.close()
    reader = store.reader("part")
    assert record["rows"] == 40_000 and reader.num_record_batches == 3
    assert store.read("part").equals(rows)
    left = store.writer("other", rows.schema, wide=True)
    left.write(rows.slice(0, 10))
    left.discard()
    assert store.record("other") is None and not list(tmp_path.glob("other*"))


@pytest.mark.parametrize(
    "value", [object(), Path("a"), {1, 2}, b"a", float, {1: "a"}], ids=["object", "path", "set", "bytes", "type", "key"]
)
def test_a_fingerprint_refuses_what_it_does_not_know(value: object) -> None:
    with pytest.raises(UnknownValue, match="expected such a value"):
        fingerprint("stage", {"setting": [value]})
    assert fingerprint("stage", [1, 2.5, None, ("a",)]) == fingerprint("stage", [1, 2.5, None, ["a"]])
