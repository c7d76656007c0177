"""Crawl archives: WARC 0.17-1.1 and ARC, gzip, zstd or uncompressed, from any fsspec filesystem."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from winnow.stages.base import Settings as BaseSettings
from winnow.stages.reading.files import basename, opened, pieces
from winnow.stages.reading.responses import Accepted, response_pages
from winnow.stages.source import Damage, InputFile, Page, Paths, Segment, Source


class Settings(BaseSettings):
    """What to read, and which responses are pages."""

    paths: Paths
    """Files, folders or patterns, on a disk or any fsspec URL. One needs no list."""
    mime: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    """Media types that are pages, as declared."""
    max_bytes: int = Field(default=10 << 20, gt=0)
    """Longest body, decoded; longer ones are counted drops."""


class Warc(Source):
    """Every response record as one page: a payload, a counted drop or an error. Requests, revisits, metadata,
    resources and conversions are no documents and are passed over."""

    __slots__ = ()

    kind = "warc"
    version = 1
    Settings = Settings
    formats = (".warc", ".arc")
    gives = "pages"

    def segments(self, file: InputFile) -> list[Segment]:
        """Byte ranges of size / 16, at least 1 MiB and at most 256 MiB each."""
        return [Segment(file, start, end) for start, end in pieces(file, 1 << 20, 256 << 20, 16)]

    def pages(self, segment: Segment) -> Iterator[Page | Damage]:
        """The pages whose member, frame or uncompressed record starts in the segment. Raises StageError where the
        file cannot be opened."""
        file = segment.file
        accepted = Accepted(self.settings.mime, self.settings.max_bytes)
        with opened(file) as window:
            yield from response_pages(
                window, file.url, file.key or basename(file.url), segment.start, segment.end, accepted
            )


KIND = Warc
