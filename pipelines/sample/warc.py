"""Writes WARC 1.1, one gzip member per record, with no clock and no chance in its bytes.

Format: ISO 28500:2017, https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
from dataclasses import dataclass

LEVEL = 6


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer as it went over the wire: `head` ends with the empty line, `body` is still encoded."""

    url: str
    date: str  # ISO 8601 in UTC
    head: bytes
    body: bytes


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode("ascii")


def _record(kind: str, key: str, date: str, content_type: str, block: bytes, *fields: tuple[str, str]) -> bytes:
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: {record_id(kind, key)}",
        f"WARC-Date: {date}",
        *(f"{name}: {value}" for name, value in fields),
        f"WARC-Block-Digest: {_digest(block)}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(block)}",
    ]
    raw = "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + block + b"\r\n\r\n"
    return gzip.compress(raw, LEVEL, mtime=0)


def record_id(kind: str, key: str) -> str:
    """A record's identifier: a name-based UUID, so the same record has the same one in every file."""
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'winnow-sample:{kind}:{key}')}>"


def warcinfo(date: str, filename: str) -> bytes:
    """The record that opens a file."""
    block = f"software: winnow sample generator\r\nformat: WARC File Format 1.1\r\nfilename: {filename}\r\n".encode()
    return _record("warcinfo", filename, date, "application/warc-fields", block, ("WARC-Filename", filename))


def request(url: str, date: str) -> bytes:
    """The request that a response answers."""
    host, _, path = url.split("://", 1)[1].partition("/")
    block = (
        f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html,*/*;q=0.8\r\nUser-Agent: sample-crawler/1.0\r\n\r\n"
    )
    return _record("request", url, date, "application/http; msgtype=request", block.encode(), ("WARC-Target-URI", url))


def response(answer: Response) -> bytes:
    """The record of an answer."""
    return _record(
        "response",
        answer.url,
        answer.date,
        "application/http; msgtype=response",
        answer.head + answer.body,
        ("WARC-Target-URI", answer.url),
        ("WARC-Payload-Digest", _digest(answer.body)),
    )


def revisit(answer: Response, date: str) -> bytes:
    """A later visit that found the same content, stored without its body."""
    return _record(
        "revisit",
        answer.url,
        date,
        "application/http; msgtype=response",
        answer.head,
        ("WARC-Target-URI", answer.url),
        ("WARC-Profile", "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"),
        ("WARC-Refers-To", record_id("response", answer.url)),
        ("WARC-Payload-Digest", _digest(answer.body)),
    )
