"""What the kinds of classifiers share, `fasttext` and `linear`: their settings, signals, thresholds by name, and highlights."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from winnow.classifiers.artifacts import ModelError, ModelFile, resolve, shipped
from winnow.classifiers.language_id import language_code
from winnow.classifiers.meaning import Meaning
from winnow.classifiers.scorer import Scorer
from winnow.filters.passages import passages, push, strongest
from winnow.identity import Execution, Located
from winnow.nearest import expected
from winnow.stages.base import Artifact, DocumentStage, Group, Settings, StageError, Types

ANY = "any"
BOTH: Types = {"label": pa.string(), "score": pa.float32()}


def signal_of(label: str) -> str:
    """The signal that has a label's probability."""
    return "p_" + re.sub(r"[^0-9A-Za-z_]", "_", label)


class ClassifierSettings(Settings):
    model: Annotated[str, Located(shipped)]
    """A shipped name (`ko-quality`), a path or `hub:owner/repo/file`."""
    chars: int | None = Field(default=None, ge=1)
    """How many characters of a document are read, from its first that is no white space; the recipe's own number when null."""
    probabilities: Annotated[
        tuple[str, ...], Execution()
    ] = ()  # each is a group of its own, so no part of the others' identity
    """Labels whose probabilities are signals as well: `p_LABEL`."""
    threshold: Annotated[str | None, Execution()] = None
    """The name of a threshold that the model brings: documents on its side are kept unless `keep` says otherwise."""
    language: Annotated[str | None, Execution()] = None
    """The language of the model, where it is meant to be another than the pipeline's; `any`: whatever it is."""


class ClassifierStage(DocumentStage):
    """Signals `label` (string, null for a text without words), `score` (float32, 0 to 1) and those of `probabilities`."""

    __slots__ = ()
    Settings: ClassVar[type[Settings]] = ClassifierSettings

    @abstractmethod
    def checked(self, model: ModelFile) -> tuple[Meaning | None, str]:
        """What the model says of itself, None where it says nothing, and the digest of all of it. Raises ModelError for a file
        that is not sound."""

    @abstractmethod
    def loaded(self, model: Artifact) -> Scorer:
        """The model. Raises ModelError."""

    @abstractmethod
    def reader(self, scorer: Any) -> tuple[Callable[[pa.RecordBatch], Any], int]:
        """How the column that the model reads is taken from documents, and how many characters of it count."""

    def signals(self) -> Types:
        return BOTH | dict.fromkeys(self._asked(), pa.float32())

    def groups(self) -> dict[str, Group]:
        """A label that is asked for later is measured by itself."""
        asked = {signal: Group(self.version, {signal: pa.float32()}) for signal in self._asked()}
        return {"": Group(self.version, BOTH), **asked}

    def clauses(self) -> dict[str, str]:
        """The named threshold."""
        wanted = self.settings.threshold
        if wanted is None:
            return {}
        meaning, _ = self._found()[1]
        known = meaning.thresholds if meaning else {}
        if wanted not in known:
            raise StageError(
                f"{self.name}: model '{self.settings.model}' has no threshold '{wanted}': "
                + (expected(wanted, known) if known else "it brings none; say `keep` instead")
            )
        return {wanted: known[wanted].clause}

    def artifacts(self) -> list[Artifact]:
        model, (meaning, digest) = self._found()
        if meaning is not None:
            self._of_language(meaning.language)
            self._places(meaning.labels)
        return [Artifact(model.name, model.path, digest)]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Classifier:
        (model,) = artifacts
        try:
            scorer = self.loaded(model)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        read, chars = self.reader(scorer)
        return Classifier(self.name, scorer, self._places(scorer.meaning.labels), read, chars, groups)

    def _found(self) -> tuple[ModelFile, tuple[Meaning | None, str]]:
        try:
            model = resolve(self.settings.model)
            return model, self.checked(model)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    def _asked(self) -> dict[str, str]:
        """Signal -> label."""
        return {signal_of(label): label for label in self.settings.probabilities}

    def _places(self, labels: tuple[str, ...]) -> dict[str, int]:
        """Signal -> the label's place among the model's."""
        for label in self.settings.probabilities:
            if label not in labels:
                raise StageError(
                    f"{self.name}: probabilities: the model has no label '{label}'; {expected(label, labels)}"
                )
            alike = [one for one in labels if signal_of(one) == signal_of(label)]
            if len(alike) > 1:
                raise StageError(
                    f"{self.name}: probabilities: labels {', '.join(alike)} of the model would be one signal, {signal_of(label)}"
                )
        return {signal: labels.index(label) for signal, label in self._asked().items()}

    def _of_language(self, of_model: str | None) -> None:
        said = self.settings.language
        wanted = language_code(said or self.pack.code) if said != ANY else of_model
        if of_model is not None and language_code(of_model) != wanted:
            of = "`language` says" if said else "the pipeline's language is"
            raise StageError(
                f"{self.name}: model '{self.settings.model}' was fitted on texts in {of_model}, and {of} {wanted}: "
                f"expected a model of {wanted}, or `language: {of_model}` where that is meant"
            )


class Classifier:
    """A loaded model. `places`: signal -> the label's place among the model's."""

    def __init__(
        self,
        name: str,
        scorer: Any,
        places: dict[str, int],
        read: Callable[[pa.RecordBatch], Any],
        chars: int,
        groups: Collection[str] | None,
    ) -> None:
        self.name, self.scorer, self.places, self.read, self.chars = name, scorer, places, read, chars
        self.groups = ("", *places) if groups is None else groups

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """The columns of the groups asked for: `label` and `score`, and each probability."""
        places = {signal: place for signal, place in self.places.items() if signal in self.groups}
        found = self.scorer.predict(self.read(documents), every=bool(places))
        columns = {}
        if "" in self.groups:
            codes = pa.array(found.labels, pa.int32(), mask=found.labels < 0)
            labels = pa.DictionaryArray.from_arrays(codes, pa.array(found.names, pa.string()))
            columns = {"label": labels.cast(pa.string()), "score": pa.array(found.scores, pa.float32())}
        for signal, place in places.items():
            columns[signal] = pa.array(np.ascontiguousarray(found.probabilities[:, place]), pa.float32())
        return pa.record_batch(columns)

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """Up to five lines (sentences of a one-line text) that the model, given each alone, labels as it labels the
        document: low ones where a two-label model scores it below 0.5, high ones where not. Of these, the ones that
        push the document's score most (`passages.push`), a line counted by its words.

        A score that is the mean of a document's highest windows (`top` below 1) comes from high lines even where it is
        low, so there it is always the high ones, and words beyond a window's number do not count.

        The same for every signal; none where no line alone has the document's label. Only the part of the text
        that is read is looked at. Raises StageError for another signal."""
        known = ("label", "score", *self.places)
        if signal not in known:
            raise StageError(f"{self.name}: no signal '{signal}': expected one of {', '.join(known)}")
        if not self.chars:
            return []  # it reads no text
        meaning, features = self.scorer.meaning, self.scorer.features
        spans = passages(text, self.chars)
        lines = [text[start:end] for start, end in spans]
        found = self.scorer.predict([text.lstrip()[: self.chars], *lines])
        (verdict, *labels), (_, *scores) = found.said(), found.scores
        highest = meaning.positive is not None and features.window > 0 and features.top < 1
        wanted = meaning.positive if highest else verdict
        most = features.window if highest else self.chars
        pushes = {
            span: push(float(score if meaning.positive in (None, wanted) else 1 - score), min(len(line.split()), most))
            for span, line, label, score in zip(spans, lines, labels, scores, strict=True)
            if label == verdict or wanted != verdict
        }
        return strongest(pushes)
