"""What a stage is: the contract between the engine in `pipelines/` and the kinds in `stages/` and in other packages.

A stage *kind* is a class; a *stage* is one configured node of the DAG, a frozen value that travels to workers. What the
engine must know of it is data: what it sees (`sees`), its columns (`signals`, `hidden`) and what it makes beside them
(`outputs`). A stage measures nothing by itself: `open(artifacts)` gives the object that does, once per process, and
whatever has to be loaded or remembered lives there.

Every measuring method is a pure function of its rows, the settings and the artifacts, so a row's signals do not depend
on which batch, partition or worker carried it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from winnow.filters.edits import EDITS
from winnow.filters.languages import LanguagePack
from winnow.identity import code_of, identity, modules_of, name_of

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("date", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""Columns of a batch of documents. `id` is 32 hex digits; `text` is NFC, valid UTF-8, never null."""


@dataclass(frozen=True, slots=True)
class Document:
    """A row of DOCUMENT_SCHEMA."""

    id: str
    url: str | None
    date: str | None
    source: str
    title: str | None
    text: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Document:
        """From a mapping that has its columns."""
        return cls(**{name: row[name] for name in DOCUMENT_SCHEMA.names})


EDITED, RETITLED = "_edits", "_title"
"""Hidden columns of a stage that changes texts: `filters.edits.EDITS`, and the title to take instead (null: it stays)."""

Sees = Literal["addresses", "pages", "documents", "corpus"]
"""What a stage sees. `addresses`: id, URL and date of pages, so also of sources that give texts, whose payload is empty.
`pages`: raw pages, before extraction. `documents`: rows with text. `corpus`: documents one by one, then all together."""

Types = dict[str, pa.DataType]
"""Bare name -> Arrow type."""


class StageError(Exception):
    """A stage cannot do what it was asked: one sentence that names what is wrong, where, and what was expected."""


class NoClauses(StageError):
    """A stage has no clauses of its own for these settings, so that a declaration must say what to keep."""


class Settings(BaseModel):
    """Base of every stage's settings: typed, immutable, unknown keys refused. The text under a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Marks a field of settings that names a dotted signal with token counts: where it is null, the engine fills in that
    of the stage whose `outputs` have `tokens`."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A fitted object that a stage depends on. `digest` (sha256 hex of its content) enters the fingerprint. `of_corpus`:
    it changes nothing of what is measured document by document."""

    name: str
    path: Path
    digest: str
    of_corpus: bool = False


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a stage makes beside its signals, and which of its signals have a meaning of their own to the engine."""

    text: bool = False
    """It turns pages into documents: columns `title` and `text`."""
    edits: bool = False
    """It changes texts: `EDITED` says how. Such stages come one after another, never side by side; those below see the
    edited text, the stored one stays as it is."""
    titles: bool = False
    """It changes titles as well: `RETITLED`."""
    masks: bool = False
    """What its edits take out must not leave a run, so texts that it never saw are masked before they do."""
    files: bool = False
    """It writes the hand-off: shards for a trainer."""
    language: str = ""
    """The signal that says which language a document is in."""
    multiplicity: str = ""
    """The signal that says how often a document is repeated."""
    tokens: str = ""
    """The signal that counts a document's tokens as they are handed off."""
    clusters: bool = False
    """Its signals `cluster`, `copies` and `representative` say which documents are copies of each other."""


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that are measured, versioned and filed together. `version` is raised whenever the same input and settings
    would give other values in one of them."""

    version: int
    columns: Types


class Measurer(Protocol):
    """An opened stage."""

    def measure(self, rows: Any, /) -> pa.RecordBatch:
        """One row per row of `rows` (pages, or a batch of DOCUMENT_SCHEMA), in order: the columns of the groups that it was
        opened for, and optionally `error` (string, null unless that row failed; its other columns are then null)."""
        ...

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """Stretches of `text` (start, end in characters; sorted, apart) that the signal's value comes from; none where
        no stretch can be named. Raises StageError for another stage's signal."""
        ...


@dataclass(frozen=True, slots=True)
class Stage(ABC):
    """One configured node. `name` is its key in the declaration; bare signal names are prefixed with it."""

    name: str
    settings: Any
    pack: LanguagePack

    kind: ClassVar[str]
    version: ClassVar[int]  # raised whenever the same input and settings would give other output
    sees: ClassVar[Sees]
    Settings: ClassVar[type[Settings]]
    guards: ClassVar[tuple[str, ...]] = ("drop <= 0.98 or rows < 20",)  # what stops a run unless it holds

    @property
    def outputs(self) -> Outputs:
        """What it makes beside its signals."""
        return Outputs()

    @property
    def raw(self) -> bool:
        """Whether it comes before extraction."""
        return self.sees in ("addresses", "pages")

    def identity(self, measured: bool = False) -> dict[str, Any]:
        """What its signals depend on beside its rows, artifacts and language: JSON of its kind, its version (of another
        package also its code), and its settings. `measured`: those alone that change what is measured of one document."""
        code = code_of(type(self))
        said: dict[str, Any] = {"kind": name_of(type(self)), "version": self.version} | ({"code": code} if code else {})
        return said | {"settings": identity(self.settings, measured)}

    def modules(self) -> set[str]:
        """The modules of other packages that every worker has to import for it."""
        return modules_of(type(self))

    def signals(self) -> Types:
        """Every public signal of this stage."""
        return {}

    def measured_signals(self) -> Types:
        """The signals that are measured row by row: all, but those that a corpus stage's `reduce` gives."""
        return {} if self.sees == "corpus" else self.signals()

    def hidden(self) -> Types:
        """Columns measured row by row for the stage's own later steps; names start with `_`, never selectable."""
        edited = self.outputs.edits and self.sees == "documents"
        return ({EDITED: EDITS} if edited else {}) | ({RETITLED: pa.string()} if self.outputs.titles else {})

    def groups(self) -> dict[str, Group]:
        """What is measured row by row, by group: one for all columns unless a kind says otherwise. None: nothing is."""
        columns = self.measured_signals() | self.hidden()
        return {"": Group(self.version, columns)} if columns else {}

    def reads(self) -> list[str]:
        """Dotted names of other stages' signals that it reads once all documents are measured."""
        return []

    def buckets(self, rows: int) -> int:
        """How many exchange tasks to run for this many selected rows; 0 for none. Never depends on workers."""
        return 0

    def clauses(self) -> dict[str, str]:
        """Default named `keep` clauses (from the settings or the language pack), used when `keep:` is not given."""
        return {}

    def artifacts(self) -> list[Artifact]:
        """The fitted objects it depends on, as they are now. Raises StageError where one cannot be found. Loads no model."""
        return []

    @abstractmethod
    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Any:
        """What measures, reduces or writes, with the artifacts that the run was planned with; `groups`: only those. Raises
        StageError where an artifact is not sound."""

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """See `Measurer`; by default as opened now."""
        made = self.open(self.artifacts())
        return [] if made is self else cast("Measurer", made).highlight(text, signal)


class PageStage(Stage):
    """Sees raw pages. With `outputs.text` it is the extractor. Nearly all of a crawl may be of no use, but not all of it."""

    __slots__ = ()
    sees: ClassVar[Sees] = "pages"
    guards: ClassVar[tuple[str, ...]] = ("kept > 0 or rows < 20",)

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Measurer:
        """A stage that loads nothing is its own measurer."""
        return self

    def measure(self, pages: Any, /) -> pa.RecordBatch:
        """See `Measurer`; with `outputs.text` also `title`, `text` (not null) and `error`. By default as opened now."""
        return _opened(self, PageStage).measure(pages)


class DocumentStage(Stage):
    """Sees documents, one by one."""

    __slots__ = ()
    sees: ClassVar[Sees] = "documents"

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Measurer:
        """As `PageStage.open`."""
        return self

    def measure(self, documents: Any, /) -> pa.RecordBatch:
        """See `Measurer`. By default as opened now."""
        return _opened(self, DocumentStage).measure(documents)


def _opened(stage: PageStage | DocumentStage, shape: type[PageStage | DocumentStage]) -> Measurer:
    """What measures, where a stage is not its own measurer. Raises StageError where it is not one either."""
    if type(stage).open is shape.open:
        raise StageError(f"{stage.name}: kind '{stage.kind}' has neither measure nor open: expected one of the two")
    return stage.open(stage.artifacts())


class Part(Protocol):
    """One partition's selected rows, loaded on demand."""

    @property
    def index(self) -> int:
        """Position of the partition in the corpus, from 0."""
        ...

    @property
    def rows(self) -> int:
        """Number of selected rows."""
        ...

    def read(self, columns: Sequence[str]) -> pa.Table:
        """The selected rows' columns, in order. Names: `id`, `url`, `source`, `text`; dotted signals
        (`language.label`); this stage's hidden columns with their leading underscore; `multiplicity` (float64), how
        often the stages before this one have a row repeated."""
        ...


class Reducer(ABC):
    """An opened corpus stage."""

    def measure(self, documents: Any, /) -> pa.RecordBatch:
        """See `Measurer`; one that measures nothing of a document by itself keeps this."""
        return pa.RecordBatch.from_struct_array(pa.array([{}] * documents.num_rows, pa.struct([])))

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """See `Measurer`."""
        return []

    def exchange(self, bucket: int, buckets: int, parts: Sequence[Part]) -> pa.Table:
        """What the rows routed to `bucket` yield together. `parts` may be iterated more than once."""
        raise StageError(f"{type(self).__name__} has no exchange, and its stage asks for {buckets} buckets")

    @abstractmethod
    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """For each part in order, the `signals()` of its selected rows (one batch per part, row-aligned), and with
        `outputs.edits` the column `EDITED`, for which stages below wait."""

    def report(self) -> dict[str, Any]:
        """Figures of the last `reduce` for people (groups, clusters); small, JSON-able."""
        return {}


class CorpusStage(Stage):
    """Sees the whole selection: measured per document, exchanged by key, reduced."""

    __slots__ = ()
    sees: ClassVar[Sees] = "corpus"

    @abstractmethod
    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Reducer:
        """As `Stage.open`."""


class Writer(Measurer, Protocol):
    """An opened stage that writes the hand-off. Shard plans depend on the selection only, never on workers."""

    def plan(self, parts: Sequence[Part], multiplicity: Sequence[pa.Array]) -> list[Any]:
        """Picklable shard plans. `multiplicity[i]` is uint16, aligned with `parts[i]`: how often each row is written."""
        ...

    def write(self, plan: Any, parts: Sequence[Part], folder: str) -> dict[str, Any]:
        """Writes one shard under `folder` (fsspec URL; temporary name, then rename). Returns its manifest entry."""
        ...

    def manifest(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The manifest of the whole hand-off, in shard order; must contain `digest`."""
        ...


class WriterStage(Stage):
    """Measures documents, then writes what is selected for trainers: `outputs.files`."""

    __slots__ = ()
    sees: ClassVar[Sees] = "documents"

    @abstractmethod
    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Writer:
        """As `Stage.open`."""
