"""What a stage is: the contract between the machine in `pipelines/` and the files in `stages/`.

A stage *kind* is a class in the file named after its YAML `use:` key; an *instance* is one configured node of
the DAG. Constructing one is cheap: models load on the first call of a measuring method, once per process.
Every measuring method is a pure function of its rows, the settings and the artifacts, so a row's signals do not
depend on which batch, partition or worker carried it.

Shapes, by what they see:

- `Screen`  raw pages, before extraction    -> signals
- `Extract` raw pages                       -> title and text, and signals
- `Map`     documents (rows with text)      -> signals
- `Transform` documents                     -> signals, and what of their text to change
- `Corpus`  `measure` per document, then an exchange and a reduce over the whole selection -> signals
- `CorpusTransform` the same -> signals, and what of the texts to change
- `Terminal` `measure` per document, then files for people and trainers (shards)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from winnow.filters.edits import EDITS
from winnow.filters.languages import LanguagePack

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


EDITED, RETITLED = "_edits", "_title"
"""Hidden columns of a transform."""


class StageError(Exception):
    """A stage cannot do what it was asked: one sentence that names what is wrong, where, and what was expected."""


class NoClauses(StageError):
    """A stage has no clauses of its own for these settings, so that a declaration must say what to keep."""


class Settings(BaseModel):
    """Base of every stage's settings: typed, immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Located:
    """Marks a field of settings that names files or folders (a text or several): a path written in a declaration is relative
    to its file. `names`: what the text may be instead, which comes first (models that ship); None where it is always a path.
    `inside`: the key that has the path where an item is a mapping."""

    names: Callable[[], Collection[str]] | None = None
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A fitted object that a stage depends on. `digest` (sha256 hex of its content) enters the fingerprint."""

    name: str
    path: Path
    digest: str


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


@dataclass(frozen=True, slots=True)
class Stage(ABC):
    """One configured node. `name` is its key in the declaration; bare signal names are prefixed with it."""

    name: str
    settings: Any
    pack: LanguagePack

    kind: ClassVar[str]
    version: ClassVar[int]  # raised whenever the same input and settings would give other output
    Settings: ClassVar[type[Settings]]
    guards: ClassVar[tuple[str, ...]] = ("drop <= 0.98 or rows < 20",)  # what stops a run unless it holds
    choosing: ClassVar[frozenset[str]] = frozenset()  # settings that say which clauses apply, and change no measurement

    def signals(self) -> dict[str, pa.DataType]:
        """Bare name -> Arrow type of every public signal this stage measures."""
        return {}

    def clauses(self) -> dict[str, str]:
        """Default named `keep` clauses (from the settings or the language pack), used when `keep:` is not given."""
        return {}

    def artifacts(self) -> list[Artifact]:
        """The fitted objects it depends on. Raises StageError where one cannot be found. Loads no model."""
        return []

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """Stretches of `text` (start, end in characters; sorted, apart) that the signal's value comes from; none where
        no stretch can be named."""
        return []


class Screen(Stage):
    """Measures raw pages before anything parses them. Nearly all of a crawl may be of no use, but not all of it.

    `by_address`: it looks at id, URL and date alone, and so also at rows of sources that give texts (whose payload is
    empty).
    """

    __slots__ = ()
    guards = ("kept > 0 or rows < 20",)
    by_address: ClassVar[bool] = False

    @abstractmethod
    def screen(self, pages: Sequence[Page]) -> pa.RecordBatch:
        """Signals, one row per page, in order."""


class Extract(Stage):
    """Turns raw pages into documents."""

    __slots__ = ()

    @abstractmethod
    def extract(self, pages: Sequence[Page]) -> pa.RecordBatch:
        """Columns `title`, `text`, `error` (null unless the page failed; then the cause) and the signals."""


class Measured(Stage):
    """A stage with a per-document part."""

    __slots__ = ()

    def hidden(self) -> dict[str, pa.DataType]:
        """Columns that `measure` returns for the stage's own later steps; names start with `_`, never selectable."""
        return {}

    @abstractmethod
    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """`documents` has DOCUMENT_SCHEMA. Returns, row by row in order, `measured()` and `hidden()` columns, and
        optionally `error` (string, null unless that row failed; its other columns are then null)."""

    def measured(self) -> dict[str, pa.DataType]:
        """The signals that `measure` returns (all of them, except for corpus stages)."""
        return self.signals()


class Map(Measured):
    """Signals that depend on the document alone (and on artifacts)."""

    __slots__ = ()


class Transform(Map):
    """Changes texts. `measure` returns, beside its signals, the hidden column `EDITED` of `filters.edits.EDITS`: what to
    change in the text that it was given (with the edits of the transforms above it applied). The stored text stays as it
    is; every stage below sees the edited one. Transforms come one after another, never side by side.

    `masks`: what it takes out must not leave a run, so that texts which it never saw are masked before they do.
    One that changes titles as well adds `RETITLED` (string) to its hidden columns: the title to take instead, null where it
    stays."""

    __slots__ = ()

    masks: ClassVar[bool] = False

    def hidden(self) -> dict[str, pa.DataType]:
        return {EDITED: EDITS}


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


class Corpus(Measured):
    """Signals that need the whole selection: measured per document, exchanged by key, reduced."""

    __slots__ = ()

    def measured(self) -> dict[str, pa.DataType]:
        return {}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """A corpus stage without a per-document part (mixture) keeps this default: no columns."""
        return pa.RecordBatch.from_struct_array(pa.array([{}] * documents.num_rows, pa.struct([])))

    def reads(self) -> list[str]:
        """Dotted names of other stages' signals that `exchange` and `reduce` read."""
        return []

    def buckets(self, rows: int) -> int:
        """How many exchange tasks to run for this many selected rows; 0 for none. Never depends on workers."""
        return 0

    def exchange(self, bucket: int, buckets: int, parts: Sequence[Part]) -> pa.Table:
        """What the rows routed to `bucket` yield together. `parts` may be iterated more than once."""
        raise StageError(f"{self.name}: kind '{self.kind}' has no exchange")

    @abstractmethod
    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """For each part in order, the `signals()` of its selected rows (one batch per part, row-aligned)."""

    def report(self) -> dict[str, Any]:
        """Figures of the last `reduce` for people (groups, clusters); small, JSON-able."""
        return {}


class CorpusTransform(Corpus):
    """Changes texts by what all documents together tell, such as lines that a host repeats: `reduce` returns the column
    `EDITED` beside the signals, and stages below it wait for that."""

    __slots__ = ()


class Terminal(Measured):
    """Writes the hand-off. Shard plans depend on the selection only, never on workers."""

    __slots__ = ()

    def reads(self) -> list[str]:
        """Dotted names of other stages' signals that `plan` and `write` read."""
        return []

    @abstractmethod
    def plan(self, parts: Sequence[Part], multiplicity: Sequence[pa.Array]) -> list[Any]:
        """Picklable shard plans. `multiplicity[i]` is uint16, aligned with `parts[i]`: how often each row is written."""

    @abstractmethod
    def write(self, plan: Any, parts: Sequence[Part], folder: str) -> dict[str, Any]:
        """Writes one shard under `folder` (fsspec URL; temporary name, then rename). Returns its manifest entry."""

    @abstractmethod
    def manifest(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The manifest of the whole hand-off, in shard order; must contain `digest`."""


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
        """What, beside its kind and version, changes what is read from one and the same input."""
        return dict(self.settings.model_dump(mode="json", exclude={"paths"}))

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
