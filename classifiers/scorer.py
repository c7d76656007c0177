"""A fitted fastText classifier: loaded once per process, checked before fastText sees it, scored in batches."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from winnow.classifiers.features import PLAIN, Features, top_count, windows

MAGIC, FORMAT = 793712314, 12
"""First two int32 of a model file (FASTTEXT_FILEFORMAT_MAGIC_INT32 and FASTTEXT_VERSION in fastText's fasttext.cc)."""
SUPERVISED = 3
"""`model_name::sup` in fastText's args.h, the ninth int32 of the arguments after the two above."""
PREFIX = "__label__"
LINES = 4096


class ModelError(ValueError):
    """A model file or its sidecar cannot be used: one sentence with what is wrong, where, and what was expected."""


class Sidecar(BaseModel):
    """`<model>.json` beside `<model>.ftz`: what a score means and how text is prepared."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    positive: str | None = None
    labels: tuple[str, ...]
    features: Features
    licence: str
    model_sha256: str


@dataclass(frozen=True, slots=True)
class Scorer:
    """A loaded model. `positive` is None for a multi-class model."""

    model: Any
    labels: tuple[str, ...]
    positive: str | None
    features: Features

    def score(self, texts: Sequence[str]) -> tuple[list[str | None], npt.NDArray[np.float32]]:
        """Per text: the likeliest label, and the probability of `positive` (of that label when multi-class).
        A text without a word has no label and scores 0."""
        lines: list[str] = []
        counts: list[int] = []
        for text in texts:
            cut = windows(text, self.features)
            counts.append(len(cut))
            lines += cut
        labels: list[str | None] = [None] * len(texts)
        scores = np.zeros(len(texts), np.float32)
        if self.positive is None:
            self._likeliest(lines, counts, labels, scores)
        else:
            self._positive(lines, counts, labels, scores)
        return labels, scores

    def _positive(
        self, lines: list[str], counts: list[int], labels: list[str | None], scores: npt.NDArray[np.float32]
    ) -> None:
        negative = next(label for label in self.labels if label != self.positive)
        found = np.empty(len(lines))
        for index, (names, values) in enumerate(self._predict(lines, 1)):
            value = min(float(values[0]), 1.0) if len(values) else 0.0
            found[index] = value if names and names[0] == PREFIX + str(self.positive) else 1.0 - value
        start = 0
        for row, count in enumerate(counts):
            if count:
                part = np.sort(found[start : start + count])[::-1]
                scores[row] = part[: top_count(count, self.features.top)].mean()
                labels[row] = self.positive if scores[row] >= 0.5 else negative
            start += count

    def _likeliest(
        self, lines: list[str], counts: list[int], labels: list[str | None], scores: npt.NDArray[np.float32]
    ) -> None:
        order = {PREFIX + label: column for column, label in enumerate(self.labels)}
        found = np.zeros((len(lines), len(self.labels)))
        for index, (names, values) in enumerate(self._predict(lines, -1 if self.features.window else 1)):
            for name, value in zip(names, values, strict=True):
                found[index, order[name]] = min(float(value), 1.0)
        start = 0
        for row, count in enumerate(counts):
            if count:
                mean = found[start : start + count].mean(axis=0)
                best = int(mean.argmax())
                labels[row], scores[row] = self.labels[best], mean[best]
            start += count

    def _predict(self, lines: list[str], k: int) -> Any:
        for start in range(0, len(lines), LINES):
            chunk = [line + "\n" for line in lines[start : start + LINES]]
            yield from zip(*self.model.f.multilinePredict(chunk, k, 0.0, "strict"), strict=True)


def check_model(path: Path) -> None:
    """Refuses what is no supervised fastText model, because fastText itself would abort or read garbage.
    Raises ModelError."""
    try:
        with path.open("rb") as stream:
            head = stream.read(56)
    except OSError as error:
        raise ModelError(f"cannot read model {path}: {error.strerror}") from error
    if len(head) < 56 or struct.unpack_from("<ii", head) != (MAGIC, FORMAT):
        raise ModelError(f"{path} is not a fastText model: expected a .bin or .ftz file of format {FORMAT}")
    dim, _, _, _, _, _, _, model = struct.unpack_from("<8i", head, 8)
    if model != SUPERVISED or dim < 1:
        raise ModelError(f"{path} is a fastText model of word vectors: expected a supervised classifier")


def sidecar_path(model: Path) -> Path:
    """Where a model's sidecar lies."""
    return model.with_suffix(".json")


def read_sidecar(model: Path) -> Sidecar | None:
    """The sidecar of a model, None where it has none. Raises ModelError where it is broken or of another model."""
    path = sidecar_path(model)
    if not path.is_file():
        return None
    try:
        sidecar = Sidecar.model_validate(json.loads(path.read_text("utf-8")))
    except (ValidationError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} is not the sidecar of a model: {str(error).splitlines()[0]}") from error
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    if digest != sidecar.model_sha256:
        raise ModelError(f"{path} belongs to another model: it names sha256 {sidecar.model_sha256}, {model.name} has {digest}")
    return sidecar


def content_digest(model: Path) -> str:
    """sha256 hex over a model file and its sidecar."""
    digest = hashlib.sha256(model.read_bytes())
    path = sidecar_path(model)
    if path.is_file():
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def load_scorer(path: Path, digest: str, positive: str | None = None, chars: int | None = None) -> Scorer:
    """The scorer of a model file, once per process for the same content (`digest`) and settings. Raises ModelError."""
    import fasttext

    check_model(path)
    sidecar = read_sidecar(path)
    try:
        model = fasttext.FastText._FastText(model_path=str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"fastText cannot load {path}: {error}") from error
    labels = tuple(sorted(str(label).removeprefix(PREFIX) for label in model.get_labels()))
    positive = positive or (sidecar.positive if sidecar else None)
    if positive is not None and positive not in labels:
        raise ModelError(f"{path.name} has no label '{positive}': expected one of {', '.join(labels)}")
    if positive is None and len(labels) == 2:
        raise ModelError(f"{path.name} has two labels and no sidecar: set `positive` to one of {', '.join(labels)}")
    if positive is not None and len(labels) != 2:
        raise ModelError(f"{path.name} has {len(labels)} labels: `positive` is for models with two")
    features = sidecar.features if sidecar else PLAIN
    if chars is not None:
        features = features.model_copy(update={"chars": chars})
    return Scorer(model, labels, positive, features)
