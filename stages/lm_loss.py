"""`use: lm_loss`: what a small causal language model loses on a text: perplexity-like figures, and the scores of SALT, MiniPLM
and Min-K%. Needs `pip install 'winnow[train]'`.

    loss:
      use: lm_loss
      model: models/small-160m            # or hub:owner/repo@revision
      against: models/large-1b            # of the same tokenizer; for `difference`
      keep: top 50% of tokens by difference

A text is read in windows of as many tokens as the models take, each beginning with the last token of the one before, so that
every token but the first is predicted once. A token's loss is the negative natural logarithm of its probability. Windows of
like length go through the model together in batches of fixed shape, so that a figure does not depend on its neighbours;
machines of another kind, and GPUs, differ in the last digits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from winnow.classifiers.artifacts import ModelError, digest
from winnow.classifiers.model_folder import ModelFolder, model_folder
from winnow.classifiers.transformer_model import Loaded, Precision, load
from winnow.identity import Execution, Located
from winnow.stages.base import Artifact, DocumentStage, Settings, StageError

CAUSAL = ("ForCausalLM", "LMHeadModel")
LONGEST = 2048

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class LmLossSettings(Settings):
    model: Annotated[str, Located(frozenset)]
    """The folder of a causal language model, or `hub:owner/repo@revision`."""
    against: Annotated[str | None, Located(frozenset)] = None
    """A larger model of the same tokenizer, for the signal `difference`."""
    top_k: int = Field(default=10, ge=1)
    """A token is informative that is among so many likeliest ones; SALT's own number."""
    min_k: float = Field(default=0.2, gt=0, le=1)
    """The share of least likely tokens that `min_k` is the mean of; the authors' own."""
    max_tokens: int | None = Field(default=None, ge=2)
    """Tokens of a window; as many as the models take, 2,048 at most, when null."""
    chars: int | None = Field(default=None, ge=1)
    """How many characters of a document are read, from its first that is no white space; all when null."""
    precision: Precision = "float32"
    """What is computed with; bfloat16 is for GPUs. Losses are summed in float32 and more."""
    batch_tokens: Annotated[int, Execution()] = Field(default=2048, ge=1)
    """Tokens that go through the model together, padding counted; each needs 4 bytes a token of the vocabulary."""
    threads: Annotated[int, Execution()] = Field(default=1, ge=1)
    """CPU threads that a worker computes with; `cpus:` of the stage should say the same."""


class LmLoss(DocumentStage):
    """Signals, float64 but the first: `tokens` (int32, predicted), `loss` (mean per token), `bits_per_byte` (the sum over the
    bytes of what was read), `salt` (median loss of the tokens among the `top_k` likeliest: informative and hard; null without
    one), `min_k` (mean log-probability of the least likely tokens: low for texts never seen), and with `against` `difference`
    (`loss` less that model's: MiniPLM). All but `tokens` are null where nothing is predicted."""

    __slots__ = ()
    kind = "lm_loss"
    version = 1
    Settings = LmLossSettings

    def signals(self) -> dict[str, pa.DataType]:
        return _signals(self.settings.against is not None)

    def artifacts(self) -> list[Artifact]:
        try:
            folders = self._folders()
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return [Artifact(name, f.path, f.digest) for name, f in zip(("model", "against"), folders, strict=False)]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Losses:
        try:
            return Losses(self.name, self.settings, self._folders())
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    def _folders(self) -> list[ModelFolder]:
        """Raises ModelError for what is no causal model, and for two of different tokenizers."""
        chosen: LmLossSettings = self.settings
        folders = [model_folder(name) for name in (chosen.model, chosen.against) if name is not None]
        for folder in folders:
            if not folder.architecture.endswith(CAUSAL):
                raise ModelError(
                    f"model '{folder.name}' is a {folder.architecture}: expected one {' or '.join(CAUSAL)}"
                )
            folder.window(chosen.max_tokens, LONGEST, 1)
        if len({digest((folder.path / "tokenizer.json").resolve()) for folder in folders}) > 1:
            raise ModelError(
                f"models '{chosen.model}' and '{chosen.against}' have different tokenizers, so that their losses cannot be "
                "compared token by token: expected two of one family"
            )
        return folders


def _signals(two: bool) -> dict[str, pa.DataType]:
    names = ("loss", "bits_per_byte", "salt", "min_k", *(("difference",) if two else ()))
    return {"tokens": pa.int32(), **dict.fromkeys(names, pa.float64())}


class Losses:
    """Models, loaded when something is measured: whoever shows a run opens its stages too."""

    def __init__(self, name: str, settings: LmLossSettings, folders: Sequence[ModelFolder]) -> None:
        self.name, self.settings, self.folders = name, settings, folders

    @cached_property
    def models(self) -> list[Loaded]:
        """Raises StageError."""
        chosen = self.settings
        try:
            return [load(f, "AutoModelForCausalLM", chosen.precision, chosen.threads) for f in self.folders]
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    @cached_property
    def window(self) -> int:
        """Tokens of a window."""
        most = [folder.window(self.settings.max_tokens, LONGEST, 1) for folder in self.folders]
        return min(*most, *(int(model.tokenizer.model_max_length) for model in self.models))

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """The signals."""
        texts = pc.utf8_trim_whitespace(documents.column("text"))
        if self.settings.chars is not None:
            texts = pc.utf8_slice_codeunits(texts, 0, self.settings.chars)
        given = cast("list[str]", texts.to_pylist())
        ids = self.models[0].tokenizer(given, return_attention_mask=False)["input_ids"] if given else []
        step = self.window - 1
        rows = [(n, row[at : at + step + 1]) for n, row in enumerate(ids) for at in range(0, len(row) - 1, step)]
        found = [self._losses(model, [row for _, row in rows]) for model in self.models]
        owners = np.array([n for n, _ in rows], np.int64)
        out: list[dict[str, Any]] = []
        for number, text in enumerate(given):
            begin, end = np.searchsorted(owners, [number, number + 1]).tolist()
            losses, informative = (
                np.concatenate([w[part] for w in found[0][begin:end]] or [np.empty(0)]) for part in (0, 1)
            )
            row = self._figures(losses, informative.astype(np.bool_), len(text.encode()))
            if len(found) > 1 and len(losses):
                row["difference"] = row["loss"] - float(np.concatenate([w[0] for w in found[1][begin:end]]).mean())
            out.append(row)
        return pa.RecordBatch.from_pylist(out, schema=pa.schema(_signals(len(self.models) > 1)))

    def _figures(self, losses: Doubles, informative: npt.NDArray[np.bool_], size: int) -> dict[str, Any]:
        if not len(losses):
            return {"tokens": 0}
        least = max(1, int(len(losses) * self.settings.min_k))
        return {
            "tokens": len(losses),
            "loss": float(losses.mean()),
            "bits_per_byte": float(losses.sum() / np.log(2) / size),
            "salt": float(np.median(losses[informative])) if informative.any() else None,
            "min_k": -float(np.sort(losses)[::-1][:least].mean()),
        }

    def _losses(self, loaded: Loaded, rows: Sequence[Sequence[int]]) -> list[tuple[Doubles, Doubles]]:
        """Of each window the loss of every token but the first, and whether it is among the likeliest."""
        import torch

        out: list[tuple[Doubles, Doubles]] = [(np.empty(0), np.empty(0))] * len(rows)
        with torch.inference_mode():
            for places, ids, mask in loaded.batches(rows, self.settings.batch_tokens, self.window):
                logits = loaded.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
                for at, place in enumerate(places):
                    scores, true = logits[at, :-1].float(), ids[at, 1:, None]
                    own = scores.gather(1, true)
                    losses = (torch.logsumexp(scores, 1) - own[:, 0]).double().cpu().numpy()[: len(rows[place]) - 1]
                    ranks = (scores > own).sum(1).cpu().numpy()[: len(rows[place]) - 1]
                    out[place] = (losses, ranks < self.settings.top_k)
        if not all(np.isfinite(losses).all() for losses, _ in out):
            raise StageError(f"{self.name}: the model gave what is no number in {self.settings.precision}")
        return out

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """None: every token counts."""
        return []


KIND = LmLoss
