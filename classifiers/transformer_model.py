"""Models of the transformers library, loaded and run in batches of fixed shape.

A sequence of n tokens always goes through the model padded to a width that n alone decides, in a batch of a height that the
width alone decides, filled up with copies of the last one. Matrix products of one shape give a row the same bits wherever it
stands, so results do not depend on what else is in the batch, on one kind of machine and number of threads; among machines
they differ in the last digits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.model_folder import ModelFolder

if TYPE_CHECKING:
    from torch import Tensor

Auto = Literal["AutoModel", "AutoModelForSequenceClassification", "AutoModelForCausalLM"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run. `padding`: the token that fills up rows."""

    model: Any
    tokenizer: Any
    device: str
    padding: int

    def batches(
        self, rows: Sequence[Sequence[int]], tokens: int, most: int
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Places of rows, their ids and mask, int64 [height, width]: the first len(places) rows are theirs."""
        import torch

        widths: dict[int, list[int]] = {}
        for place, row in enumerate(rows):
            widths.setdefault(width_of(len(row), most), []).append(place)
        for width, places in sorted(widths.items()):
            height = max(1, tokens // width)
            for start in range(0, len(places), height):
                some = places[start : start + height]
                filled = some + some[-1:] * (height - len(some))
                ids = [[*rows[place], *[self.padding] * (width - len(rows[place]))] for place in filled]
                mask = [[1] * len(rows[place]) + [0] * (width - len(rows[place])) for place in filled]
                yield some, torch.tensor(ids).to(self.device), torch.tensor(mask).to(self.device)


def width_of(length: int, most: int) -> int:
    """Columns of a batch with a row of so many tokens, in steps of a quarter of the power of two below; `most` at most."""
    step = max(8, 1 << max(0, (length - 1).bit_length() - 3))
    return min(-(-length // step) * step, max(most, length))


def load(folder: ModelFolder, auto: Auto, precision: Precision, threads: int) -> Loaded:
    """A model with all its weights, each a number, on a GPU where this process has one. Raises ModelError."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    import transformers

    said: Any = transformers.logging
    said.set_verbosity_error()
    said.disable_progress_bar()
    torch.set_num_threads(threads)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
        model, info = getattr(transformers, auto).from_pretrained(
            folder.path,
            dtype=getattr(torch, precision),
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # looked for below, where it gets a sentence
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        cause = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(f"model '{folder.name}' cannot be loaded as {auto}: {cause}") from error
    # what pools is not asked for where only hidden states are
    missing = sorted(key for key in info["missing_keys"] if auto != "AutoModel" or not key.startswith("pooler."))
    if missing or info["mismatched_keys"]:
        shape = [str(key if isinstance(key, str) else key[0]) for key in info["mismatched_keys"]]
        wrong = f"lack {missing[0]}" if missing else f"have another shape for {min(shape)}"
        raise ModelError(f"model '{folder.name}': its weights {wrong}: expected those of a {folder.architecture}")
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            raise ModelError(f"model '{folder.name}': {name} has weights that are no numbers (NaN or infinite)")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(
            f"model '{folder.name}': its tokenizer has {len(tokenizer):,} tokens, its weights know {rows:,}"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else model.config.eos_token_id
    if isinstance(padding, list):
        padding = padding[0]
    if getattr(model.config, "pad_token_id", None) is None:
        model.config.pad_token_id = padding  # a decoder's classifier looks for the last token before it
    return Loaded(model.eval().to(device), tokenizer, device, int(padding or 0))
