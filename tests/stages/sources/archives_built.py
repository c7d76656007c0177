"""Archives that the tests build themselves: WARC and ARC, in every wrapping."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import zstandard


def http(body: bytes, *fields: str, status: str = "200 OK", mime: str | None = "text/html; charset=utf-8") -> bytes:
    """An HTTP response block."""
    typed = [] if mime is None else [f"Content-Type: {mime}"]
    return "\r\n".join([f"HTTP/1.1 {status}", *typed, *fields, "", ""]).encode() + body


def warc(number: int, block: bytes, kind: str = "response", version: str = "1.0", **extra: str) -> bytes:
    """A WARC record."""
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{number:08d}>",
        "WARC-Target-URI": f"http://example.kr/{number}",
        "WARC-Date": "2026-01-02T03:04:05Z",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block)),
    }
    fields.update({name.replace("_", "-"): value for name, value in extra.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"WARC/{version}\r\n{head}\r\n".encode() + block + b"\r\n\r\n"


def arc(number: int, block: bytes) -> bytes:
    """An ARC v1 record."""
    return f"http://example.kr/{number} 10.0.0.1 20080430204825 text/html {len(block)}\n".encode() + block + b"\n"


def arc_start() -> bytes:
    """The file description that an ARC begins with."""
    note = b"1 0 Tests\nURL IP-address Archive-date Content-type Archive-length\n"
    return f"filedesc://built.arc 0.0.0.0 20080430204825 text/plain {len(note)}\n".encode() + note + b"\n"


def wrap(records: Sequence[bytes], wrapping: str) -> bytes:
    """The records as a file: 'plain', 'gz', 'gz-single', 'gz-blocks' (members cut anywhere), 'zst', 'zst-dictionary'."""
    if wrapping == "plain":
        return b"".join(records)
    if wrapping == "gz":
        return b"".join(gzip.compress(record, mtime=0) for record in records)
    if wrapping == "gz-single":
        return gzip.compress(b"".join(records), mtime=0)
    if wrapping == "gz-blocks":
        text = b"".join(records)
        return b"".join(gzip.compress(text[at : at + 700], mtime=0) for at in range(0, len(text), 700))
    if wrapping == "zst":
        return b"".join(zstandard.ZstdCompressor(write_checksum=True).compress(record) for record in records)
    if wrapping == "zst-dictionary":
        content = b"".join(records)[:4096] or b"WARC/1.0"
        dictionary = zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        frame = b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
        compressor = zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True)
        return frame + b"".join(compressor.compress(record) for record in records)
    raise ValueError(wrapping)


WRAPPINGS = ("plain", "gz", "gz-single", "gz-blocks", "zst", "zst-dictionary")
