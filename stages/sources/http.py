"""HTTP responses as crawls store them: status, declared type, and the body as the server meant it."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass

from winnow.stages.sources.heads import Fields

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
