"""Where rows come from: the contract between the engine and the kinds in `stages/sources/`.

A source finds its inputs, cuts each into segments that are read side by side, and gives pages (bytes of a crawl, which an
extractor turns into documents) or texts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol

import pyarrow as pa
from pydantic import BeforeValidator, Field

from winnow.filters.languages import LanguagePack
from winnow.identity import Located, code_of, identity, modules_of, name_of
from winnow.stages.base import Settings, StageError

Paths = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Located(),
    Field(min_length=1),
]
"""Files, folders or patterns of a source. One needs no list."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a source refused a record: the clause's name, the value seen and the threshold it missed."""

    clause: str
    value: str
    threshold: str


@dataclass(frozen=True, slots=True)
class Page:
    """One record of a crawl. Exactly one of three: a payload to extract, a counted drop, or a failure with its cause."""

    id: str
    url: str | None
    date: str | None
    payload: bytes = b""
    charset: str | None = None  # as the HTTP Content-Type header declares it
    mime: str | None = None
    drop: Drop | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of an input that could not be read. The run reports it and goes on (`--strict` makes it an error)."""

    file: str
    offset: int
    cause: str


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read, with what identifies its content cheaply. `url` is any fsspec URL or local path.

    `key` names it among the source's files: its path below their common folder, so that ids made from it differ
    between files of one name and do not depend on where the folder lies. `identity` stands for URL and time where a
    source finds its own inputs, and tells what will be read from it. `group`: what its rows are accounted under beside the
    source, such as a snapshot. `alone`: it shares no partition, whatever its size. `stamp` is no part of what identifies
    it: what readers compare (`reading.files`), '' for nothing.
    """

    url: str
    size: int
    modified: str  # mtime or etag
    key: str = ""
    identity: str = ""
    group: str = ""
    alone: bool = False
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """The records that *start* in bytes [start, end) of a file; row groups or whole files where bytes make no sense."""

    file: InputFile
    start: int
    end: int


class Kept(Protocol):
    """Tables that a source keeps in the run's folder while it looks for its inputs: each made once and visible only when
    whole, so that looking goes on where it was stopped. A name is a path that tells everything the table depends on."""

    def make(self, wanted: Mapping[str, Callable[[], pa.Table]]) -> None:
        """Makes those that are missing, several at a time. What a maker raises goes through; what is made by then stays."""
        ...

    def has(self, name: str) -> bool:
        """Whether it is there."""
        ...

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One that is there."""
        ...

    def url(self, name: str) -> str:
        """The fsspec URL of its file, an Arrow IPC file that any worker can open."""
        ...


@dataclass(frozen=True, slots=True)
class Source(ABC):
    """Where rows come from. `settings` has `paths`, or the kind finds its `inputs` itself."""

    name: str
    settings: Any
    pack: LanguagePack | None = None

    kind: ClassVar[str]
    version: ClassVar[int]
    Settings: ClassVar[type[Settings]]
    guards: ClassVar[tuple[str, ...]] = ("drop <= 0.98 or rows < 20",)
    formats: ClassVar[tuple[str, ...]] = ()  # endings of the files of a folder that it reads, before that of a packing

    @property
    @abstractmethod
    def gives(self) -> Literal["pages", "texts"]:
        """What it yields."""

    def identity(self) -> dict[str, Any]:
        """What changes what is read from one and the same input: JSON of its kind, its version (of another package also its
        code), and its settings."""
        code = code_of(type(self))
        said: dict[str, Any] = {"kind": name_of(type(self)), "version": self.version} | ({"code": code} if code else {})
        return said | {"settings": {name: value for name, value in identity(self.settings).items() if name != "paths"}}

    def modules(self) -> set[str]:
        """The modules of other packages that every worker has to import for it."""
        return modules_of(type(self))

    def inputs(self, kept: Kept) -> list[InputFile] | None:
        """The inputs that it finds itself, in an order that nothing but they decide; None: the files of `paths`. Raises
        StageError."""
        return None

    def companions(self) -> list[Source]:
        """Sources that a declaration of this one declares beside it, such as a sample of what it passes over."""
        return []

    def expected(self, kept: Kept) -> dict[str, dict[str, Any]]:
        """By group of its inputs, what reading them will take, for people, known before anything is read (rows, bytes,
        requests); nothing where the files say it themselves."""
        return {}

    def audited(
        self, group: str, found_by: str, accounts: Mapping[str, Mapping[str, Any]], kept: Kept
    ) -> dict[str, Any]:
        """What a group's accounts (source -> stage -> in, kept, failed, dropped), its companions' among them, say of what
        it passes over; `found_by`: the stage that identifies languages. Nothing for a source without companions."""
        return {}

    @abstractmethod
    def segments(self, file: InputFile) -> list[Segment]:
        """Cuts one file for parallel reading. A function of the file alone, so that adding files moves nothing."""

    def pages(self, segment: Segment) -> Iterator[Page | Damage]:
        """Every record of a crawl segment, in file order (sources that give pages)."""
        raise StageError(f"{self.name}: kind '{self.kind}' gives texts, not pages")

    def texts(self, segment: Segment) -> Iterator[pa.RecordBatch | Damage]:
        """DOCUMENT_SCHEMA plus a nullable `error` column (sources that give texts); `text` is '' where it failed."""
        raise StageError(f"{self.name}: kind '{self.kind}' gives pages, not texts")
