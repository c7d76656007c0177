"""`use: importance`: how much likelier a text's word 1- and 2-grams are in a target corpus than in the raw pool (DSIR).

    dsir:
      use: importance
      model: dsir.json            # winnow fit importance --target good.jsonl --raw runs/ko --out dsir.json
      keep: top 30% of tokens by log_weight + gumbel()

`log_weight + gumbel()` is DSIR's sample without replacement, whose noise is a hash of the seed and the document's id;
`log_weight` alone takes the highest. It is a sum, so it grows with length: `log_weight / words` does not, and is another
method.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, cast

import pyarrow as pa
from pydantic import Field

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.count_tables import ImportanceTable, found
from winnow.filters.ngram.importance import Floats, log_ratios, weighed
from winnow.identity import Located
from winnow.stages.base import Artifact, DocumentStage, Settings, StageError


class ImportanceSettings(Settings):
    model: Annotated[str, Located(frozenset)]
    """What `winnow fit importance` wrote: a path or `hub:owner/repo/file`."""
    least_words: int = Field(default=100, ge=0)
    """A text of fewer words has no weight, so that no clause about it keeps it; DSIR's own number."""


class Importance(DocumentStage):
    """Signals `log_weight` (float64, natural logarithm; null below `least_words`) and `words` (int32)."""

    __slots__ = ()
    kind = "importance"
    version = 1
    Settings = ImportanceSettings

    def signals(self) -> dict[str, pa.DataType]:
        return {"log_weight": pa.float64(), "words": pa.int32()}

    def artifacts(self) -> list[Artifact]:
        try:
            file, _ = found(self.settings.model, ImportanceTable)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return [Artifact(file.name, file.path, file.digest)]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Weigher:
        try:
            _, table = found(self.settings.model, ImportanceTable)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return Weigher(self.name, log_ratios(table.target.counts, table.raw.counts), self.settings.least_words)


class Weigher:
    """The weights of the buckets."""

    def __init__(self, name: str, ratios: Floats, least_words: int) -> None:
        self.name, self.ratios, self.least_words = name, ratios, least_words

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """`log_weight` and `words`."""
        weights, words, _ = weighed(cast("list[str]", documents.column("text").to_pylist()), self.ratios)
        columns = [pa.array(weights, mask=words < self.least_words), pa.array(words.astype("int32"))]
        return pa.RecordBatch.from_arrays(columns, names=["log_weight", "words"])

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """None: every n-gram counts."""
        if signal not in ("log_weight", "words"):
            raise StageError(f"{self.name}: no signal '{signal}': expected one of log_weight, words")
        return []


KIND = Importance
