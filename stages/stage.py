"""The older names of the contract's shapes, until nothing asks for them: `stages/base.py` has what they are."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from typing import Any

from winnow.identity import Located
from winnow.stages.base import (
    DOCUMENT_SCHEMA,
    EDITED,
    RETITLED,
    Artifact,
    CorpusStage,
    DocumentStage,
    NoClauses,
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
    """Measures raw pages."""

    __slots__ = ()


class Extract(PageStage, metaclass=Older):
    """Turns raw pages into documents."""

    __slots__ = ()


class Measured(Stage, metaclass=Older):
    """Sees documents."""

    __slots__ = ()


class Map(DocumentStage, metaclass=Older):
    """Signals that depend on the document alone."""

    __slots__ = ()


class Transform(DocumentStage, metaclass=Older):
    """Changes texts."""

    __slots__ = ()


class Corpus(CorpusStage, metaclass=Older):
    """Signals that need the whole selection."""

    __slots__ = ()


class CorpusTransform(CorpusStage, metaclass=Older):
    """Changes texts by what all documents together tell."""

    __slots__ = ()


class Terminal(WriterStage, metaclass=Older):
    """Writes the hand-off."""

    __slots__ = ()
