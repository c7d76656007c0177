"""How a page becomes bytes: character encodings rightly and wrongly declared, damage, transfer codings, and WARC 1.1, one
gzip member per record, with no clock and no chance in it.

Format: ISO 28500:2017, https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/
"""

from __future__ import annotations

import base64
import codecs
import gzip
import hashlib
import unicodedata
import uuid
from dataclasses import dataclass

from winnow.pipelines.sample.dice import Dice

NESTED = 3000


@dataclass(frozen=True, slots=True)
class Encoding:
    """The codec of the bytes, and what the page and the HTTP header claim (None: no claim)."""

    codec: str
    meta: str | None
    header: str | None
    true: str
    bom: bytes = b""


ENCODINGS = {
    "utf8": Encoding("utf-8", "utf-8", "utf-8", "utf-8"),
    "utf8_meta": Encoding("utf-8", "utf-8", None, "utf-8"),
    "euckr_header": Encoding("cp949", None, "EUC-KR", "euc-kr"),
    "euckr_meta": Encoding("cp949", "euc-kr", None, "euc-kr"),
    "cp949": Encoding("cp949", "euc-kr", "euc-kr", "cp949"),
    "lie_header_utf8": Encoding("cp949", "euc-kr", "utf-8", "euc-kr"),
    "lie_header_latin1": Encoding("utf-8", "utf-8", "iso-8859-1", "utf-8"),
    "lie_meta": Encoding("utf-8", "euc-kr", None, "utf-8"),
    "utf16": Encoding("utf-16-le", None, None, "utf-16", codecs.BOM_UTF16_LE),
    "ncr": Encoding("ascii", "utf-8", "utf-8", "utf-8"),
    "utf8_bom": Encoding("utf-8", None, None, "utf-8", codecs.BOM_UTF8),
    "nfd": Encoding("utf-8", "utf-8", "utf-8", "utf-8"),
    "shift_jis": Encoding("cp932", "shift_jis", None, "shift_jis"),
    "euc_jp": Encoding("euc_jp", "euc-jp", "EUC-JP", "euc-jp"),
    "gbk": Encoding("gbk", "gb2312", None, "gbk"),
    "big5": Encoding("cp950", "big5", "Big5", "big5"),
}


def encode(html: str, name: str) -> bytes:
    """The page's bytes. Characters that the codec lacks become numeric references, as editors write them."""
    encoding = ENCODINGS[name]
    if encoding.meta is None:
        html = html.replace('<meta charset="utf-8">\n', "", 1)
        html = html.replace('<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=utf-8">\n', "", 1)
    if name == "nfd":
        html = unicodedata.normalize("NFD", html)
    return encoding.bom + html.encode(encoding.codec, "xmlcharrefreplace")


def broken(html: str, dice: Dice) -> str:
    """The page with tags left open, closed twice or closed in the wrong order."""
    html = html.replace("</head>", "", 1).replace("</li>", "", dice.between(3, 30))
    html = html.replace("</span>", "</b></span></i>", 2).replace("</h1>", "", 1).replace("</h2>", "</h3>", 1)
    parts = html.split("</p>\n")
    return "\n".join(part + ("" if dice.chance(0.6) else "</p>") for part in parts).replace("</body></html>", "</td>")


def truncated(html: str, _first: str, last: str, dice: Dice) -> str:
    """The page as a connection leaves it that broke soon after the end of the main text."""
    return html[: html.rfind(last) + len(last) + dice.between(5, 300)]


def nested(html: str, first: str, last: str, dice: Dice) -> str:
    """The page with NESTED open blocks: around the main text, or after it."""
    start, end = html.find(first), html.rfind(last) + len(last)
    if dice.chance(0.5):
        return html[:start] + "<div>" * NESTED + html[start:end] + "</div>" * NESTED + html[end:]
    return html[:end] + "</p>" + "<div><b>" * NESTED + html[end:]


def wire(body: bytes, way: str, dice: Dice) -> tuple[bytes, list[tuple[str, str]]]:
    """The body under a transfer or content coding, and the header fields that say so."""
    if way == "gzip":
        return gzip.compress(body, 6, mtime=0), [("Content-Encoding", "gzip")]
    if way == "chunked":
        chunks, at = [], 0
        while at < len(body):
            size = dice.between(500, 9000)
            piece = body[at : at + size]
            chunks.append(b"%x\r\n%s\r\n" % (len(piece), piece))
            at += size
        return b"".join(chunks) + b"0\r\n\r\n", [("Transfer-Encoding", "chunked")]
    return body, []


def http_head(status: int, reason: str, version: str, fields: list[tuple[str, str]]) -> bytes:
    """An HTTP response head with its empty line."""
    rows = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(rows) + "\r\n\r\n").encode("latin-1")


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
