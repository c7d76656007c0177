"""`use: fasttext`: scores documents with a fastText classifier: quality, toxicity, domain, or one of your own.

A model with two labels gives the probability of its positive label, a model with more the likeliest label and its
probability. Which of the two, how text is prepared, and how far a probability is to be believed comes from the sidecar beside
the model, which `winnow fit fasttext` writes; any supervised `.bin` or `.ftz` works without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from winnow.classifiers.artifacts import ModelFile
from winnow.classifiers.fasttext_file import check_once
from winnow.classifiers.meaning import Meaning
from winnow.classifiers.scorer import FasttextScorer, Scorer, content_digest, load_scorer, read_sidecar
from winnow.stages.base import Artifact
from winnow.stages.classifier import ClassifierSettings, ClassifierStage


class FasttextSettings(ClassifierSettings):
    positive: str | None = None
    """The label whose probability is the score, for a two-label model without a sidecar."""


class Fasttext(ClassifierStage):
    """Signals `label` (string, null for a text without words), `score` (float32, 0 to 1) and those of `probabilities`."""

    __slots__ = ()

    kind = "fasttext"
    version = 2
    Settings = FasttextSettings

    def checked(self, model: ModelFile) -> tuple[Meaning | None, str]:
        check_once(model.path, model.digest)
        return read_sidecar(model.path), content_digest(model.path)

    def loaded(self, model: Artifact) -> Scorer:
        return load_scorer(model.path, model.digest, self.settings.positive, self.settings.chars)

    def reader(self, scorer: FasttextScorer) -> tuple[Callable[[pa.RecordBatch], Any], int]:
        chars = scorer.features.chars

        def read(documents: pa.RecordBatch) -> Any:
            texts = pc.utf8_ltrim_whitespace(documents.column("text"))
            return pc.utf8_slice_codeunits(texts, 0, chars).to_pylist()

        return read, chars


KIND = Fasttext
