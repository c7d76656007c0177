"""The trained model as a Hugging Face folder: config.json, safetensors, tokenizer and what its checkpoint had beside."""

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
from winnow.tokenize.shard import TOKENIZER
from winnow.train_handoff.config import ModelConfig
from winnow.train_handoff.model import Trainee, weights
from winnow.train_handoff.pretrained import COMPANIONS, checkpoint_folder, read_json

FOLDER = "model"
PAD_NAMES = ("<|pad|>", "<pad>", "[PAD]")


def export(trainee: Trainee, shards: ShardSet, out: Path, dtype: torch.dtype, model: ModelConfig | None = None) -> Path:
    """Writes `out/model`, loadable by AutoModelForCausalLM and AutoTokenizer; every process calls it.

    A checkpoint's model keeps its dtype and what lies beside its weights: tokenizer, chat template, generation settings.
    Otherwise it is `dtype`. Weights are gathered one by one into rank 0's memory.
    """
    declared = type(trainee.config).from_dict(trainee.config.to_dict())
    origin = checkpoint_folder(model) if model is not None and model.checkpoint is not None else None
    if origin is not None:
        own = read_json(origin / "config.json")
        dtype = getattr(torch, str(own.get("dtype", own.get("torch_dtype"))), dtype)
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
        declared.dtype = dtype
        declared.architectures = [type(trainee.causal).__name__]
        declared.save_pretrained(partial)
        _companions(origin, shards, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    dist.barrier()
    return target


def _companions(origin: Path | None, shards: ShardSet, folder: Path) -> None:
    for source in () if origin is None else map(origin.joinpath, COMPANIONS):
        if source.is_file():
            shutil.copyfile(source, folder / source.name)
    if not (folder / TOKENIZER).is_file():
        _tokenizer(shards, folder)


def _tokenizer(shards: ShardSet, folder: Path) -> None:
    """The tokenizer of the shards, and the names of the tokens around documents."""
    from tokenizers import Tokenizer

    identity = shards.manifest.tokenizer
    source = shards.folder / identity.file
    shutil.copyfile(source, folder / TOKENIZER)
    tokenizer = Tokenizer.from_file(str(source))
    pad = next((number for number in map(tokenizer.token_to_id, PAD_NAMES) if number is not None), None)
    special = {
        f"{name}_token": tokenizer.id_to_token(number)
        for name, number in (("eos", identity.eos), ("bos", identity.bos), ("pad", pad))
        if number is not None
    }
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
