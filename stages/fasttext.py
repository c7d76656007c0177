"""`use: fasttext`: scores documents with a fastText classifier: quality, toxicity, domain, or one of your own.

A model with two labels gives the probability of its positive label, a model with more the likeliest label and its
probability. Which of the two, and how text is prepared, comes from the sidecar beside the model.
"""

from __future__ import annotations

from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from winnow.classifiers.artifacts import ModelError, resolve
from winnow.classifiers.scorer import Scorer, content_digest, load_scorer, read_sidecar
from winnow.stages.modelled import Modelled
from winnow.stages.stage import Artifact, Settings, StageError


class FasttextSettings(Settings):
    """`model`: a shipped name (`ko-quality`), a path or `hub:owner/repo/file`. `chars`: how many characters of a
    document are read, from its first that is no white space; the recipe's own number when null. `positive`: the label
    whose probability is the score, for a two-label model without a sidecar."""

    model: str
    chars: int | None = Field(default=None, ge=1)
    positive: str | None = None


class Fasttext(Modelled):
    """Signals `label` (string, null for a text without words) and `score` (float32, 0 to 1)."""

    __slots__ = ()

    kind = "fasttext"
    version = 2
    Settings = FasttextSettings

    def signals(self) -> dict[str, pa.DataType]:
        return {"label": pa.string(), "score": pa.float32()}

    def find(self) -> Artifact:
        found = resolve(self.settings.model)
        read_sidecar(found.path)
        return Artifact(found.name, found.path, content_digest(found.path))

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        scorer = self.scorer()
        texts = pc.utf8_ltrim_whitespace(documents.column("text"))
        texts = pc.utf8_slice_codeunits(texts, 0, scorer.features.chars)
        labels, scores = scorer.score(cast(list[str], texts.to_pylist()))
        return pa.RecordBatch.from_arrays(
            [pa.array(labels, pa.string()), pa.array(scores, pa.float32())], names=["label", "score"]
        )

    def scorer(self) -> Scorer:
        """The loaded model, once per process. Raises StageError."""
        artifact = self.artifact()
        try:
            return load_scorer(artifact.path, artifact.digest, self.settings.positive, self.settings.chars)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error


KIND = Fasttext
