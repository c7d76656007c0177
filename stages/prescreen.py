"""Can this page be in the pipeline's language at all? Asked of its raw bytes, before anything parses it.

For a language whose script is its own (Hangul, kana, Thai ...) a page needs characters of that script, in whatever
charset or as character references. Measured on the mixed crawl (2,261 real pages, `tests/stages/test_prescreen.py`
and `tests/bench/bench_prescreen.py`): at 50 characters all 516 Korean pages pass and 14 of the other 1,745, of which
two are Korean pages that the truth does not label. For a language without a script of its own nothing is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from winnow.identity import Execution
from winnow.stages.base import PageStage, Settings, StageError
from winnow.stages.source import Page


class PrescreenSettings(Settings):
    script_chars: Annotated[int, Execution()] = Field(default=50, ge=0)
    """Least number of characters of the language's script in the page, markup and all."""
    script_ratio: Annotated[float, Execution()] = Field(default=0.0, ge=0, le=1)
    """Least share of them among all its non-ASCII characters; 0 asks for none."""


class PrescreenStage(PageStage):
    """Counts the characters of the language pack's script in raw pages."""

    __slots__ = ()
    kind = "prescreen"
    version = 1
    Settings = PrescreenSettings

    def signals(self) -> dict[str, pa.DataType]:
        """`script_chars`: characters of the script; `script_ratio`: their share of all non-ASCII characters, 0 where
        there are none. Null for a language without a script of its own."""
        return {"script_chars": pa.int32(), "script_ratio": pa.float32()}

    def clauses(self) -> dict[str, str]:
        settings: PrescreenSettings = self.settings
        if not self.pack.own_script:
            return {}
        clauses = {"script": f"script_chars >= {settings.script_chars}"}
        if settings.script_ratio > 0:
            clauses["ratio"] = f"script_ratio >= {settings.script_ratio}"
        return clauses

    def measure(self, pages: Sequence[Page], /) -> pa.RecordBatch:
        if not self.pack.own_script:
            nothing = [None] * len(pages)
            return pa.record_batch({name: pa.array(nothing, kind) for name, kind in self.signals().items()})
        from winnow.filters.script import UnknownScript, count_script, membership

        try:
            membership(self.pack.script)
        except UnknownScript as error:
            raise StageError(f"{self.name}: {error} (language pack '{self.pack.code}')") from error
        counts = [count_script(page.payload, self.pack.script, page.charset) for page in pages]
        return pa.record_batch(
            {
                "script_chars": pa.array([count.script for count in counts], pa.int32()),
                "script_ratio": pa.array([count.ratio for count in counts], pa.float32()),
            }
        )


KIND = PrescreenStage
