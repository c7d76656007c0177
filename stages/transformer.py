"""`use: transformer`: scores documents with an encoder of the transformers library: a sequence classifier, or embeddings under
a small head of one's own, as FineWeb2-HQ does. Needs `pip install 'winnow[train]'`.

    edu:
      use: transformer
      model: hub:owner/edu-classifier@4f3c...     # or a folder
      positive: educational
      precision: bfloat16
      keep: score >= 0.5
      gpus: 1
      actors: 1..8                                # so many GPUs, each with the model loaded once

A document is cut into windows of as many tokens as the model takes, and their probabilities are combined. Windows of like
length go through the model together, in batches of fixed shape, so that a score does not depend on its neighbours; it is
rounded to four decimals, since machines of another kind (and CPU and GPU) differ in the last digits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from winnow.classifiers.artifacts import ModelError, resolve
from winnow.classifiers.model_folder import ModelFolder, model_folder
from winnow.classifiers.transformer_head import Head, pooled, read_head
from winnow.classifiers.transformer_model import Loaded, Precision, load
from winnow.identity import Execution, Located
from winnow.nearest import hint
from winnow.stages.base import Artifact, DocumentStage, Settings, StageError

CLASSIFIER = "ForSequenceClassification"
LONGEST = 8192

Doubles = npt.NDArray[np.float64]


class TransformerSettings(Settings):
    model: Annotated[str, Located(frozenset)]
    """The folder of a model, or `hub:owner/repo@revision`."""
    head: Annotated[str | None, Located(frozenset)] = None
    """What `winnow fit transformer-head` wrote for this model: a path or `hub:owner/repo/file`. Without it the model is a
    sequence classifier."""
    positive: str | None = None
    """The label whose probability is the score; required of a classifier with two labels."""
    probabilities: tuple[str, ...] = ()
    """Labels that have a signal of their own: `p_<label>`."""
    windows: Literal["mean", "max", "first"] = "mean"
    """What a document of several windows has: the mean of their probabilities, each counted by its tokens, the highest (of
    each label), or those of the first, the only one that is then read."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of a window, special ones counted; as many as the model and its tokenizer take, 8,192 at most, when null."""
    chars: int | None = Field(default=None, ge=1)
    """How many characters of a document are read, from its first that is no white space; all when null."""
    precision: Precision = "float32"
    """What is computed with; bfloat16 is for GPUs."""
    batch_tokens: Annotated[int, Execution()] = Field(default=4096, ge=1)
    """Tokens that go through the model together, padding counted."""
    threads: Annotated[int, Execution()] = Field(default=1, ge=1)
    """CPU threads that a worker computes with; `cpus:` of the stage should say the same."""


class Transformer(DocumentStage):
    """Signals `label` (string: the likeliest; null where the model has one output), `score` (float32: the probability of
    `positive`, else of the likeliest label, else the one output as it is) and `p_<label>` (float32) of `probabilities`.
    All are null for a text without a character that is no white space."""

    __slots__ = ()
    kind = "transformer"
    version = 1
    Settings = TransformerSettings

    def signals(self) -> dict[str, pa.DataType]:
        wanted = {f"p_{label}": pa.float32() for label in self.settings.probabilities}
        return {"label": pa.string(), "score": pa.float32(), **wanted}

    def artifacts(self) -> list[Artifact]:
        try:
            folder, head = self._found()
            self._checked(folder, head)
            found = [Artifact("model", folder.path, folder.digest)]
            if self.settings.head is not None:
                file = resolve(self.settings.head)
                found.append(Artifact("head", file.path, file.digest))
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return found

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Scorer:
        try:
            folder, head = self._found()
            return Scorer(self.name, self.settings, folder, head)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    def _found(self) -> tuple[ModelFolder, Head | None]:
        folder = model_folder(self.settings.model)
        return folder, None if self.settings.head is None else read_head(resolve(self.settings.head).path)

    def _checked(self, folder: ModelFolder, head: Head | None) -> None:
        """Raises ModelError for a model that gives no such scores."""
        chosen: TransformerSettings = self.settings
        if head is None and not folder.architecture.endswith(CLASSIFIER):
            raise ModelError(
                f"model '{folder.name}' is a {folder.architecture}: expected one {CLASSIFIER}, or a head: from winnow fit "
                "transformer-head"
            )
        if head is not None and head.model != folder.digest:
            raise ModelError(
                f"head '{chosen.head}' was fitted on another model than '{folder.name}' (content {folder.digest[:12]}): "
                f"expected the one with {head.model[:12]}"
            )
        width = folder.config.get("hidden_size")
        if head is not None and width is not None and head.layers[0][0].shape[1] != width:
            raise ModelError(f"head '{chosen.head}' reads {head.layers[0][0].shape[1]} numbers: expected {width}")
        labels = folder.labels if head is None else head.labels
        for label in (*chosen.probabilities, *([chosen.positive] if chosen.positive else [])):
            if label not in labels:
                raise ModelError(
                    f"model '{folder.name}' has no label '{label}': expected one of {', '.join(labels)}{hint(label, labels)}"
                )
        if len(labels) == 1 and (chosen.positive or chosen.probabilities):
            raise ModelError(
                f"model '{folder.name}' has one output, a number: expected neither positive nor probabilities"
            )
        if len(labels) == 2 and chosen.positive is None and (head is None or head.positive is None):
            raise ModelError(f"model '{folder.name}' has two labels: expected positive: {' or '.join(labels)}")
        folder.window(chosen.max_tokens, LONGEST)


class Scorer:
    """A model, loaded when something is measured: whoever shows a run opens its stages too."""

    def __init__(self, name: str, settings: TransformerSettings, folder: ModelFolder, head: Head | None) -> None:
        self.name, self.settings, self.folder, self.head = name, settings, folder, head
        self.labels = folder.labels if head is None else head.labels
        self.positive = settings.positive or (head.positive if head is not None else None)
        several = folder.config.get("problem_type") == "multi_label_classification"
        self.squash = (lambda x: x) if len(self.labels) == 1 else _sigmoid if several and head is None else _softmax

    @cached_property
    def loaded(self) -> Loaded:
        """The encoder or classifier. Raises StageError."""
        auto: Any = "AutoModelForSequenceClassification" if self.head is None else "AutoModel"
        try:
            return load(self.folder, auto, self.settings.precision, self.settings.threads)
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    @cached_property
    def classify(self) -> Any:
        """The head's layers, None without one."""
        return None if self.head is None else self.head.module(self.loaded.device)

    @cached_property
    def window(self) -> int:
        """Tokens of a window."""
        most = self.folder.window(self.settings.max_tokens, LONGEST)
        most = min(most, int(self.loaded.tokenizer.model_max_length))
        return min(most, self.head.max_tokens) if self.head is not None else most

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """`label`, `score` and the probabilities asked for."""
        texts = pc.utf8_trim_whitespace(documents.column("text"))
        if self.settings.chars is not None:
            texts = pc.utf8_slice_codeunits(texts, 0, self.settings.chars)
        given = cast("list[str]", texts.to_pylist())
        there = [place for place, text in enumerate(given) if text]
        outputs = np.full((len(given), len(self.labels)), np.nan)
        if there:
            outputs[there] = self._outputs([given[place] for place in there])
        outputs = np.round(outputs, 4)
        blank = np.isnan(outputs[:, 0])
        best = np.where(blank, 0, np.nan_to_num(outputs).argmax(axis=1))
        at = self.labels.index(self.positive) if self.positive else best
        score = outputs[np.arange(len(given)), at]
        names = [
            None if empty or len(self.labels) == 1 else self.labels[b] for empty, b in zip(blank, best, strict=True)
        ]
        columns = {"label": pa.array(names, pa.string()), "score": pa.array(score, pa.float32(), mask=blank)}
        for label in self.settings.probabilities:
            columns[f"p_{label}"] = pa.array(outputs[:, self.labels.index(label)], pa.float32(), mask=blank)
        return pa.RecordBatch.from_pydict(columns)

    def _outputs(self, texts: list[str]) -> Doubles:
        """Of each text what its windows come to, [texts, labels]."""
        several = self.settings.windows != "first"
        encoded = self.loaded.tokenizer(
            texts,
            truncation=True,
            max_length=self.window,
            return_overflowing_tokens=several,
            return_attention_mask=False,
        )
        rows: list[list[int]] = encoded["input_ids"]
        owners = np.array(encoded["overflow_to_sample_mapping"] if several else range(len(texts)))
        found = self.squash(self._forward(rows))
        if not several:
            return found
        outputs = np.zeros((len(texts), len(self.labels)))
        if self.settings.windows == "max":
            outputs[:] = -np.inf
            np.maximum.at(outputs, owners, found)
            return outputs
        weights = np.array([len(row) for row in rows], np.float64)
        np.add.at(outputs, owners, found * weights[:, None])
        return outputs / np.bincount(owners, weights)[:, None]

    def _forward(self, rows: list[list[int]]) -> Doubles:
        """The model's outputs for each window, [windows, labels]."""
        import torch

        out = np.empty((len(rows), len(self.labels)))
        with torch.inference_mode():
            for places, ids, mask in self.loaded.batches(rows, self.settings.batch_tokens, self.window):
                given = self.loaded.model(input_ids=ids, attention_mask=mask)
                if self.head is None or self.classify is None:
                    logits = given.logits
                else:
                    logits = self.classify(pooled(given.last_hidden_state, mask, self.head.pooling))
                out[places] = logits.double().cpu().numpy()[: len(places)]
        if not np.isfinite(out).all():
            raise StageError(f"{self.name}: the model gave what is no number in {self.settings.precision}")
        return out

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """None: the whole text is read together."""
        return []


def _softmax(logits: Doubles) -> Doubles:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cast(Doubles, powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(logits: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-logits))


KIND = Transformer
