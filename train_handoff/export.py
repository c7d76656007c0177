"""The trained model as a Hugging Face folder: config.json, safetensors and the tokenizer of the shards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
from huggingface_hub import save_torch_state_dict
from torch import Tensor
from torch.distributed.tensor import DTensor

from winnow.tokenize.reader import ShardSet
from winnow.train_handoff.model import Trainee, weights

FOLDER = "model"


def export(trainee: Trainee, shards: ShardSet, out: Path, dtype: torch.dtype) -> Path:
    """Writes `out/model`, loadable by AutoModelForCausalLM and AutoTokenizer; every process calls it.

    Weights are gathered one by one into rank 0's memory, in `dtype`.
    """
    gathered: dict[str, Tensor] = {}
    for name, tensor in weights(trainee).items():
        full = cast(DTensor, tensor).full_tensor()
        if dist.get_rank() == 0:
            gathered[name] = full.to(device="cpu", dtype=dtype)
    target = out / FOLDER
    if dist.get_rank() == 0:
        partial = out / f".{FOLDER}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_torch_state_dict(gathered, partial)
        declared = type(trainee.config).from_dict(trainee.config.to_dict())
        declared.dtype = dtype
        declared.architectures = [type(trainee.causal).__name__]
        declared.save_pretrained(partial)
        _tokenizer(shards, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    dist.barrier()
    return target


def _tokenizer(shards: ShardSet, folder: Path) -> None:
    from tokenizers import Tokenizer

    identity = shards.manifest.tokenizer
    source = shards.folder / identity.file
    if not source.is_file():
        return
    shutil.copyfile(source, folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(source))
    special = {
        f"{name}_token": tokenizer.id_to_token(number)
        for name, number in (("eos", identity.eos), ("bos", identity.bos))
        if number is not None
    }
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
