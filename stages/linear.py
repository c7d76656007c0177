"""`use: linear`: scores documents with a linear classifier over hashed n-grams of characters and words, in one pass over the
column's bytes: quality, topic, or, by the address alone, what a host is (DomURLs).

    quality: {use: linear, model: ko-quality, threshold: strict}
    hosts:   {use: linear, model: hosts.linear, keep: "score < 0.9"}     # fitted with on: host; each host is scored once

`winnow fit linear` writes such a model; what it reads of a document (`on`: text, title, url or host) is part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from winnow.classifiers.artifacts import ModelFile
from winnow.classifiers.linear_model import LinearScorer, load_linear
from winnow.classifiers.meaning import Meaning
from winnow.classifiers.scorer import Scorer
from winnow.stages.base import Artifact
from winnow.stages.classifier import ClassifierStage


class Linear(ClassifierStage):
    """Signals `label` (string, null where there is nothing to read), `score` (float32, 0 to 1) and those of `probabilities`."""

    __slots__ = ()

    kind = "linear"
    version = 1

    def checked(self, model: ModelFile) -> tuple[Meaning | None, str]:
        return load_linear(model.path, model.digest).header, model.digest

    def loaded(self, model: Artifact) -> Scorer:
        scorer = load_linear(model.path, model.digest)
        return scorer if self.settings.chars is None else scorer.reading(self.settings.chars)

    def reader(self, scorer: LinearScorer) -> tuple[Callable[[pa.RecordBatch], Any], int]:
        column = "url" if scorer.features.on == "host" else scorer.features.on
        return lambda documents: documents.column(column), scorer.features.chars if column == "text" else 0


KIND = Linear
