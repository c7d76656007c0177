"""The parquet source: named columns, row groups, and rows without text."""

from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.source import Damage, InputFile, Segment
from winnow.stages.sources.parquet import KIND, Settings


def source(path: Path, **given: Any) -> tuple[Any, InputFile]:
    return KIND(name="books", settings=Settings(paths=[str(path)], **given)), InputFile(
        str(path), path.stat().st_size, ""
    )


def read(path: Path, **given: Any) -> tuple[list[dict[str, Any]], list[Damage]]:
    reader, file = source(path, **given)
    rows: list[dict[str, Any]] = []
    damage = []
    for segment in reader.segments(file):
        for item in reader.texts(segment):
            if isinstance(item, Damage):
                damage.append(item)
            else:
                assert item.schema == DOCUMENT_SCHEMA.append(pa.field("error", pa.string()))
                rows.extend(item.to_pylist())
    return rows, damage


def test_rows_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "text": pa.array(["하나", None, "각"]).dictionary_encode(),
            "key": [1, 2, None],
            "day": pa.array([0, 1, None], pa.date32()),
            "ballast": [["x"]] * 3,
        }
    )
    pq.write_table(table, path)
    rows, damage = read(path, id="key", date="day")
    assert not damage and [row["text"] for row in rows] == ["하나", "", "각"]
    assert [row["date"] for row in rows] == ["1970-01-01", "1970-01-02", None]
    assert rows[0]["error"] is None and "a.parquet: row 1: 'text' is null" in rows[1]["error"]
    assert len({row["id"] for row in rows}) == 3 and all(len(row["id"]) == 32 for row in rows)


def test_text_that_is_not_utf8_is_an_error_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    values = pa.array([b"fine", b"\xff\xfe", b"\xed\xa0\x80"], pa.binary())
    text = pa.StringArray.from_buffers(3, values.buffers()[1], values.buffers()[2])
    pq.write_table(pa.table({"text": text, "raw": values}), path)
    for column in ("text", "raw"):
        rows, _ = read(path, text=column)
        assert [row["text"] for row in rows] == ["fine", "", ""]
        assert [row["error"] is None for row in rows] == [True, False, False]


def test_segments_by_row_groups_change_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"row {n}" for n in range(5000)]}), path, row_group_size=700)
    reader, file = source(path)
    whole, _ = read(path)
    assert [row["text"] for row in whole] == [f"row {n}" for n in range(5000)]
    by_group = [
        row for group in range(8) for item in reader.texts(Segment(file, group, group + 1)) for row in item.to_pylist()
    ]
    assert by_group == whole


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"content": ["a"], "number": [1]}), path)
    reader, file = source(path, text="contents")
    with pytest.raises(StageError, match=r"no column 'contents'.*nearest: 'content'"):
        reader.segments(file)
    reader, file = source(path, text="number")
    with pytest.raises(StageError, match="int64: expected a string"):
        reader.segments(file)


def test_what_is_no_parquet_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"no parquet at all")
    reader, file = source(path)
    with pytest.raises(StageError, match=r"a\.parquet is not a readable Parquet file"):
        reader.segments(file)


def test_a_broken_row_group_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    text = [f"row {n} {n * n}" for n in range(4000)]
    pq.write_table(pa.table({"text": text}), path, row_group_size=1000, use_dictionary=False, compression="zstd")
    meta = pq.ParquetFile(path).metadata
    start = meta.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    rows, damage = read(path)
    assert [row["text"] for row in rows] == text[:1000] + text[2000:]
    assert len(damage) == 1 and "row group 1: 1000 rows lost" in damage[0].cause


IDS = {
    "decimals": pa.array([Decimal(10**37), Decimal(10**37 + 1)], pa.decimal128(38, 0)),
    "unsigned": pa.array([2**64 - 1, 2**64 - 2], pa.uint64()),
    "floats": pa.array([0.1, 0.30000000000000004]),
    "no numbers": pa.array([float("nan"), float("inf")]),
    "nanoseconds": pa.array([1, 2], pa.timestamp("ns")),
    "beyond the calendar": pa.array([2**62, 2**61], pa.timestamp("us")),
    "durations": pa.array([1, 2], pa.duration("ns")),
    "bytes of one look": pa.array([b"\xe9", "é".encode()]),
    "fixed bytes": pa.array([b"ab", b"\xff\xfe"], pa.binary(2)),
    "objects": pa.array([{"a": 1}, {"a": 2}]),
    "nothing": pa.nulls(2),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_of_any_type_stay_different(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "key": IDS[name]}), path)
    rows, damage = read(path, id="key", title="key", date="key")
    assert not damage and [row["text"] for row in rows] == ["a", "b"]
    assert len({row["id"] for row in rows}) == 2
    if name == "no numbers":
        assert [row["title"] for row in rows] == [None, None]


def test_what_no_column_can_be_read_from_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    text = pa.array(["a"])
    twice = pa.Table.from_arrays([text, text, text], names=["text", "text", "other"])
    for table, given, words in [
        (twice, {}, "a.parquet has 2 columns named 'text': expected one"),
        (
            pa.table({"text": text, "when": [[1]]}).cast(
                pa.schema({"text": pa.string(), "when": pa.list_(pa.timestamp("ns"))})
            ),
            {"id": "when"},
            "a.parquet: column 'when' is list",
        ),
        (pa.table({"text": [{"text": "a"}]}), {}, r"struct<text: string>: expected a string"),
    ]:
        pq.write_table(table, path)
        with pytest.raises(StageError, match=words):
            read(path, **given)
    pq.write_table(pa.Table.from_arrays([text, text, text], names=["text", "x", "x"]), path)
    assert [row["text"] for row in read(path)[0]] == ["a"], "only what is read must be there once"


def test_nothing_to_read_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert read(path) == ([], [])
    pq.ParquetWriter(path, pa.schema({"text": pa.string()})).close()
    assert read(path) == ([], [])
    pq.write_table(pa.table({"text": pa.nulls(2)}), path)
    assert [row["error"] for row in read(path)[0]] == [f"a.parquet: row {n}: 'text' is null" for n in range(2)]


class Keys(encryption.KmsClient):
    """Keys that anybody may have."""

    def __init__(self, connection: encryption.KmsConnectionConfig) -> None:
        super().__init__()

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return base64.b64decode(wrapped_key)


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_an_encrypted_file_is_a_sentence(tmp_path: Path, plaintext_footer: bool) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a"], "other": [1]})
    keys = encryption.EncryptionConfiguration("f", column_keys={"k": ["text"]}, plaintext_footer=plaintext_footer)
    factory = encryption.CryptoFactory(Keys)
    made = factory.file_encryption_properties(encryption.KmsConnectionConfig(), keys)
    with pq.ParquetWriter(path, table.schema, encryption_properties=made) as writer:
        writer.write_table(table)
    with pytest.raises(StageError, match=r"a\.parquet is .*encrypted"):
        read(path)
