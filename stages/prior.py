"""`use: prior`: how common a text's tokens are: mean and standard deviation of their log-priors, which tell noise from prose
without a language model (Seo et al. 2025, "Prior-based Noisy Text Data Filtering").

    prior:
      use: prior
      model: prior.json           # winnow fit prior runs/ko --out prior.json
      keep:
        mean: mean between quantile(0.15) and quantile(0.85)
        std: std_prior between quantile(0.15) and quantile(0.85)

A token's prior is how often it occurs times in how many texts, as a share. A text of rare tokens (another language, broken
encoding) has a low mean; one of few tokens over and over a high one, or little spread.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.count_tables import PriorTable, found
from winnow.identity import Located
from winnow.stages.base import Artifact, DocumentStage, Settings, StageError
from winnow.tokenize.tokenizer import Tokenizer, TokenizerError, find, load, shipped

SIGNALS = {"mean": pa.float64(), "std": pa.float64(), "std_prior": pa.float64()}


class PriorSettings(Settings):
    model: Annotated[str, Located(frozenset)]
    """What `winnow fit prior` wrote: a path or `hub:owner/repo/file`."""
    tokenizer: Annotated[str, Located(shipped)] = "ko-bpe"
    """The tokenizer that it was fitted with: a shipped name, a path, or `hub:owner/repo`."""


class Prior(DocumentStage):
    """Signals `mean` and `std` (float64, of the natural logarithms of the tokens' priors) and `std_prior` (float64, of the
    priors times 1,000, over n - 1, as the method's authors compute it; null for one token). Null for a text without tokens."""

    __slots__ = ()
    kind = "prior"
    version = 1
    Settings = PriorSettings

    def signals(self) -> dict[str, pa.DataType]:
        return dict(SIGNALS)

    def artifacts(self) -> list[Artifact]:
        try:
            file, table = found(self.settings.model, PriorTable)
            tokenizer = find(self.settings.tokenizer)
        except (ModelError, TokenizerError) as error:
            raise StageError(f"{self.name}: {error}") from error
        if tokenizer.digest != table.tokenizer:
            raise StageError(
                f"{self.name}: {file.path} was fitted with another tokenizer than '{self.settings.tokenizer}' (sha256 "
                f"{tokenizer.digest[:12]}): expected the one with {table.tokenizer[:12]}"
            )
        return [
            Artifact(file.name, file.path, file.digest),
            Artifact("tokenizer", tokenizer.path, tokenizer.digest),
        ]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Priors:
        try:
            _, table = found(self.settings.model, PriorTable)
            tokenizer = load(find(self.settings.tokenizer))
        except (ModelError, TokenizerError) as error:
            raise StageError(f"{self.name}: {error}") from error
        if len(table.within) != tokenizer.vocab_size:
            raise StageError(
                f"{self.name}: {self.settings.model} has {len(table.within):,} tokens: expected {tokenizer.vocab_size:,}"
            )
        return Priors(self.name, tokenizer, table.log_priors())


class Priors:
    """A tokenizer and the log-prior of each of its tokens."""

    def __init__(self, name: str, tokenizer: Tokenizer, log_priors: npt.NDArray[np.float64]) -> None:
        self.name, self.tokenizer, self.log_priors = name, tokenizer, log_priors

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """The signals, and `error` where a text cannot be encoded."""
        encoded = self.tokenizer.encode(cast("list[str]", documents.column("text").to_pylist()))
        rows: list[dict[str, float | None]] = []
        begin = 0
        for length in encoded.lengths.tolist():
            logs = self.log_priors[encoded.ids[begin : begin + length]]
            begin += length
            mean, std = (float(logs.mean()), float(logs.std())) if length else (None, None)
            spread = float((np.exp(logs) * 1000).std(ddof=1)) if length > 1 else None
            rows.append({"mean": mean, "std": std, "std_prior": spread})
        columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in SIGNALS.items()}
        if encoded.errors:
            columns["error"] = pa.array([encoded.errors.get(row) for row in range(len(rows))], pa.string())
        return pa.RecordBatch.from_pydict(columns)

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """None: every token counts."""
        if signal not in SIGNALS:
            raise StageError(f"{self.name}: no signal '{signal}': expected one of {', '.join(SIGNALS)}")
        return []


KIND = Prior
