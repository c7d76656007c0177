"""The older names of the contract's shapes, until nothing asks for them: `stages/base.py` has what they are."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from winnow.identity import Located
from winnow.stages.base import (
    DOCUMENT_SCHEMA,
    EDITED,
    RETITLED,
    Artifact,
    CorpusStage,
    DocumentStage,
    NoClauses,
    Outputs,
    PageStage,
    Part,
    Settings,
    Stage,
    StageError,
    WriterStage,
)
from winnow.stages.source import Damage, Drop, InputFile, Kept, Page, Segment, Source

__all__ = [
    "DOCUMENT_SCHEMA",
    "EDITED",
    "RETITLED",
    "Artifact",
    "Corpus",
    "CorpusTransform",
    "Damage",
    "Drop",
    "Extract",
    "InputFile",
    "Kept",
    "Located",
    "Map",
    "Measured",
    "NoClauses",
    "Page",
    "Part",
    "Screen",
    "Segment",
    "Settings",
    "Source",
    "Stage",
    "StageError",
    "Terminal",
    "Transform",
]


OLDER: dict[str, Callable[[Any], bool]] = {
    "Screen": lambda stage: stage.raw and not stage.outputs.text,
    "Extract": lambda stage: stage.raw and stage.outputs.text,
    "Measured": lambda stage: not stage.raw,
    "Map": lambda stage: stage.sees == "documents" and not stage.outputs.files,
    "Transform": lambda stage: stage.sees == "documents" and stage.outputs.edits,
    "Corpus": lambda stage: stage.sees == "corpus",
    "CorpusTransform": lambda stage: stage.sees == "corpus" and stage.outputs.edits,
    "Terminal": lambda stage: stage.outputs.files,
}


class Older(ABCMeta):
    """Whoever asks for an older class is told by what a stage says of itself."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls.__module__ == __name__ and isinstance(instance, Stage):
            return OLDER[cls.__name__](instance)
        return super().__instancecheck__(instance)


class Screen(PageStage, metaclass=Older):
    """Measures raw pages. `by_address`: `sees` is `addresses`."""

    __slots__ = ()

    @abstractmethod
    def screen(self, pages: Sequence[Page]) -> pa.RecordBatch:
        """As `measure`."""

    def measure(self, pages: Sequence[Page], /) -> pa.RecordBatch:
        return self.screen(pages)


class Extract(PageStage, metaclass=Older):
    """Turns raw pages into documents."""

    __slots__ = ()
    guards = Stage.guards
    outputs = Outputs(text=True)

    @abstractmethod
    def extract(self, pages: Sequence[Page]) -> pa.RecordBatch:
        """As `measure`."""

    def measure(self, pages: Sequence[Page], /) -> pa.RecordBatch:
        return self.extract(pages)


class Measured(Stage, metaclass=Older):
    """A stage with a per-document part."""

    __slots__ = ()

    @abstractmethod
    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """As `Measurer.measure`."""


class Map(Measured, DocumentStage):
    """Signals that depend on the document alone."""

    __slots__ = ()


class Transform(Map):
    """Changes texts."""

    __slots__ = ()
    outputs = Outputs(edits=True)


class Corpus(Measured, CorpusStage):
    """Signals that need the whole selection."""

    __slots__ = ()

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Corpus:
        return self

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """A corpus stage without a per-document part (mixture) keeps this default: no columns."""
        return pa.RecordBatch.from_struct_array(pa.array([{}] * documents.num_rows, pa.struct([])))

    def exchange(self, bucket: int, buckets: int, parts: Sequence[Part]) -> pa.Table:
        """As `Reducer.exchange`."""
        raise StageError(f"{self.name}: kind '{self.kind}' has no exchange")

    @abstractmethod
    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """As `Reducer.reduce`."""

    def report(self) -> dict[str, Any]:
        """As `Reducer.report`."""
        return {}


class CorpusTransform(Corpus):
    """Changes texts by what all documents together tell."""

    __slots__ = ()
    outputs = Outputs(edits=True)


class Terminal(Measured, WriterStage):
    """Writes the hand-off."""

    __slots__ = ()
    outputs = Outputs(files=True)

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Terminal:
        return self

    @abstractmethod
    def plan(self, parts: Sequence[Part], multiplicity: Sequence[pa.Array]) -> list[Any]:
        """As `Writer.plan`."""

    @abstractmethod
    def write(self, plan: Any, parts: Sequence[Part], folder: str) -> dict[str, Any]:
        """As `Writer.write`."""

    @abstractmethod
    def manifest(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """As `Writer.manifest`."""
