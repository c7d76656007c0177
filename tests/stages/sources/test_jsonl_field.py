"""JSON Lines as others write them: numbers that no float holds, NaN, bad bytes, other encodings, packings and formats."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from winnow.stages.base import StageError
from winnow.stages.source import InputFile
from winnow.stages.sources.jsonl import KIND, Settings


def read(path: Path, **given: Any) -> list[dict[str, Any]]:
    """All rows, through the segments that the file is cut into."""
    source = KIND(name="books", settings=Settings(paths=[str(path)], **given))
    file = InputFile(str(path), path.stat().st_size, "")
    return [row for segment in source.segments(file) for item in source.texts(segment) for row in item.to_pylist()]


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Reads lines written as they are given."""

    def write(*rows: str | bytes, **given: Any) -> list[dict[str, Any]]:
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"".join((row.encode() if isinstance(row, str) else row) + b"\n" for row in rows))
        return read(path, **given)

    return write


@pytest.mark.parametrize(
    "numbers",
    [
        ["123456789012345678901234567890", "123456789012345678901234567891"],
        ["18446744073709551615", "18446744073709551616", "18446744073709551617"],
        ["-9223372036854775808", "-9223372036854775809", "-9223372036854775810"],
        ["0.12345678901234567890", "0.12345678901234567891"],
        ["1e400", "1e401"],
        ["9" * 5000, "9" * 4999 + "8"],
        ['{"n": 123456789012345678901234567890}', '{"n": 123456789012345678901234567891}'],
        ["[123456789012345678901234567890]", "[123456789012345678901234567891]"],
        ["true", "false", "1", "0", "1.0"],
    ],
)
def test_different_ids_stay_different(lines: Callable[..., list[dict[str, Any]]], numbers: list[str]) -> None:
    rows = lines(*(f'{{"text": "a", "id": {number}}}' for number in numbers), id="id", title="id", date="id")
    assert [row["error"] for row in rows] == [None] * len(numbers)
    assert len({row["id"] for row in rows}) == len(numbers)
    if numbers[0].lstrip("-").isdigit():
        assert [row["title"] for row in rows] == [row["date"] for row in rows] == numbers


def test_an_id_is_its_text_whatever_its_type(lines: Callable[..., list[dict[str, Any]]]) -> None:
    number, text, none, nan = lines(
        '{"text": "a", "id": 7}', '{"text": "a", "id": "7"}', '{"text": "a"}', '{"text": "a", "id": NaN}', id="id"
    )
    assert number["id"] == text["id"] and len({number["id"], none["id"], nan["id"]}) == 3


@pytest.mark.parametrize(
    "field",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "[1, NaN]",
        '{"x": {"y": -Infinity}}',
        "1e999",
        '"\\ud800"',
        '["\\udc00\\ud800"]',
        '"\t"',
    ],
)
def test_a_field_that_nobody_asked_for_costs_no_document(
    lines: Callable[..., list[dict[str, Any]]], field: str
) -> None:
    (row,) = lines(
        f'{{"other": {field}, "text": "산 위에 \\ud83d\\ude00", "url": "http://a.kr"}}', url="url", title="title"
    )
    assert (row["text"], row["url"], row["error"]) == ("산 위에 😀", "http://a.kr", None)


def test_bytes_that_are_no_utf8_cost_their_field_alone(lines: Callable[..., list[dict[str, Any]]]) -> None:
    sound, title, text = lines(
        b'{"text": "fine", "other": "caf\xe9", "n": 1.5}',
        b'{"text": "fine", "title": "caf\xe9"}',
        b'{"text": "caf\xe9"}',
        title="title",
    )
    assert [row["text"] for row in (sound, title, text)] == ["fine", "fine", ""]
    assert title["title"] is None and sound["error"] is title["error"] is None
    assert text["error"] == "a.jsonl: line 3 (byte 78): 'text' is not valid UTF-8: byte 0xE9 at its character 4"


def test_nan_is_no_title_and_no_text(lines: Callable[..., list[dict[str, Any]]]) -> None:
    untitled, textless = lines(
        '{"text": "a", "title": NaN, "date": Infinity}', '{"text": NaN}', title="title", date="date"
    )
    assert (untitled["title"], untitled["date"], untitled["error"]) == (None, None, None)
    assert textless["error"].endswith("line 2 (byte 46): 'text' is not a string but null")


def test_what_stays_broken_names_file_and_line(lines: Callable[..., list[dict[str, Any]]]) -> None:
    bad = ['{"text": "a"} {"text": "b"}', "{'text': 'a'}", '{"text": "\\ud800"}', "[" * 5000, '{"text": -1e999}']
    rows = lines('{"text": "fine"}', "", *bad)
    causes = [
        "a second value begins at character 15",
        "not JSON: expecting property name",
        "'text' holds a lone surrogate, \\ud800 at its character 1",
        "nested too deeply",
        "'text' is not a string but a number",
    ]
    at = 18
    for number, (row, line, cause) in enumerate(zip(rows[1:], bad, causes, strict=True), 3):
        assert row["error"].startswith(f"a.jsonl: line {number} (byte {at}): ") and cause in row["error"]
        at += len(line) + 1


def test_lines_far_into_a_file_are_named_by_their_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = json.dumps({"text": "x" * 1000}).encode() + b"\n"
    path.write_bytes(good * 3000 + b"broken\n")
    (error,) = [row["error"] for row in read(path) if row["error"]]
    assert error.startswith(f"a.jsonl: byte {3000 * len(good)}: not JSON")


LINES = "".join(json.dumps({"text": f"줄 {n}"}, ensure_ascii=False) + "\n" for n in range(30))
ROWS = [json.loads(line) for line in LINES.splitlines()]


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.jsonl", LINES)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a.jsonl")
        member.size = len(LINES.encode())
        archive.addfile(member, io.BytesIO(LINES.encode()))
    return out.getvalue()


OTHERS: dict[str, tuple[bytes, str]] = {
    "utf16": (LINES.encode("utf-16"), "UTF-16LE: expected UTF-8; `iconv -f UTF-16LE"),
    "utf16be": (b"\xfe\xff" + LINES.encode("utf-16-be"), "UTF-16BE: expected UTF-8"),
    "utf16 unmarked": (LINES.encode("utf-16-le"), "UTF-16LE: expected UTF-8"),
    "utf16be unmarked": (LINES.encode("utf-16-be"), "UTF-16BE: expected UTF-8"),
    "utf32": (LINES.encode("utf-32"), "UTF-32LE: expected UTF-8"),
    "utf32 unmarked": (LINES.encode("utf-32-be"), "UTF-32BE: expected UTF-8"),
    "utf16 in gzip": (gzip.compress(LINES.encode("utf-16")), "UTF-16LE: expected UTF-8"),
    "bzip2": (
        bz2.compress(LINES.encode()),
        "packed by bzip2, which is not read: expected JSON Lines, plain or in gzip or",
    ),
    "xz": (lzma.compress(LINES.encode()), "packed by xz"),
    "lzma": (lzma.compress(LINES.encode(), lzma.FORMAT_ALONE), "packed by lzma"),
    "zip": (zipped(), "packed by zip"),
    "tar": (tarred(), "packed by tar"),
    "tar.gz": (gzip.compress(tarred()), "tar inside gzip"),
    "gzip twice": (gzip.compress(gzip.compress(LINES.encode())), "gzip inside gzip"),
    "lz4": (b"\x04\x22\x4d\x18d@\xa7rest", "packed by lz4"),
    "snappy": (b"\xff\x06\x00\x00sNaPpYrest", "packed by snappy"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "packed by 7z"),
    "array": (json.dumps(ROWS, indent=2).encode(), "a JSON array, not lines: expected one object a line"),
    "array on a line": (json.dumps(ROWS).encode(), "a JSON array, not lines"),
    "object": (json.dumps({"rows": ROWS}, indent=1).encode(), "JSON over several lines"),
    "objects": (b"\n".join(json.dumps(row, indent=4).encode() for row in ROWS), "JSON over several lines"),
    "csv": (b"id,text\n1,one\n2,two\n", "no JSON but perhaps CSV (it begins with 'id,text')"),
    "tsv": (b"id\ttext\n1\tone\n", "no JSON but perhaps TSV"),
    "html": (b"\n<!DOCTYPE html><html><body>403</body></html>", "HTML or XML (it begins with"),
    "prose": ("산에 오르다\n".encode(), "no JSON Lines (it begins with '산에 오르다')"),
    "parquet": (b"PAR1\x15\x00", "Parquet: expected JSON Lines, or `use: parquet`"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_something_else_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    data, words = OTHERS[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    with pytest.raises(StageError) as error:
        read(path)
    assert str(error.value).startswith(f"books: {path} is {words}")


@pytest.mark.parametrize(
    ("name", "data"),
    {
        "gzip by content": ("a.jsonl", gzip.compress(LINES.encode())),
        "zstd by content": ("a.jsonl", zstandard.compress(LINES.encode())),
        "zstd behind a skippable frame": (
            "a.jsonl.zst",
            b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.compress(LINES.encode()),
        ),
        "plain in spite of its name": ("a.jsonl.gz", LINES.encode()),
        "UTF-8 with a mark": ("a.jsonl", b"\xef\xbb\xbf" + LINES.encode()),
        "a mark on every line": (
            "a.jsonl",
            b"".join(b"\xef\xbb\xbf" + line.encode() for line in LINES.splitlines(True)),
        ),
        "blank lines first": ("a.jsonl", b"\r\n \n" + LINES.encode()),
    }.values(),
)
def test_files_that_hold_lines_are_read(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    rows = read(path)
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS] and not any(row["error"] for row in rows)


def test_one_bad_first_line_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for first in ("[1, 2]", '{"text": "cut,', "# made by hand"):
        path.write_text(f"{first}\n{LINES}", "utf-8")
        assert [row["error"] is None for row in read(path)] == [False, *[True] * 30]
    path.write_bytes(b"")
    assert read(path) == []
