"""From a response record of a crawl archive to a page: a payload, a counted drop or an error. What reads records, from
whole files or out of ranges of them, gives the same page with the same id for the same record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import xxhash

from winnow.stages.sources.archives import read_range
from winnow.stages.sources.heads import Fields
from winnow.stages.sources.http import HEAD_LIMIT, Response, Undecodable, decode_body, is_html, parse_response
from winnow.stages.sources.members import Broken
from winnow.stages.sources.place import placed
from winnow.stages.sources.records import Record
from winnow.stages.sources.window import Window
from winnow.stages.stage import Damage, Drop, Page


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


def response_page(record: Record, name: str, accepted: Accepted) -> Page:
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


def response_of(record: Record) -> Response:
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
