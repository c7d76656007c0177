"""Damaged archives: everything readable is read, and each lost stretch is reported where it starts."""

from __future__ import annotations

import contextlib
import gzip
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.source import Damage, Page

from .archives_built import http, warc, wrap
from .test_warc import HTML, read

RECORDS = [warc(n, http(HTML * 30 + b"%d" % n)) for n in range(8)]


def split(items: list[Page | Damage]) -> tuple[list[str | None], list[Damage]]:
    return [i.url for i in items if isinstance(i, Page)], [i for i in items if isinstance(i, Damage)]


def urls(*numbers: int) -> list[str]:
    return [f"http://example.kr/{number}" for number in numbers]


@pytest.mark.parametrize("wrapping", ["gz", "zst"])
def test_a_flipped_byte_costs_one_member(tmp_path: Path, wrapping: str) -> None:
    members = [wrap([record], wrapping) for record in RECORDS]
    broken = bytearray(members[3])
    broken[len(broken) // 2] ^= 0xFF
    path = tmp_path / "a"
    path.write_bytes(b"".join([*members[:3], bytes(broken), *members[4:]]))
    pages, damage = split(read(path))
    assert pages == urls(0, 1, 2, 4, 5, 6, 7)
    assert [d.offset for d in damage] == [sum(map(len, members[:3]))]
    assert damage[0].file == str(path)


@pytest.mark.parametrize("wrapping", ["gz", "zst", "plain"])
def test_truncation_costs_the_last_record(tmp_path: Path, wrapping: str) -> None:
    path = tmp_path / "a"
    data = wrap(RECORDS, wrapping)
    last = len(wrap(RECORDS[-1:], wrapping))
    path.write_bytes(data[: -last // 2])
    pages, damage = split(read(path))
    assert pages == urls(0, 1, 2, 3, 4, 5, 6)
    assert [d.offset for d in damage] == [len(data) - last]
    assert "http://example.kr/7" in damage[0].cause or "truncated" in damage[0].cause


@pytest.mark.parametrize("cut", [True, False])
def test_a_broken_single_member_gives_what_comes_before(tmp_path: Path, cut: bool) -> None:
    rng = random.Random(7)
    records = [warc(n, http(HTML + rng.randbytes(4000))) for n in range(40)]
    data = bytearray(wrap(records, "gz-single"))
    middle = len(data) // 2
    if cut:
        del data[middle:]
    else:
        data[middle : middle + 8] = b"\xff" * 8
    path = tmp_path / "a"
    path.write_bytes(data)
    original, text = b"".join(records), _inflated_before_error(bytes(data))
    sound = next((at for at, (a, b) in enumerate(zip(original, text, strict=False)) if a != b), len(text))
    whole = sum(1 for n in range(40) if sum(map(len, records[: n + 1])) <= sound)
    pages, damage = split(read(path))
    assert 10 < whole < 40 and pages[:whole] == urls(*range(whole))
    assert {d.offset for d in damage} == {0} and "gzip" in damage[-1].cause


def _inflated_before_error(data: bytes) -> bytes:
    inflater, text = zlib.decompressobj(31), bytearray()
    with contextlib.suppress(zlib.error):
        for index in range(len(data)):
            text += inflater.decompress(data[index : index + 1])
    return bytes(text)


def test_rubbish_between_members(tmp_path: Path) -> None:
    path = tmp_path / "a"
    one, two = wrap(RECORDS[:1], "gz"), wrap(RECORDS[1:2], "gz")
    path.write_bytes(one + b"rubbish \x1f\x8b\x08 rubbish" + two + b"\0" * 100)
    pages, damage = split(read(path))
    assert pages == urls(0, 1) and [d.offset for d in damage] == [len(one)]


@pytest.mark.parametrize("wrapping", ["plain", "gz-single", "gz"])
def test_a_length_that_is_too_long_costs_that_record(tmp_path: Path, wrapping: str) -> None:
    path = tmp_path / "a"
    bad = warc(1, http(HTML), Content_Length="3000")
    path.write_bytes(wrap([RECORDS[0], bad, *RECORDS[2:]], wrapping))
    pages, damage = split(read(path))
    assert pages == urls(0, 2, 3, 4, 5, 6, 7)
    assert len(damage) == 1 and "http://example.kr/1" in damage[0].cause


@pytest.mark.parametrize("wrapping", ["plain", "gz-single", "gz"])
def test_a_length_that_is_too_short_is_reported(tmp_path: Path, wrapping: str) -> None:
    path = tmp_path / "a"
    bad = warc(1, http(HTML * 9), Content_Length="120")
    path.write_bytes(wrap([RECORDS[0], bad, *RECORDS[2:]], wrapping))
    pages, damage = split(read(path))
    assert pages == urls(0, 1, 2, 3, 4, 5, 6, 7) and len(damage) == 1


@pytest.mark.parametrize("wrapping", ["plain", "gz-single", "gz"])
def test_a_broken_head_costs_that_record(tmp_path: Path, wrapping: str) -> None:
    path = tmp_path / "a"
    bad = RECORDS[1].replace(b"Content-Length: ", b"Content-Lxngth: ")
    path.write_bytes(wrap([RECORDS[0], bad, *RECORDS[2:]], wrapping))
    pages, damage = split(read(path))
    assert pages == urls(0, 2, 3, 4, 5, 6, 7) and len(damage) == 1


@pytest.mark.parametrize(
    ("data", "cause"), [(b"", "empty"), (b"\x04\x22\x4d\x18rest", "lz4"), (b"plain prose", "no record head")]
)
def test_what_is_no_archive_says_so(tmp_path: Path, data: bytes, cause: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    (damage,) = read(path)
    assert isinstance(damage, Damage) and damage.offset == 0 and cause in damage.cause


@given(at=st.integers(0, 10_000), width=st.integers(1, 60), noise=st.binary(min_size=60, max_size=60))
@settings(max_examples=150, derandomize=True)
def test_noise_never_costs_a_member_that_it_does_not_touch(tmp_path: Path, at: int, width: int, noise: bytes) -> None:
    members = [gzip.compress(record, mtime=0) for record in RECORDS]
    data = bytearray(b"".join(members))
    at %= len(data)
    data[at : at + width] = noise[: len(data[at : at + width])]
    path = tmp_path / "a"
    path.write_bytes(data)
    pages, _ = split(read(path))
    start = 0
    for number, member in enumerate(members):
        untouched = start + len(member) <= at or start >= at + width
        if untouched:
            assert f"http://example.kr/{number}" in pages
        start += len(member)
