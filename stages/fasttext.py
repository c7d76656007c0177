"""`use: fasttext`: scores documents with a fastText classifier: quality, toxicity, domain, or one of your own.

A model with two labels gives the probability of its positive label, a model with more the likeliest label and its
probability. Which of the two, and how text is prepared, comes from the sidecar beside the model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, cast

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from winnow.classifiers.artifacts import ModelError, resolve, shipped
from winnow.classifiers.fasttext_file import check_once
from winnow.classifiers.scorer import Scorer, content_digest, load_scorer, read_sidecar
from winnow.filters.passages import passages, push, strongest
from winnow.identity import Located
from winnow.stages.base import Artifact, DocumentStage, Settings, StageError


class FasttextSettings(Settings):
    model: Annotated[str, Located(shipped)]
    """A shipped name (`ko-quality`), a path or `hub:owner/repo/file`."""
    chars: int | None = Field(default=None, ge=1)
    """How many characters of a document are read, from its first that is no white space; the recipe's own number when null."""
    positive: str | None = None
    """The label whose probability is the score, for a two-label model without a sidecar."""


class Fasttext(DocumentStage):
    """Signals `label` (string, null for a text without words) and `score` (float32, 0 to 1)."""

    __slots__ = ()

    kind = "fasttext"
    version = 2
    Settings = FasttextSettings

    def signals(self) -> dict[str, pa.DataType]:
        return {"label": pa.string(), "score": pa.float32()}

    def artifacts(self) -> list[Artifact]:
        try:
            found = resolve(self.settings.model)
            check_once(found.path, found.digest)
            read_sidecar(found.path)
            return [Artifact(found.name, found.path, content_digest(found.path))]
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Classifier:
        (model,) = artifacts
        try:
            scorer = load_scorer(model.path, model.digest, self.settings.positive, self.settings.chars)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return Classifier(self.name, scorer)


class Classifier:
    """A loaded model."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name, self.scorer = name, scorer

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """`label` and `score`."""
        scorer = self.scorer
        texts = pc.utf8_ltrim_whitespace(documents.column("text"))
        texts = pc.utf8_slice_codeunits(texts, 0, scorer.features.chars)
        labels, scores = scorer.score(cast(list[str], texts.to_pylist()))
        return pa.RecordBatch.from_arrays(
            [pa.array(labels, pa.string()), pa.array(scores, pa.float32())], names=["label", "score"]
        )

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """Up to five lines (sentences of a one-line text) that the model, given each alone, labels as it labels the
        document: low ones where a two-label model scores it below 0.5, high ones where not. Of these, the ones that
        push the document's score most (`passages.push`), a line counted by its words.

        A score that is the mean of a document's highest windows (`top` below 1) comes from high lines even where it is
        low, so there it is always the high ones, and words beyond a window's number do not count.

        The same for `label` and `score`; none where no line alone has the document's label. Only the part of the text
        that is read is looked at. Raises StageError for another signal."""
        if signal not in ("label", "score"):
            raise StageError(f"{self.name}: no signal '{signal}': expected one of label, score")
        scorer = self.scorer
        features = scorer.features
        found = passages(text, features.chars)
        lines = [text[start:end] for start, end in found]
        (verdict, *labels), (_, *scores) = scorer.score([text.lstrip()[: features.chars], *lines])
        highest = scorer.positive is not None and features.window > 0 and features.top < 1
        wanted = scorer.positive if highest else verdict
        most = features.window if highest else features.chars
        pushes = {
            span: push(float(score if scorer.positive in (None, wanted) else 1 - score), min(len(line.split()), most))
            for span, line, label, score in zip(found, lines, labels, scores, strict=True)
            if label == verdict or wanted != verdict
        }
        return strongest(pushes)


KIND = Fasttext
