"""The jsonl source: every line accounted, wherever the file is cut and however it is packed."""

from __future__ import annotations

import gzip
import itertools
import json
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.source import Damage, InputFile, Segment
from winnow.stages.sources.jsonl import KIND, Settings

PACKING = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def read(path: Path, cuts: tuple[int, ...] = (), **given: Any) -> tuple[list[dict[str, Any]], list[Damage]]:
    source = KIND(name="books", settings=Settings(paths=[str(path)], **given))
    size = path.stat().st_size
    file = InputFile(str(path), size, "")
    rows: list[dict[str, Any]] = []
    damage = []
    for a, b in itertools.pairwise(sorted({0, size, *(cut for cut in cuts if cut < size)})):
        for item in source.texts(Segment(file, a, b)):
            if isinstance(item, Damage):
                damage.append(item)
            else:
                assert item.schema == DOCUMENT_SCHEMA.append(pa.field("error", pa.string()))
                assert 0 < item.num_rows <= 1000
                rows.extend(item.to_pylist())
    return rows, damage


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


@pytest.mark.parametrize("suffix", PACKING)
def test_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    decomposed = unicodedata.normalize("NFD", "한국어")
    packed = lines(
        {"body": decomposed, "key": "k1", "link": "http://example.kr", "day": "2026", "name": "제목"},
        {"body": "second", "key": 7},
    )
    path.write_bytes(PACKING[suffix](packed))
    rows, damage = read(path, text="body", id="key", url="link", date="day", title="name")
    assert not damage and [row["text"] for row in rows] == ["한국어", "second"]
    assert rows[0]["url"] == "http://example.kr" and rows[0]["date"] == "2026" and rows[0]["title"] == "제목"
    assert {row["source"] for row in rows} == {"books"} and all(row["error"] is None for row in rows)
    assert len({row["id"] for row in rows}) == 2 and all(len(row["id"]) == 32 for row in rows)


def test_bad_lines_are_rows_with_their_cause_and_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = lines({"text": "fine"})
    bad = [
        (b'{"text": "cut\n', "not JSON"),
        (b"[1]\n", "not an object but an array"),
        (b'{"text": 5}\n', "not a string but a number"),
        (b'{"text": null}\n', "not a string but null"),
        (b'{"txt": "a"}\n', "no 'text'; it has txt"),
        (b'{"text": "\xff\xfe"}\n', "not valid UTF-8: byte 0xFF"),
        (b'{"text": "\\ud800"}\n', "lone surrogate"),
        (b"\x00\n", "not JSON"),
        (b'{"text": "' + b"x" * 3000 + b'"}\n', "expected at most 2,000"),
    ]
    path.write_bytes(good + b"\n  \r\n" + b"".join(line for line, _ in bad) + good[:-1])
    rows, damage = read(path, max_bytes=2000)
    assert not damage and [row["text"] for row in rows] == ["fine", *[""] * len(bad), "fine"]
    assert rows[0]["error"] is None and rows[-1]["error"] is None
    offset = len(good) + 5
    for row, (line, cause) in zip(rows[1:-1], bad, strict=True):
        assert cause in row["error"] and (not cause or str(offset) in row["error"])
        offset += len(line)
    assert len({row["id"] for row in rows}) == len(rows)


def test_long_files_come_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*({"text": f"row {n}"} for n in range(2500))))
    rows, _ = read(path)
    assert [row["text"] for row in rows] == [f"row {n}" for n in range(2500)]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_truncation_keeps_what_is_readable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    packed = PACKING[suffix](lines(*({"text": f"row {n} {n * n % 7919}"} for n in range(60_000))))
    path.write_bytes(packed[: len(packed) // 2])
    rows, damage = read(path)
    assert len(rows) > 5_000 and [row["text"] for row in rows[:3]] == ["row 0 0", "row 1 1", "row 2 4"]
    assert all(row["error"] is None for row in rows)
    assert [d.offset for d in damage] == [0] and "truncated" in damage[0].cause


@given(
    texts=st.lists(st.text(max_size=40), max_size=20),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    end=st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    last=st.booleans(),
)
@settings(max_examples=150, derandomize=True)
def test_any_cuts_give_every_line_once(
    tmp_path: Path, texts: list[str], cuts: list[int], end: bytes, last: bool
) -> None:
    path = tmp_path / "a.jsonl"
    data = end.join(json.dumps({"text": text}).encode() for text in texts) + (end if last else b"")
    path.write_bytes(data)
    whole = read(path)
    assert read(path, tuple(cuts)) == whole
    assert [row["text"] for row in whole[0]] == [unicodedata.normalize("NFC", text) for text in texts]
