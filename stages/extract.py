"""Raw pages to title and main text. Every page is worked on in a guarded child process (`stages/sandbox.py`): one that
hangs, overflows the stack or exhausts memory costs that page alone.

Trafilatura runs with comments off, without its language rejection, duplicate test, metadata and date search, on a
tree parsed once from text that `filters/charset.py` decoded.`tests/bench/bench_extract.py`
measures what that costs.
Tables that only lay a page out are turned into paragraphs first (`filters/layout_tables.py`): trafilatura
would print the article as one line between pipes. Resiliparse keeps such lines apart by itself and gets the bare page.

Nothing gets lost in silence: libxml2 parses to its greatest depth (2,048 elements; 256 by its default, from where on it
drops the rest of a page), and a page that is deeper, or that trafilatura gives up for an error of its own, is a
failed row with that cause, not an empty text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
from pydantic import Field

from winnow.stages import extractors
from winnow.stages.base import Outputs, PageStage, Settings, Stage
from winnow.stages.extractors import Extracted
from winnow.stages.sandbox import Work, guard
from winnow.stages.source import Page


class ExtractSettings(Settings):
    engine: Literal["trafilatura", "resiliparse"] = "trafilatura"
    """trafilatura (better text) or resiliparse (about ten times faster)."""
    page_seconds: float = Field(default=10.0, gt=0)
    """Processor time that one page may take; what takes more is a failed row."""
    page_memory: int = Field(default=4096, ge=512)
    """MiB of address space of the process that a page is worked on in."""
    favour: Literal["balanced", "precision", "recall"] = "balanced"
    """What trafilatura weighs more: text left out (precision) or clutter let in (recall)."""


class ExtractStage(PageStage):
    """Title and main text, in NFC, without navigation and reader comments."""

    __slots__ = ()
    kind = "extract"
    outputs = Outputs(text=True)
    guards = Stage.guards
    version = 3
    Settings = ExtractSettings

    def signals(self) -> dict[str, pa.DataType]:
        """`chars`: characters of the text; `charset`: Python name of the page's real charset; `bytes`: its size."""
        return {"chars": pa.int32(), "charset": pa.string(), "bytes": pa.int32()}

    def clauses(self) -> dict[str, str]:
        return {"empty": "chars >= 1"}

    def measure(self, pages: Sequence[Page], /) -> pa.RecordBatch:
        from winnow.filters.charset import LIKELY

        settings: ExtractSettings = self.settings
        work = Work(
            factory=f"{extractors.__name__}:{settings.engine}_worker",
            options=(("favour", settings.favour), ("likely", LIKELY.get(self.pack.script))),
            seconds=settings.page_seconds,
            mebibytes=settings.page_memory,
        )
        outcomes = guard(work).map((page.payload, page.charset) for page in pages)
        values: list[Extracted | None] = []
        errors: list[str | None] = []
        for page, outcome in zip(pages, outcomes, strict=True):
            error = page.error or outcome.error
            values.append(None if error else outcome.value)
            errors.append(error)
        texts = ["" if value is None else value[1] for value in values]
        return pa.record_batch(
            {
                "title": pa.array([value and value[0] for value in values], pa.string()),
                "text": pa.array(texts, pa.large_string()),
                "error": pa.array(errors, pa.string()),
                "chars": pa.array(
                    [None if value is None else len(text) for value, text in zip(values, texts, strict=True)],
                    pa.int32(),
                ),
                "charset": pa.array([value and value[2] for value in values], pa.string()),
                "bytes": pa.array([len(page.payload) for page in pages], pa.int32()),
            }
        )


KIND = ExtractStage
