"""Archives that inflate, repeat or claim without end: each costs what it is in, is reported where it starts, and keeps
nothing else from being read. None of these ends in a day if any step is quadratic in what it is given."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest
import zstandard

from winnow.filters.languages import language_pack
from winnow.stages.source import Damage, InputFile, Page, Segment
from winnow.stages.sources.jsonl import Jsonl, Settings

from .archives_built import http, warc, wrap
from .test_warc import HTML, read

GOOD = [warc(n, http(HTML)) for n in range(4)]
URLS = [f"http://example.kr/{n}" for n in range(4)]


def between(tmp_path: Path, middle: bytes, wrapping: str) -> tuple[list[Page], list[Damage], int]:
    """The pages and the damage of two records, something else, and two records; and where the something starts."""
    path = tmp_path / "a.warc"
    before = wrap(GOOD[:2], wrapping)
    path.write_bytes(before + middle + wrap(GOOD[2:], wrapping))
    items = read(path)
    return [i for i in items if isinstance(i, Page)], [i for i in items if isinstance(i, Damage)], len(before)


def packed(text: bytes, wrapping: str) -> bytes:
    """One member."""
    return {"gz": lambda text: gzip.compress(text, 1), "zst": zstandard.ZstdCompressor().compress, "plain": bytes}[
        wrapping
    ](text)


@pytest.mark.parametrize("wrapping", ["gz", "zst", "plain"])
@pytest.mark.parametrize("byte", [b"\n", b"\0", b"\r\n"], ids=["lines", "nuls", "crlf"])
def test_megabytes_of_padding_are_damage_with_its_place(tmp_path: Path, byte: bytes, wrapping: str) -> None:
    pages, damage, at = between(tmp_path, packed(byte * (8_000_000 // len(byte)), wrapping), wrapping)
    assert [page.url for page in pages] == URLS
    (found,) = damage
    assert found.file == str(tmp_path / "a.warc") and "8,000,004 bytes of line ends or NULs" in found.cause
    assert at <= found.offset <= at + 100_000


HEAD = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.kr/x\r\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + b"X-A: b\r\n" * 1_000_000 + b"\r\n",
        HEAD + b"X-A: " + b"b" * 8_000_000,
        b"WARC/1.0\r\n" * 800_000,
        (b"http:" + b"x 12345678 " * 30 + b"\n") * 5_000,
        (b"http:x" + b"12345678 " * 900 + b"x\n") * 1_200,
        (b"http:x" + b" a" * 4_000 + b" 1.2.3.4 20080430204825 text/html 1x\n") * 1_200,
    ],
    ids=["fields", "line", "versions", "arc", "dates", "spaces"],
)
@pytest.mark.parametrize("wrapping", ["gz", "plain"])
def test_heads_without_end_cost_their_stretch(tmp_path: Path, text: bytes, wrapping: str) -> None:
    pages, damage, at = between(tmp_path, packed(text + b"\r\n", wrapping), wrapping)
    assert [page.url for page in pages] == URLS
    assert [found.offset for found in damage] == [at]
    assert ("a record head of more than 4,194,304 bytes here" if text.startswith(HEAD) else "no record head") in damage[
        0
    ].cause


@pytest.mark.parametrize("wrapping", ["gz", "zst"])
def test_a_member_that_inflates_without_end_is_given_up(tmp_path: Path, wrapping: str) -> None:
    text = HEAD + b"Content-Length: 100000000\r\n\r\n" + b"a" * 100_000_000
    pages, damage, at = between(tmp_path, packed(text, wrapping), wrapping)
    assert [page.url for page in pages] == URLS
    (found,) = damage
    assert found.offset == at and "given up after" in found.cause and "http://example.kr/x is lost" in found.cause


@pytest.mark.parametrize("wrapping", ["gz", "plain", "gz-single"])
@pytest.mark.parametrize("claimed", ["999999999999999", "9000000"])
def test_lengths_that_lie_cost_their_records(tmp_path: Path, claimed: str, wrapping: str) -> None:
    path = tmp_path / "a.warc"
    lies = [warc(9 + n, http(HTML), Content_Length=claimed) for n in range(300)]
    path.write_bytes(wrap([*GOOD[:2], *lies, *GOOD[2:]], wrapping))
    items = read(path)
    found = [item.url for item in items if isinstance(item, Page)]
    lost = [item for item in items if isinstance(item, Damage)]
    if wrapping == "gz":
        assert found == URLS and len(lost) == 300
    else:
        assert found[:2] == URLS[:2] and found[-1] == URLS[3] and lost


@pytest.mark.parametrize("wrapping", ["gz", "zst"])
@pytest.mark.parametrize("text", [b"", b"x"], ids=["empty", "tiny"])
def test_thousands_of_members_of_nothing(tmp_path: Path, text: bytes, wrapping: str) -> None:
    pages, damage, at = between(tmp_path, packed(text, wrapping) * 30_000, wrapping)
    assert [page.url for page in pages] == URLS
    assert [found.offset for found in damage] == [at][: len(text)]


@pytest.mark.parametrize("wrapping", ["gz", "plain"])
def test_places_that_look_like_members_are_left_at_once(tmp_path: Path, wrapping: str) -> None:
    nested = b"\x1f\x8b\x08\x08\0\0\0\0\0\3" * 10_000 + b"\0" + gzip.compress(b"\0" * 3_000_000)[10:]
    fakes = b"WARC/1.0\nContent-Length: 9999999999\n\n" * 5_000
    pages, damage, _ = between(tmp_path, nested if wrapping == "gz" else b"x\n" + fakes + b"\n", wrapping)
    assert [page.url for page in pages] == URLS and damage


def test_a_body_of_tiny_chunks_and_fields_of_white_space(tmp_path: Path) -> None:
    chunked = http(b"1\r\n<\r\n" * 200_000 + b"0\r\n\r\n", "Transfer-Encoding: chunked")
    returns = http(HTML, "X-A: " + "\r" * 150_000 + "\n folded")
    charset = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=" + b" " * 200_000 + b";\r\n\r\n" + HTML
    middle = b"".join(packed(warc(9, block), "gz") for block in (chunked, returns, charset))
    pages, damage, _ = between(tmp_path, middle, "gz")
    assert [page.url for page in pages] == [*URLS[:2], *[f"http://example.kr/{9}"] * 3, *URLS[2:]]
    assert len(pages[2].payload) == 200_000 and pages[3].payload == pages[4].payload == HTML and not damage


def test_a_dictionary_that_expands_without_end_is_refused(tmp_path: Path) -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * 100_000_000)
    path = tmp_path / "a.warc.zst"
    frame = b"\x5d\x2a\x4d\x18" + len(bomb).to_bytes(4, "little") + bomb
    path.write_bytes(frame + wrap(GOOD, "zst"))
    (damage,) = read(path)
    assert isinstance(damage, Damage) and "dictionary is longer than" in damage.cause


@pytest.mark.parametrize("wrapping", ["gz", "zst", "plain"])
def test_megabytes_of_blank_lines_in_json_lines_are_passed_over(tmp_path: Path, wrapping: str) -> None:
    lines = [orjson.dumps({"text": f"text {n}"}) for n in range(3)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(packed(lines[0] + b"\n" * 3_000_000 + lines[1] + b"\r\n" * 1_000_000 + lines[2], wrapping))
    source = Jsonl(name="docs", settings=Settings(paths=["x"]), pack=language_pack("ko"))
    whole = source.texts(Segment(InputFile(str(path), path.stat().st_size, ""), 0, path.stat().st_size))
    texts = [text for batch in whole if not isinstance(batch, Damage) for text in batch.column("text").to_pylist()]
    assert texts == ["text 0", "text 1", "text 2"]
