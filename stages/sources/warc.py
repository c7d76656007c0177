"""Crawl archives: WARC 0.17-1.1 and ARC, gzip, zstd or uncompressed, from any fsspec filesystem."""

from __future__ import annotations

from collections.abc import Iterator

import xxhash
from pydantic import Field

from winnow.stages.sources.archives import read_range
from winnow.stages.sources.heads import Fields
from winnow.stages.sources.http import HEAD_LIMIT, Response, Undecodable, decode_body, is_html, parse_response
from winnow.stages.sources.members import Broken
from winnow.stages.sources.records import Record
from winnow.stages.sources.window import basename, opened, pieces
from winnow.stages.stage import Damage, Drop, InputFile, Page, Segment, Source
from winnow.stages.stage import Settings as BaseSettings


class Settings(BaseSettings):
    """`mime`: media types that are pages. `max_bytes`: longest body, decoded; longer ones are counted drops."""

    paths: list[str] = Field(min_length=1)
    mime: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    max_bytes: int = Field(default=10 << 20, gt=0)


class Warc(Source):
    """Every response record as one page: a payload, a counted drop or an error. Requests, revisits, metadata,
    resources and conversions are no documents and are passed over."""

    __slots__ = ()

    kind = "warc"
    version = 1
    Settings = Settings
    gives = "pages"

    def segments(self, file: InputFile) -> list[Segment]:
        """Byte ranges of size / 16, at least 1 MiB and at most 256 MiB each."""
        return [Segment(file, start, end) for start, end in pieces(file, 1 << 20, 256 << 20, 16)]

    def pages(self, segment: Segment) -> Iterator[Page | Damage]:
        """The pages whose member, frame or uncompressed record starts in the segment. Raises StageError where the
        file cannot be opened."""
        name = segment.file.key or basename(segment.file.url)
        # Codings and the head add to a body; one longer than this is over max_bytes whatever it holds.
        limit = self.settings.max_bytes + HEAD_LIMIT + self.settings.max_bytes // 8
        with opened(segment.file) as window:
            for item in read_range(window, name, segment.start, segment.end, limit):
                if isinstance(item, Broken):
                    yield Damage(segment.file.url, item.offset, item.cause)
                elif item.head.kind == "response":
                    yield self._page(item, name)

    def _page(self, record: Record, name: str) -> Page:
        head = record.head
        identity = head.id or f"{name}:{record.place}"
        key = xxhash.xxh3_128_hexdigest(identity)
        drop: Drop | None = None
        try:
            response = _response(record)
            mime, charset = response.mime, response.charset
            if response.status != 200:
                drop = Drop("status", str(response.status), "= 200")
            elif mime is not None and mime not in self.settings.mime:
                drop = self._not_a_page(mime)
            elif head.length > len(record.body):
                drop = self._too_long(head.length)
            else:
                body = decode_body(response, record.body, self.settings.max_bytes, head.clipped)
                if len(body) > self.settings.max_bytes:
                    drop = self._too_long(len(body))
                elif mime is None and body and not is_html(body):
                    drop = self._not_a_page("undeclared")
                elif not body:
                    drop = Drop("empty", "0", "> 0")
                else:
                    return Page(key, head.url, head.date, body, charset, mime or self.settings.mime[0])
        except Undecodable as failure:
            return Page(key, head.url, head.date, error=str(failure))
        return Page(key, head.url, head.date, charset=charset, mime=mime, drop=drop)

    def _not_a_page(self, mime: str) -> Drop:
        return Drop("mime", mime, f"in {', '.join(self.settings.mime)}")

    def _too_long(self, size: int) -> Drop:
        return Drop("max_bytes", str(size), f"<= {self.settings.max_bytes}")


def _response(record: Record) -> Response:
    """The response head. A record of something other than HTTP (dns:, ftp:) is its whole block, with the type that
    the archive gives it."""
    head = record.head
    mime = (head.mime or "").partition(";")[0].strip().lower()
    if bytes(record.body[:4]).upper() != b"HTTP" and not (head.url or "").startswith(("http:", "https:")):
        return Response(200, Fields(f"\ncontent-type: {mime}".encode()), 0)
    return parse_response(record.body)


KIND = Warc
