"""Whether a checkpoint's weights are those that its config.json asks for: by name, shape and kind, before they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from winnow.nearest import nearest
from winnow.train_handoff.pretrained import Stored

HEAD = "lm_head.weight"
FLOATS = ("F32", "BF16", "F16", "F64")
"""What is read as numbers. Others, such as F8_E4M3, mean something only together with scales that lie beside them."""

_OF_OLD = re.compile(r"\.rotary_emb\.inv_freq$")
"""Constants that transformers once saved with a model."""


def misfit(folder: Path, stored: Mapping[str, Stored]) -> str | None:
    """What is wrong with the weights in `folder`, in one clause that begins with a tensor's name; None where they fit.

    Every tensor of the model must be there, in its shape and as floating-point numbers of whatever width. A tensor that
    the model has no place for is refused too: its layers, biases or heads would be lost without a word. Two are no loss:
    a tied model's second copy of its embeddings, and the constants of rotary embeddings.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        declared = AutoConfig.from_pretrained(str(folder))
        with torch.device("meta"):  # shapes alone: no memory, no arithmetic
            state = cast(Any, AutoModelForCausalLM).from_config(declared).state_dict()
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
        StrictDataclassError,
    ) as error:
        return f"config.json describes no model ({' '.join(str(error).split())[:300] or type(error).__name__})"
    faults = list(_faults(stored, {k: tuple(v.shape) for k, v in state.items()}, bool(declared.tie_word_embeddings)))
    if not faults:
        return None
    return faults[0] + (f" (and {len(faults) - 1:,} more such faults)" if faults[1:] else "")


def _faults(stored: Mapping[str, Stored], expected: Mapping[str, tuple[int, ...]], tied: bool) -> Iterator[str]:
    for name, shape in expected.items():
        found = stored.get(name)
        if found is None:
            if name == HEAD and tied:
                continue
            near = nearest(name, stored.keys() - expected.keys(), 0.8)
            told = f"; nearest: {near}" if near else ""
            if name == HEAD:
                told = ", with tie_word_embeddings false; true if the model has no head of its own"
            yield f"{name} is missing, expected {list(shape)}{told}"
        elif found.shape != shape:
            yield f"{name} in {found.file} is {list(found.shape)}, expected {list(shape)}"
        elif found.dtype not in FLOATS:
            yield f"{name} in {found.file} is of dtype {found.dtype}, expected one of {', '.join(FLOATS)}"
    for name, found in stored.items():
        if name not in expected and not _OF_OLD.search(name):
            yield f"{name} in {found.file} is {list(found.shape)}, expected no such tensor"
