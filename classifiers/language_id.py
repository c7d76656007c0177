"""Language identification with a fastText model: lid.176 (https://fasttext.cc/docs/en/language-identification.html),
GlotLID, or any supervised model whose labels are language codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from winnow.classifiers.artifacts import ModelError, ModelFile
from winnow.classifiers.fasttext_file import check_once
from winnow.classifiers.language_codes import language_code

UNDETERMINED = "und"
"""ISO 639-3 code for a text without anything to tell a language by."""


class LanguageIdentifier:
    """A loaded model. Top-1 only: full label lists cost as much again."""

    def __init__(self, file: ModelFile) -> None:
        from fasttext.FastText import _FastText

        check_once(file.path, file.digest)
        try:
            # load_model() would do the same and print a warning.
            self._model: Any = _FastText(model_path=str(file.path))
            self._labels = [language_code(label) for label in self._model.get_labels()]
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ModelError(f"model '{file.name}' ({file.path}) is no fastText model: {error}") from error

    def languages(self) -> set[str]:
        """Every code that `predict` can give."""
        return {*self._labels, UNDETERMINED}

    def predict(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Code and probability of the likeliest language of each text; `und` and 0 for one without content.
        Texts must hold no newline."""
        labels, scores = self._model.f.multilinePredict([f"{text}\n" for text in texts], 1, 0.0, "strict")
        codes: list[str] = []
        values: list[float] = []
        for text, names, probabilities in zip(texts, labels, scores, strict=True):
            if not names or not text or text.isspace():
                codes.append(UNDETERMINED)
                values.append(0.0)
            else:
                codes.append(language_code(names[0]))
                values.append(min(float(probabilities[0]), 1.0))
        return codes, values


@lru_cache(maxsize=4)
def _load(path: Path, digest: str, name: str) -> LanguageIdentifier:
    return LanguageIdentifier(ModelFile(name, path, digest))


def identifier(file: ModelFile) -> LanguageIdentifier:
    """The loaded model, once per process for a path and content."""
    return _load(file.path, file.digest, file.name)
