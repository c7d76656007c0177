"""HTTP responses as crawls store them: status, declared type, the body as the server meant it; and the page that a response
record makes: a payload, a counted drop or an error. The same record gives the same page with the same id, whether it is
read from a whole file or out of a range of one."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import xxhash

from winnow.stages.reading.archives import read_range
from winnow.stages.reading.batches import placed
from winnow.stages.reading.files import Window
from winnow.stages.reading.members import Broken
from winnow.stages.reading.records import WarcRecord
from winnow.stages.reading.warc_headers import Fields
from winnow.stages.source import Damage, Drop, Page

_END = re.compile(rb"\n\r*\n")
_STATUS = re.compile(rb"[A-Z]{3,5}(?:/\d(?:\.\d)?)?[ \t]+(\d{1,3})(?!\d)")
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHARSET = re.compile(rb"charset\s*=\s*(?:[\"']\s*)?([^\s\"';,]+)", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta|script|table|div|h1|p)[\s>]", re.IGNORECASE)
_IDENTITY = frozenset(["", "identity", "none"])
HEAD_LIMIT = 1 << 18
"""Longest response head in bytes."""


class Undecodable(Exception):
    """A response whose body cannot be had; the message names the coding or the head's fault."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response head, and where its body starts in the block."""

    status: int
    fields: Fields
    start: int

    @property
    def mime(self) -> str | None:
        """Media type as declared, lower case, without parameters; None where none is declared."""
        value = (self.fields.get(b"content-type") or b"").partition(b";")[0].partition(b",")[0].strip()
        return value.decode("latin-1").lower() or None

    @property
    def charset(self) -> str | None:
        """Charset parameter of the Content-Type as declared, or None."""
        found = _CHARSET.search(self.fields.get(b"content-type") or b"")
        return None if found is None else found[1].decode("latin-1")


def parse_response(block: bytes | memoryview) -> Response:
    """The head of a response. Raises Undecodable where there is none."""
    status = _STATUS.match(block)
    if status is None:
        raise Undecodable(f"no HTTP status line: {bytes(block[:40])!r}")
    end = _END.search(block, 0, HEAD_LIMIT)
    if end is None:
        if len(block) >= HEAD_LIMIT:
            raise Undecodable(f"HTTP head is longer than {HEAD_LIMIT} bytes")
        return Response(int(status[1]), Fields(bytes(block)), len(block))
    return Response(int(status[1]), Fields(bytes(block[: end.start()])), end.end())


def decode_body(response: Response, block: bytes | memoryview, limit: int, clipped: bool) -> bytes:
    """The body without its transfer and content codings, at most `limit` + 1 bytes of it (one more than `limit`
    says that it is longer). `clipped`: the crawler cut the body, so that a coding may end early.

    Crawlers often store bodies decoded and leave the header that says otherwise: a body that does not begin like
    its coding and is HTML is taken as it stands. Raises Undecodable, naming the coding."""
    body = bytes(block[response.start :])
    codings = [
        coding.strip()
        for field in (b"content-encoding", b"transfer-encoding")
        if (value := response.fields.get(field)) is not None
        for coding in value.decode("latin-1").lower().split(",")
    ]
    for coding in reversed(codings):
        if coding in _IDENTITY or not body:
            continue
        body = _dechunk(body, clipped) if coding == "chunked" else _decode(coding, body, limit, clipped)
    return body if len(body) <= limit else body[: limit + 1]


def is_html(body: bytes) -> bool:
    """Whether a body looks like HTML, by a tag in its first 2,048 bytes, in any ASCII-compatible or UTF-16 charset."""
    start = body[:2048].replace(b"\0", b"")
    return start.lstrip()[:1] != b"{" and _HTML.search(start) is not None


def _dechunk(body: bytes, clipped: bool) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        size = _CHUNK.match(body, at)
        if size is None:
            if not parts:
                return body
            if clipped:
                break
            raise Undecodable(f"broken chunked transfer coding at byte {at} of the body")
        count = int(size[1], 16)
        if count == 0:
            break
        at = size.end() + count
        if at > len(body) and not clipped:
            raise Undecodable(f"broken chunked transfer coding: a chunk of {count} bytes is cut short")
        parts.append(body[size.end() : at])
        if body.startswith(b"\r\n", at):
            at += 2
        elif body.startswith(b"\n", at):
            at += 1
    return b"".join(parts)


def _undone(body: bytes) -> bool:
    """Whether a body is HTML as it stands, whatever the header says."""
    return body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" and is_html(body)


def _decode(coding: str, body: bytes, limit: int, clipped: bool) -> bytes:
    try:
        if coding in ("gzip", "x-gzip"):
            if body[:2] != b"\x1f\x8b" and _undone(body):
                return body
            return _inflate(body, 31, limit, clipped)
        if coding == "deflate":
            # Half of the web means zlib (RFC 9110), half a bare deflate stream (RFC 1951).
            wrapped = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
            if not wrapped and _undone(body):
                return body
            return _inflate(body, 15 if wrapped else -15, limit, clipped)
        if coding == "br":
            return _stream("br", body, limit)
        if coding == "zstd":
            return _stream("zstd", body, limit)
    except (zlib.error, OSError) as failure:
        if _undone(body):
            return body
        raise Undecodable(f"broken content-encoding '{coding}': {failure}") from failure
    if _undone(body):
        return body
    raise Undecodable(f"unsupported content-encoding '{coding}': expected gzip, deflate, br or zstd")


def _inflate(body: bytes, bits: int, limit: int, clipped: bool) -> bytes:
    decoder = zlib.decompressobj(bits)
    text = decoder.decompress(body, limit + 1)
    if not decoder.eof and len(text) <= limit and not clipped:
        raise zlib.error("the stream is cut short")
    return text


def _stream(coding: str, body: bytes, limit: int) -> bytes:
    from fastwarc.stream_io import BrotliReader, ZstdReader

    reader = (BrotliReader if coding == "br" else ZstdReader)(io.BytesIO(body))
    parts: list[bytes] = []
    left = limit + 1
    while left > 0 and (part := reader.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not parts:
        raise OSError("the stream is cut short")
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which responses are pages: media types, and the longest body in bytes, decoded."""

    mime: tuple[str, ...]
    max_bytes: int

    @property
    def block(self) -> int:
        """Bytes of a block to keep. Codings and the head add to a body; one longer than this is over `max_bytes`
        whatever it holds."""
        return self.max_bytes + HEAD_LIMIT + self.max_bytes // 8


def response_pages(
    window: Window, url: str, name: str, start: int, end: int, accepted: Accepted
) -> Iterator[Page | Damage]:
    """The response records that start in bytes [start, end) of a file, in order, as pages. `name` stands for the file in
    the ids of records that have none."""
    for item in read_range(window, name, start, end, accepted.block):
        if isinstance(item, Broken):
            yield Damage(url, item.offset, item.cause)
        elif item.head.kind == "response":
            page = response_page(item, name, accepted)
            yield page if page.error is None else replace(page, error=placed(name, f"byte {item.offset}", page.error))


def record_id(id: str | None, name: str, place: str) -> str:
    """32 hex digits for a record, by its own id or else by its place in the file."""
    return xxhash.xxh3_128_hexdigest(id or f"{name}:{place}")


def response_page(record: WarcRecord, name: str, accepted: Accepted) -> Page:
    """One response record as a page."""
    head = record.head
    key = record_id(head.id, name, record.place)
    drop: Drop | None = None
    try:
        response = response_of(record)
        mime, charset = response.mime, response.charset
        if response.status != 200:
            drop = Drop("status", str(response.status), "= 200")
        elif mime is not None and mime not in accepted.mime:
            drop = _not_a_page(mime, accepted)
        elif head.length > len(record.body):
            drop = _too_long(head.length, accepted)
        else:
            body = decode_body(response, record.body, accepted.max_bytes, head.clipped)
            if len(body) > accepted.max_bytes:
                drop = _too_long(len(body), accepted)
            elif mime is None and body and not is_html(body):
                drop = _not_a_page("undeclared", accepted)
            elif not body:
                drop = Drop("empty", "0", "> 0")
            else:
                return Page(key, head.url, head.date, body, charset, mime or accepted.mime[0])
    except Undecodable as failure:
        return Page(key, head.url, head.date, error=str(failure))
    return Page(key, head.url, head.date, charset=charset, mime=mime, drop=drop)


def response_of(record: WarcRecord) -> Response:
    """The response head. A record of something other than HTTP (dns:, ftp:) is its whole block, with the type that
    the archive gives it. Raises Undecodable."""
    head = record.head
    mime = (head.mime or "").partition(";")[0].strip().lower()
    if bytes(record.body[:4]).upper() != b"HTTP" and not (head.url or "").startswith(("http:", "https:")):
        return Response(200, Fields(f"\ncontent-type: {mime}".encode()), 0)
    return parse_response(record.body)


def _not_a_page(mime: str, accepted: Accepted) -> Drop:
    return Drop("mime", mime, f"in {', '.join(accepted.mime)}")


def _too_long(size: int, accepted: Accepted) -> Drop:
    return Drop("max_bytes", str(size), f"<= {accepted.max_bytes}")
