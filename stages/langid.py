"""Which language a document is in, by fastText on the beginning of its text.

lid.176 with the Korean pack's 0.65, measured by `tests/stages/test_langid.py`: recall 0.995 on 1,000 Korean sentences, 2
of 77,135 sentences in 78 other languages taken for Korean. `tests/bench/bench_langid.py` gives its rate beside that of raw
fastText calls.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from winnow.classifiers.artifacts import ModelError, ModelFile, resolve, shipped
from winnow.classifiers.fasttext_file import check_once
from winnow.classifiers.language_id import language_code
from winnow.filters.letter_case import running_case
from winnow.filters.passages import passages, push, strongest
from winnow.identity import Execution, Located
from winnow.stages.base import Artifact, DocumentStage, Outputs, Settings, StageError

if TYPE_CHECKING:
    from winnow.classifiers.language_id import LanguageIdentifier


class LangidSettings(Settings):
    model: Annotated[str, Located(shipped)] = "lid.176"
    """lid.176, a path to a fastText `.bin` or `.ftz`, or `hub:owner/repo/file`."""
    chars: int = Field(default=2000, ge=1)
    """How much of the text is looked at."""
    score: Annotated[float | None, Execution()] = Field(default=None, ge=0, le=1)
    """Least probability; the language pack's where not given."""
    labels: Annotated[tuple[str, ...], Execution()] = ()
    """Languages kept besides the pipeline's, in any code (`en`, `eng`, `eng_Latn`)."""


class LangidStage(DocumentStage):
    """The likeliest language and its probability."""

    __slots__ = ()
    kind = "langid"
    outputs = Outputs(language="label")
    version = 3
    guards = ("kept > 0 or rows < 20",)  # without a pre-screen it sees the whole web, of which one language is little
    Settings = LangidSettings

    def signals(self) -> dict[str, pa.DataType]:
        """`label`: ISO 639-1 where the language has one, else 639-3, `und` for an empty text; `score`: 0 to 1."""
        return {"label": pa.string(), "score": pa.float32()}

    def clauses(self) -> dict[str, str]:
        settings: LangidSettings = self.settings
        codes = list(dict.fromkeys([self.pack.code, *map(language_code, settings.labels)]))
        least = self.pack.language_score if settings.score is None else settings.score
        names = ", ".join(f"'{code}'" for code in codes)
        label = f"label = {names}" if len(codes) == 1 else f"label IN ({names})"
        return {"label": label, "score": f"score >= {least}"}

    def artifacts(self) -> list[Artifact]:
        try:
            file = resolve(self.settings.model)
            check_once(file.path, file.digest)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return [Artifact(file.name, file.path, file.digest)]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Identifier:
        from winnow.classifiers.language_id import identifier

        (model,) = artifacts
        try:
            loaded = identifier(ModelFile(model.name, model.path, model.digest))
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return Identifier(self.name, self.settings, loaded)


class Identifier:
    """A loaded model, and how much of a text it reads."""

    def __init__(self, name: str, settings: LangidSettings, model: LanguageIdentifier) -> None:
        self.name, self.settings, self.model = name, settings, model

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """`label` and `score`."""
        labels, scores = self._predict(prefixes(documents.column("text"), self.settings.chars))
        return pa.record_batch({"label": pa.array(labels, pa.string()), "score": pa.array(scores, pa.float32())})

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """Up to five lines (sentences of a one-line text) of the part that is read, each identified alone: for `label`
        in the document's language, for `score` in another, which lowers it. Of these, the ones that push most
        (`passages.push`), a line counted by its characters. Raises StageError for another signal."""
        if signal not in ("label", "score"):
            raise StageError(f"{self.name}: no signal '{signal}': expected one of label, score")
        chars = self.settings.chars
        found = passages(text, chars)
        texts = pa.array([text, *(text[start:end] for start, end in found)], pa.large_string())
        (verdict, *labels), (_, *scores) = self._predict(prefixes(texts, chars))
        pushes = {
            span: push(score, span[1] - span[0])
            for span, label, score in zip(found, labels, scores, strict=True)
            if (label == verdict) == (signal == "label")
        }
        return strongest(pushes)

    def _predict(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        try:
            return self.model.predict(texts)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error


def prefixes(texts: pa.Array[Any], chars: int) -> list[str]:
    """The first `chars` characters of each text, from its first that is no white space, as one line, in lower case where
    they are written in capitals (`filters/letter_case.py`). fastText ends the line also at the word `</s>`
    (`Dictionary::EOS`), so that goes too."""
    cut = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(texts), 0, chars)
    return running_case(pc.replace_substring_regex(cut, "(?:[\r\n]|</s>)+", " ").to_pylist())


KIND = LangidStage
