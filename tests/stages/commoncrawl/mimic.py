"""A folder laid out like Common Crawl's data host, filled with pages saved elsewhere or written here.

    pages = real_pages(data / "crawl")         # of the data folder
    pages = written_pages()                    # a few dozen, of texts in this file
    made = build(folder, {"CC-MAIN-2026-38": pages, "CC-MAIN-2026-43": recrawled(pages)}, files=4)
    made.root, made.stored["CC-MAIN-2026-43"]  # every record with its place and what the index says of it

It has collinfo.json, the lists of paths, WARC files with one gzip member per record (warcinfo, then request, response and
metadata of each page), WET files, and the columnar index with the column names and types of
https://github.com/commoncrawl/cc-index-table, sorted by SURT key, in several parts of several row groups. Everything
is a function of the arguments. What the index says of languages is wrong here and there, as in life.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)

INDEX = pa.schema(
    [
        ("url_surtkey", pa.string()),
        ("url", pa.string()),
        ("url_host_name", pa.string()),
        ("url_host_tld", pa.string()),
        *((f"url_host_{which}_last_part", pa.string()) for which in ("2nd", "3rd", "4th", "5th")),
        *((f"url_host_{name}", pa.string()) for name in ("registry_suffix", "registered_domain")),
        *((f"url_host_private_{name}", pa.string()) for name in ("suffix", "domain")),
        ("url_host_name_reversed", pa.string()),
        ("url_protocol", pa.string()),
        ("url_port", pa.int32()),
        ("url_path", pa.string()),
        ("url_query", pa.string()),
        ("fetch_time", pa.timestamp("ns")),
        ("fetch_status", pa.int16()),
        ("fetch_redirect", pa.string()),
        ("content_digest", pa.string()),
        ("content_mime_type", pa.string()),
        ("content_mime_detected", pa.string()),
        ("content_charset", pa.string()),
        ("content_languages", pa.string()),
        ("content_truncated", pa.string()),
        ("warc_record_id", pa.binary()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()),
        ("warc_segment", pa.string()),
    ]
)


@dataclass(frozen=True)
class Saved:
    """A page as a crawler got it. `head`: status line and fields of the response, without the empty line; `languages` and
    `charset`: what the index calls it; `korean`: what it is."""

    url: str
    head: bytes
    body: bytes
    languages: str | None
    charset: str | None = "UTF-8"
    mime: str = "text/html"
    korean: bool = False


@dataclass(frozen=True)
class Stored:
    """A response record of a snapshot, and where it lies."""

    page: Saved
    id: str
    digest: str
    warc: str
    offset: int
    length: int


@dataclass(frozen=True)
class Mimic:
    """What was built: the folder, and each snapshot's records in the order of their files."""

    root: Path
    stored: dict[str, list[Stored]]

    def file(self, path: str) -> Path:
        """A file of it."""
        return self.root / path


def build(
    root: Path,
    snapshots: Mapping[str, Sequence[Saved]],
    files: int = 4,
    parts: int = 3,
    row_group: int = 200,
    level: int = 6,
) -> Mimic:
    """Writes the layout. `files`: WARC files of a snapshot; `parts` of its index; `level`: of gzip."""
    stored = {}
    for name, pages in snapshots.items():
        stored[name] = _snapshot(root, name, pages, files, level)
        _index(root, name, stored[name], parts, row_group)
    newest_first = sorted(snapshots, reverse=True)
    listed = [
        {
            "id": name,
            "name": f"{name} Index",
            "timegate": f"https://index.commoncrawl.org/{name}/",
            "cdx-api": f"https://index.commoncrawl.org/{name}-index",
            "from": f"{_fetched(name, 0):%Y-%m-%dT%H:%M:%S}",
            "to": f"{_fetched(name, 9999):%Y-%m-%dT%H:%M:%S}",
        }
        for name in newest_first
    ]
    _write(root / "collinfo.json", json.dumps(listed, indent=1).encode())
    return Mimic(root, stored)


def real_pages(crawl: Path) -> list[Saved]:
    """The 2,261 pages of the mixed crawl, 516 of them Korean."""
    archive, truth = crawl / "web-mixed.warc.gz", crawl / "web-mixed.truth.jsonl.gz"
    from warcio.archiveiterator import ArchiveIterator

    with gzip.open(truth) as lines:
        known = {row["uri"]: row for row in map(json.loads, lines)}
    pages = []
    with archive.open("rb") as stream:
        for record in ArchiveIterator(stream, no_record_parse=True):
            if record.rec_type != "response":
                continue
            url = record.rec_headers.get_header("WARC-Target-URI")
            head, _, body = record.raw_stream.read().partition(b"\r\n\r\n")
            pages.append(_labelled(url, head, body, known.get(url, {})))
    return pages


def _labelled(url: str, head: bytes, body: bytes, truth: Mapping[str, str]) -> Saved:
    korean = truth.get("lang") == "ko"
    luck = hashlib.sha256(url.encode()).digest()[0]
    languages: str | None = {"ja": "jpn,eng", "zh": "zho", "broken": None}.get(truth.get("lang", ""), "eng")
    charset = "EUC-KR" if truth.get("true_encoding") == "cp949" else "UTF-8"
    if korean:
        languages = "eng" if luck < 10 and charset == "UTF-8" else "eng,kor" if luck < 60 else "kor"
        if charset == "EUC-KR" and luck % 2:
            languages = None  # found by its charset alone
    elif luck < 3:
        languages = "kor"  # and not
    return Saved(url, head, body, languages, charset, korean=korean)


_KOREAN = (
    "검색 엔진은 웹에서 문서를 모으고 색인을 만든다. 사용자가 낱말을 넣으면 색인에서 문서를 찾아 순서를 매긴다.",
    "한국어는 조사와 어미가 발달한 언어이다. 띄어쓰기는 낱말을 단위로 하지만 조사는 앞말에 붙여 쓴다.",
    "데이터를 고르는 일은 모델을 키우는 일만큼 중요하다. 좋은 글을 남기고 되풀이되는 글을 덜어 내야 한다.",
    "가을 산에는 단풍이 곱게 들었다. 마을 사람들은 감을 깎아 처마 밑에 매달고 겨울을 준비하였다.",
)
_ENGLISH = (
    "A search engine gathers documents from the web and builds an index. A query finds them and puts them in order.",
    "Autumn leaves had turned on the hills. The people of the village peeled persimmons and hung them under the eaves.",
    "Choosing data matters as much as growing models. Keep good writing, and take out what is said again and again.",
)


def written_pages(korean: int = 24, other: int = 60) -> list[Saved]:
    """Pages of the texts above, a sentence of their own in each; some of the Korean ones in EUC-KR, some that the index
    calls English, and a few records that are no pages or that its rules pass over."""
    pages = [_written(number, True) for number in range(korean)] + [_written(number, False) for number in range(other)]
    pdf = Saved("http://files.example.kr/a.pdf", _head("application/pdf"), b"%PDF-1.7\n" + b"0" * 900, "kor", None)
    wrong = replace(_written(korean, True), url="http://blog.example.kr/typed", head=_head("text/plain"))
    return [*pages, replace(pdf, mime="application/pdf"), wrong]


def _written(number: int, korean: bool) -> Saved:
    texts = _KOREAN if korean else _ENGLISH
    own = (
        f"이 문서의 번호는 {number}번이며 {number * 7919}개의 낱말을 세었다."
        if korean
        else f"This is page {number * 7919}."
    )
    paragraphs = [texts[(number + at) % len(texts)] for at in range(3)]
    text = "".join(f"<p>{p} {own}</p>\n" for p in paragraphs)
    euc = korean and number % 4 == 1
    charset = "euc-kr" if euc else "utf-8"
    html = f'<!doctype html><html lang="ko"><head><meta charset="{charset}"><title>{number}</title></head><body>{text}</body></html>'
    host = f"{'www' if number % 3 else 'blog'}.site{number % 7}.{'co.kr' if korean else 'com'}"
    languages: str | None = "eng"
    if korean:
        languages = None if euc else "eng" if number % 8 == 2 else "eng,kor" if number % 3 == 0 else "kor"
    url = f"https://{host}/{'글' if number % 5 == 4 and korean else 'page'}/{number}.html?b={number}&a=1"
    return Saved(
        url, _head(f"text/html; charset={charset}"), html.encode(charset), languages, charset.upper(), korean=korean
    )


def _head(mime: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nServer: tests\r\nContent-Type: {mime}".encode()


def recrawled(pages: Sequence[Saved]) -> list[Saved]:
    """A later crawl: three in five of the pages, every other one of them changed in a line (a near duplicate), and half
    of the rest at new addresses."""
    again = [
        replace(page, body=page.body.replace(b"</body>", b"<p>%d</p></body>" % at)) if at % 2 else page
        for at, page in enumerate(pages)
        if at % 5 < 3
    ]
    return [*again, *(replace(page, url=_moved(page.url, "later")) for at, page in enumerate(pages) if at % 5 == 3)]


def padded(pages: Sequence[Saved], share: float) -> list[Saved]:
    """The pages and copies of those that are not Korean, at other addresses, until so small a share is Korean."""
    korean = sum(page.korean for page in pages)
    others = [page for page in pages if not page.korean]
    missing = max(0, round(korean / share) - len(pages))
    copies = (
        replace(others[at % len(others)], url=_moved(others[at % len(others)].url, f"copy{at}"), languages="eng")
        for at in range(missing)
    )
    return [*pages, *copies]


def _moved(url: str, to: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{to}=1"


def _snapshot(root: Path, name: str, pages: Sequence[Saved], files: int, level: int) -> list[Stored]:
    segment = f"17{int(name[-2:]):02d}234567.89"
    folder = f"crawl-data/{name}/segments/{segment}"
    spread: list[list[Saved]] = [[] for _ in range(files)]
    for page in pages:
        spread[int.from_bytes(hashlib.sha1(page.url.encode()).digest()[:4]) % files].append(page)
    stored, paths, texts = [], [], []
    for number, mine in enumerate(spread):
        stem = f"CC-MAIN-{_fetched(name, 0):%Y%m%d%H%M%S}-{_fetched(name, 9999):%Y%m%d%H%M%S}-{number:05d}"
        path = f"{folder}/warc/{stem}.warc.gz"
        paths.append(path)
        texts.append(f"{folder}/wet/{stem}.warc.wet.gz")
        stored += _warc(root, name, path, mine, level)
        _wet(root, name, texts[-1], [one for one in stored if one.warc == path], level)
    _listing(root, name, "warc", paths)
    _listing(root, name, "wet", texts)
    return stored


def _warc(root: Path, name: str, path: str, pages: Sequence[Saved], level: int) -> list[Stored]:
    info = f"isPartOf: {name}\r\npublisher: Common Crawl\r\nformat: WARC File Format 1.1\r\n".encode()
    members = [_member({"WARC-Type": "warcinfo", "WARC-Filename": path.rpartition("/")[2]}, name, "info", info, level)]
    at = len(members[0])
    stored = []
    for number, page in enumerate(pages):
        seed = f"{name} {page.url}"
        digest = _digest(page.body)
        parts = urlsplit(page.url)
        asked = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: CCBot/2.0\r\n\r\n".encode()
        said = f"fetchTimeMs: {number}\r\ncharset-detected: {page.charset}\r\n".encode()
        target = {"WARC-Target-URI": page.url}
        http = {"Content-Type": "application/http; msgtype=response"}
        request = _member({"WARC-Type": "request", **target}, name, f"{seed} request", asked, level)
        response = _member(
            {"WARC-Type": "response", **target, **http, "WARC-Payload-Digest": f"sha1:{digest}"},
            name,
            seed,
            page.head + b"\r\n\r\n" + page.body,
            level,
        )
        metadata = _member({"WARC-Type": "metadata", **target}, name, f"{seed} metadata", said, level)
        stored.append(Stored(page, _id(seed), digest, path, at + len(request), len(response)))
        members += [request, response, metadata]
        at += len(request) + len(response) + len(metadata)
    _write(root / path, b"".join(members))
    return stored


def _wet(root: Path, name: str, path: str, stored: Sequence[Stored], level: int) -> None:
    """Conversion records of pages whose text anything can be said of."""
    members = [_member({"WARC-Type": "warcinfo"}, name, f"{path} info", b"Software-Info: tests\r\n", level)]
    for one in stored:
        codec = "cp949" if one.page.charset == "EUC-KR" else "utf-8"
        text = "\n".join(_TAGS.sub("\n", one.page.body.decode(codec, "replace")).split("\n"))
        fields = {
            "WARC-Type": "conversion",
            "WARC-Target-URI": one.page.url,
            "WARC-Refers-To": one.id,
            "Content-Type": "text/plain",
            **({} if one.page.languages is None else {"WARC-Identified-Content-Language": one.page.languages}),
        }
        members.append(_member(fields, name, f"{one.id} conversion", text.encode(), level))
    _write(root / path, b"".join(members))


def _member(fields: Mapping[str, str], name: str, seed: str, block: bytes, level: int) -> bytes:
    head = {**fields, "WARC-Date": f"{_fetched(name, 0):%Y-%m-%dT%H:%M:%SZ}", "WARC-Record-ID": _id(seed)}
    lines = "".join(f"{key}: {value}\r\n" for key, value in (head | {"Content-Length": str(len(block))}).items())
    return gzip.compress(f"WARC/1.0\r\n{lines}\r\n".encode() + block + b"\r\n\r\n", level, mtime=0)


def _index(root: Path, name: str, stored: Sequence[Stored], parts: int, row_group: int) -> None:
    """The table, cut into parts of equal size, and a part of records that are no successful captures."""
    rows = sorted(
        (_row(name, number, one) for number, one in enumerate(stored)), key=lambda row: str(row["url_surtkey"])
    )
    base = f"cc-index/table/cc-main/warc/crawl={name}"
    failed = [row | {"fetch_status": 404} for row in rows[:3]]
    paths = [f"{base}/subset=crawldiagnostics/part-00000-{uuid.UUID(int=7)}.c000.gz.parquet"]
    _parquet(root / paths[0], failed, row_group)
    for part in range(parts):
        mine = rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]
        paths.append(f"{base}/subset=warc/part-{part:05d}-{uuid.UUID(int=9)}.c000.gz.parquet")
        _parquet(root / paths[-1], mine, row_group)
    _listing(root, name, "cc-index-table", paths)


def _parquet(path: Path, rows: Sequence[dict[str, object]], row_group: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), INDEX)
    pq.write_table(table, path, row_group_size=row_group, compression="gzip", use_deprecated_int96_timestamps=True)


def _row(name: str, number: int, one: Stored) -> dict[str, object]:
    parts = urlsplit(one.page.url)
    labels = (parts.hostname or "").split(".")
    back = [*reversed(labels), None, None, None, None][:5]
    suffix = ".".join(labels[-2:]) if labels[-1] == "kr" and len(labels) > 2 else labels[-1]
    domain = ".".join(labels[-len(suffix.split(".")) - 1 :])
    reversed_host = ".".join(reversed(labels))
    query = f"?{parts.query}" if parts.query else ""
    return {
        "url_surtkey": f"{reversed_host.replace('.', ',')}){parts.path}{query}".lower(),
        "url": one.page.url,
        "url_host_name": parts.hostname,
        **dict(zip(INDEX.names[3:8], back, strict=True)),
        **dict.fromkeys(("url_host_registry_suffix", "url_host_private_suffix"), suffix),
        **dict.fromkeys(("url_host_registered_domain", "url_host_private_domain"), domain),
        "url_host_name_reversed": reversed_host,
        "url_protocol": parts.scheme,
        "url_port": parts.port,
        "url_path": parts.path,
        "url_query": parts.query or None,
        "fetch_time": _fetched(name, number).replace(tzinfo=None),
        "fetch_status": 200,
        "content_digest": one.digest,
        **dict.fromkeys(("content_mime_type", "content_mime_detected"), one.page.mime),
        "content_charset": one.page.charset,
        "content_languages": one.page.languages,
        "warc_record_id": uuid.UUID(one.id[10:-1]).bytes,
        "warc_filename": one.warc,
        "warc_record_offset": one.offset,
        "warc_record_length": one.length,
        "warc_segment": one.warc.split("/")[3],
    }


def _listing(root: Path, name: str, kind: str, paths: Sequence[str]) -> None:
    lines = "".join(f"{path}\n" for path in paths).encode()
    _write(root / f"crawl-data/{name}/{kind}.paths.gz", gzip.compress(lines, mtime=0))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _fetched(name: str, second: int) -> datetime:
    week = datetime.fromisocalendar(int(name[8:12]), int(name[13:15]), 1)
    return datetime.fromtimestamp(week.replace(tzinfo=UTC).timestamp() + second, UTC)


def _id(seed: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}>"


def _digest(body: bytes) -> str:
    return base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()


def korean(stored: Sequence[Stored]) -> Iterator[Stored]:
    """The records that are called Korean by language or charset and detected to be HTML."""
    for one in stored:
        called = "kor" in (one.page.languages or "").split(",") or one.page.charset == "EUC-KR"
        if called and one.page.mime == "text/html":
            yield one
