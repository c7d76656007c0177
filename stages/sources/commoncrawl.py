"""`use: commoncrawl`: snapshots of Common Crawl, of which the pages of the pipeline's language are fetched and no more.

    crawl: {use: commoncrawl, snapshot: CC-MAIN-2026-43}                  # via: index, the public endpoint
    crawl: {use: commoncrawl, snapshot: 2024.., endpoint: s3://commoncrawl, limit: 100_000}
    crawl: {use: commoncrawl, snapshot: latest, via: warc, limit: 10, endpoint: /mirror}

`via: index` looks up in the columnar index which records are wanted and fetches these ranges; `warc` and `wet` stream
whole files. What the lookup found stays in the run's folder, so that it is made once and goes on where it was stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

import fsspec.core
import pyarrow as pa
from pydantic import BeforeValidator, ByteSize, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from winnow.stages.base import Settings as BaseSettings
from winnow.stages.base import StageError
from winnow.stages.commoncrawl import snapshots
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import NotThere, Politeness
from winnow.stages.commoncrawl.index import file_order
from winnow.stages.commoncrawl.index_filter import (
    IndexFilter,
    index_code,
    index_codec,
    wanted_charsets,
    wanted_languages,
)
from winnow.stages.commoncrawl.index_plan import IndexPlan
from winnow.stages.commoncrawl.ranged_file import whole_file
from winnow.stages.commoncrawl.records import conversion_texts, unit_pages
from winnow.stages.commoncrawl.units import Sizes
from winnow.stages.reading.files import basename
from winnow.stages.reading.responses import Accepted, response_pages
from winnow.stages.source import Damage, InputFile, Kept, Page, Segment, Source

_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\Z")

INDEX_ONLY = (
    "languages", "charsets", "hosts", "tlds", "length", "audit", "gap", "unit_bytes", "unit_records"
)  # fmt: skip
"""Settings that whole files have no use for."""


def _several(value: Any) -> Any:
    """One name may stand without brackets."""
    return (value,) if isinstance(value, str) else value


def _years(value: Any) -> Any:
    """A year may stand as the number that YAML takes it for."""
    listed = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(one) if type(one) is int else one for one in listed)


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Hosts(BaseSettings):
    """Domains, each with all below it."""

    allow: Names = ()
    """Only these, where any are named."""
    block: Names = ()
    """Never these."""


class Settings(BaseSettings):
    """What to read of which snapshots, and how."""

    snapshot: Annotated[tuple[str, ...], BeforeValidator(_years)] = Field(min_length=1)
    """CC-MAIN-2026-43, 2026-43, a year, `latest` (when the run is planned), a range with both ends (2024..,
    2024-10..2025-05), or a list of those."""
    via: Literal["index", "warc", "wet"] = "index"
    """`index`: the wanted records alone, by ranges; `warc`, `wet`: whole files."""
    limit: int | None = Field(default=None, gt=0)
    """Of each snapshot, so many records via index and files via warc or wet, in the order of a hash of the WARC file's
    name, whole files first."""
    endpoint: str = Field(default=snapshots.PUBLIC, min_length=1)
    """An HTTP host, `s3://commoncrawl`, or the folder or URL of a mirror."""
    collections: str | None = None
    """The URL of collinfo.json, where it is not the public one or, for a mirror, at its root."""
    languages: Annotated[tuple[str, ...] | None, BeforeValidator(_several)] = None
    """Via index: ISO 639-3 codes, anywhere in the page's list. Default: the language pack's."""
    charsets: Annotated[tuple[str, ...] | None, BeforeValidator(_several)] = None
    """Via index: or any of these charsets. Default: those that only these languages use (EUC-KR and its kin for Korean);
    [] for none."""
    hosts: Hosts = Hosts()
    """Via index: domains to take or to leave."""
    tlds: Names = ()
    """Via index: last labels of hosts; () for all."""
    mime: Names = Field(default=("text/html", "application/xhtml+xml"), min_length=1)
    """Media types that are pages: as detected via index, as declared otherwise."""
    max_bytes: ByteSize = Field(default=ByteSize(10 << 20), gt=0)
    """Longest body, decoded; longer ones are counted drops."""
    length: ByteSize = Field(default=ByteSize(10 << 20), gt=0)
    """Via index: most bytes of a record as it is stored."""
    audit: int | None = Field(default=None, ge=0)
    """Via index: pages per snapshot that miss the languages alone, read beside the others as source `<name>_audit`, to
    measure what the index misses. Default: 4,000, or a tenth of those read where that is less; 0: none."""
    seed: int = 0
    """Draws the audit's pages."""
    gap: ByteSize = Field(default=ByteSize(1 << 20), ge=0)
    """Via index: bytes between two records that are fetched with them in one range. Where one page in a hundred is wanted,
    1 MiB makes one request of seven needless and triples the bytes, 64 KiB adds a hundredth of them."""
    unit_bytes: ByteSize = Field(default=ByteSize(256 << 20), gt=0)
    """Via index: bytes of records, without what lies between them, that one task fetches."""
    unit_records: int = Field(default=10_000, gt=0)
    """Via index: records that one task fetches."""
    keep_files: str | None = None
    """A folder where whole files land; else they are streamed."""
    fetch: Politeness = Politeness()
    """How the endpoint is treated."""

    @field_validator("snapshot")
    @classmethod
    def _sound(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            _said(snapshots.check_snapshot, one)
        return value

    @field_validator("languages", "charsets")
    @classmethod
    def _named(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        for one in value or ():
            _said(index_code if info.field_name == "languages" else index_codec, one)
        return value

    @field_validator("hosts", mode="after")
    @classmethod
    def _names(cls, value: Hosts) -> Hosts:
        return Hosts(allow=_domains(value.allow), block=_domains(value.block))

    @field_validator("tlds", mode="after")
    @classmethod
    def _labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        labels = _domains(value)
        for label in labels:
            if "." in label:
                text = (
                    f"'{label}' is no top-level domain; expected the last label of hosts; nearest: "
                    f"'{label.rpartition('.')[2]}', or hosts: {{allow: [{label}]}}"
                )
                raise PydanticCustomError("wrong", "{text}", {"text": text})
        return labels

    @model_validator(mode="after")
    def _used(self) -> Settings:
        useless = ["keep_files"] if self.via == "index" else [*INDEX_ONLY]
        for name in useless:
            if name in self.model_fields_set:
                via = "warc or wet" if self.via == "index" else "index"
                raise PydanticCustomError("unused", f"`{name}` goes with via: {via}, not with via: {self.via}")
        if self.languages == () and self.charsets == ():
            raise PydanticCustomError("nothing", "neither languages nor charsets are wanted; expected some of one")
        return self


def _domains(names: tuple[str, ...]) -> tuple[str, ...]:
    """In the form of the index: lower case, without a leading dot, in ASCII."""
    return tuple(_said(_domain, name) for name in names)


def _domain(name: str) -> str:
    """Raises StageError for what no host can end in."""
    plain = name.lower().strip(".")
    try:
        plain = plain if plain.isascii() else plain.encode("idna").decode()
    except UnicodeError:
        plain = ""
    if _DOMAIN.match(plain):
        return plain
    near = name.lower().rpartition("://")[2].partition("/")[0].partition(":")[0].removeprefix("*").strip(".")
    raise StageError(
        f"'{name}' is no domain; expected one such as example.kr, which stands for all below it"
        + (f"; nearest: '{near}'" if _DOMAIN.match(near) else "")
    )


def _said(check: Any, value: Any) -> Any:
    """What a check raises as a StageError, said of the declaration."""
    try:
        return check(value)
    except StageError as error:
        text = str(error)
        raise PydanticCustomError("wrong", "{text}", {"text": text}) from None


class CommonCrawl(Source):
    """Via index: one page for each wanted record. Via warc: what `use: warc` gives of the same files. Via wet: the texts
    that Common Crawl extracted. A snapshot's inputs and rows are accounted for under its name."""

    __slots__ = ()

    kind = "commoncrawl"
    version = 1
    Settings = Settings

    @property
    def gives(self) -> Literal["pages", "texts"]:
        return "texts" if self.settings.via == "wet" else "pages"

    def identity(self) -> dict[str, Any]:
        settings = cast(Settings, self.settings)
        said = {"via": settings.via, "mime": list(settings.mime), "max_bytes": int(settings.max_bytes)}
        return {"kind": self.kind, "version": self.version, "settings": said}

    def companions(self) -> list[Source]:
        """The audit of what the index passes over."""
        if self.settings.via != "index" or self.settings.audit == 0:
            return []
        return [CommonCrawlAudit(f"{self.name}_audit", self.settings, self.pack)]

    def inputs(self, kept: Kept) -> list[InputFile]:
        """Units of records via index, whole files otherwise; snapshots from the oldest to the newest."""
        settings = cast(Settings, self.settings)
        found: list[InputFile] = []
        for snapshot in self._snapshots(kept):
            if settings.via == "index":
                found += self._plan(snapshot).inputs(kept)
            else:
                found += [
                    InputFile(path, 0, "", basename(path), path, snapshot, alone=True)
                    for path in self._files(kept, snapshot)
                ]
        return found

    def expected(self, kept: Kept) -> dict[str, dict[str, Any]]:
        settings = cast(Settings, self.settings)
        if settings.via != "index":
            return {snapshot: {"files": len(self._files(kept, snapshot))} for snapshot in self._snapshots(kept)}
        return {snapshot: self._plan(snapshot).expected(kept) for snapshot in self._snapshots(kept)}

    def audited(
        self, group: str, found_by: str, accounts: Mapping[str, Mapping[str, Any]], kept: Kept
    ) -> dict[str, Any]:
        name = f"{self.name}_audit"
        listed = snapshots.listing(self.settings.endpoint, group, "cc-index-table")
        if self.settings.via != "index" or name not in accounts or not kept.has(listed):
            return {}
        return self._plan(group).audited(kept, accounts, self.name, name, found_by)

    def segments(self, file: InputFile) -> list[Segment]:
        """The file as a whole."""
        return [Segment(file, 0, file.size)]

    def pages(self, segment: Segment) -> Iterator[Page | Damage]:
        """Via index: one page for each record of a unit, an error where it cannot be had. Via warc: the response records
        of a file. Raises FetchError where a whole file cannot be read to its end."""
        settings = cast(Settings, self.settings)
        accepted = Accepted(settings.mime, int(settings.max_bytes))
        file = segment.file
        with open_fetcher(settings.endpoint, settings.fetch) as fetcher:
            if settings.via == "index":
                yield from unit_pages(fetcher, _unit(file.url), accepted)
                return
            try:
                with whole_file(fetcher, file.url, settings.keep_files) as window:
                    yield from response_pages(window, file.url, file.key, 0, window.size, accepted)
            except NotThere as failure:
                yield Damage(file.url, 0, str(failure))

    def texts(self, segment: Segment) -> Iterator[pa.RecordBatch | Damage]:
        """The conversion records of a WET file. Raises FetchError where it cannot be read to its end."""
        settings = cast(Settings, self.settings)
        file = segment.file
        with open_fetcher(settings.endpoint, settings.fetch) as fetcher:
            try:
                with whole_file(fetcher, file.url, settings.keep_files) as window:
                    yield from conversion_texts(window, file.url, file.key, self.name, int(settings.max_bytes))
            except NotThere as failure:
                yield Damage(file.url, 0, str(failure))

    def _snapshots(self, kept: Kept) -> list[str]:
        """The snapshots that are meant. Nobody is asked where all are named in full and their files are known already."""
        settings = cast(Settings, self.settings)
        listed = "cc-index-table" if settings.via == "index" else settings.via
        named = snapshots.explicit(settings.snapshot)
        if named and all(kept.has(snapshots.listing(settings.endpoint, one, listed)) for one in named):
            return named
        url = settings.collections or snapshots.collections_at(settings.endpoint)
        try:
            return snapshots.chosen(settings.snapshot, snapshots.known(url, settings.fetch))
        except StageError as error:
            raise StageError(f"sources.{self.name}.snapshot: {error} (from {url})") from error

    def _files(self, kept: Kept, snapshot: str) -> list[str]:
        """Paths of a snapshot's whole files, those that a limit takes first."""
        settings = cast(Settings, self.settings)
        paths = snapshots.listed(kept, settings.endpoint, snapshot, settings.via, settings.fetch)
        # A WET file comes where the WARC file does that it was made from.
        return sorted(paths, key=lambda path: (file_order(_warc_of(path)), path))[: settings.limit]

    def _plan(self, snapshot: str) -> IndexPlan:
        settings = cast(Settings, self.settings)
        return IndexPlan(
            snapshot,
            settings.endpoint,
            settings.fetch,
            self._index_filter(),
            Sizes(int(settings.gap), int(settings.unit_bytes), settings.unit_records, settings.limit),
            settings.audit,
            settings.seed,
        )

    def _index_filter(self) -> IndexFilter:
        settings = cast(Settings, self.settings)
        try:
            languages = wanted_languages(settings.languages, self.pack)
        except StageError as error:
            raise StageError(f"sources.{self.name}.languages: {error}") from error
        return IndexFilter(
            languages,
            wanted_charsets(settings.charsets, languages),
            frozenset(settings.mime),
            int(settings.length),
            frozenset(settings.tlds),
            frozenset(settings.hosts.allow),
            frozenset(settings.hosts.block),
        )


class CommonCrawlAudit(CommonCrawl):
    """A sample of the pages that miss the languages alone. Nearly none of them is kept, which says nothing."""

    __slots__ = ()

    guards = ()

    def companions(self) -> list[Source]:
        return []

    def _plan(self, snapshot: str) -> IndexPlan:
        return replace(CommonCrawl._plan(self, snapshot), auditing=True)


def _unit(url: str) -> pa.Table:
    """The table of a unit, from wherever the run's folder is. Raises StageError."""
    filesystem, path = fsspec.core.url_to_fs(url)
    try:
        with filesystem.open(path, "rb") as file:
            return pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowInvalid) as failure:
        raise StageError(f"unit {url} cannot be read: {failure}; plan the run again") from failure


def _warc_of(path: str) -> str:
    """The path of the WARC file that a WET file was made from; a WARC file's own."""
    return path.replace("/wet/", "/warc/").replace(".warc.wet.gz", ".warc.gz")


KIND = CommonCrawl
