"""Everything that can be refused before a training process starts. Torch-free, so that it takes a second; torch is
imported only where the weights of a checkpoint are there to be held against its config.json.

`winnow train` and `launch` ask here first; under a plain torchrun the first process of every machine does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from winnow.tokenize.compare import difference
from winnow.tokenize.reader import ShardSet
from winnow.tokenize.shard import ShardError
from winnow.tokenize.tokenizer import TokenizerError
from winnow.tokenize.verify import verify
from winnow.train_handoff.config import ModelConfig, TrainConfig, TrainError
from winnow.train_handoff.misfit import misfit
from winnow.train_handoff.plan import Plan, make_plan
from winnow.train_handoff.pretrained import checkpoint_file, read_json, stored_weights
from winnow.train_handoff.resume import check_resume, newest_checkpoint

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Model types whose logits are `lm_head(model(...))` and nothing else, which the chunked loss relies on."""

ADVICE = "tokenize the corpus with the checkpoint's tokenizer, or expand the model's vocabulary first"
SAMPLES, SAMPLE_TOKENS = 8, 2000


def preflight(config: TrainConfig, world: int) -> Plan:
    """The plan, if nothing speaks against starting it on `world` processes: every byte of the shards, the model's files
    and its tokenizer, and what an existing checkpoint was trained with. Raises TrainError."""
    plan = make_plan(config)
    for shards in plan.shards:
        try:
            verify(shards.folder)
        except ShardError as error:
            raise TrainError(str(error)) from error
    if plan.batch % world:
        raise TrainError(
            f"a global batch of {plan.batch} sequences cannot be shared by {world} processes equally; "
            f"set batch.sequences to a multiple of {world}"
        )
    if config.model.checkpoint is not None:
        _check_checkpoint(config.model, plan)
    found = newest_checkpoint(Path(config.out))
    if found is not None:
        check_resume(config, plan, found, world)
    return plan


def _check_checkpoint(model: ModelConfig, plan: Plan) -> None:
    where = f"model.checkpoint {model.checkpoint}"
    declared = read_json(checkpoint_file(model, "config.json"))
    if declared.get("model_type") not in FAMILIES:
        raise TrainError(f"{where} is of type '{declared.get('model_type')}'; the trainer knows {', '.join(FAMILIES)}")
    if "quantization_config" in declared:
        raise TrainError(f"{where} is quantized, as its config.json says; expected weights of full precision")
    positions = declared.get("max_position_embeddings")
    if isinstance(positions, int) and plan.length > positions:
        raise TrainError(
            f"sequence_length {plan.length:,} is longer than the {positions:,} positions of {where}; "
            f"set sequence_length to at most {positions}"
        )
    rows = declared.get("vocab_size")
    if not isinstance(rows, int):
        raise TrainError(f"{where}: its config.json states no vocab_size")
    if rows < plan.vocabulary:
        name = plan.shards[0].manifest.tokenizer.name
        raise TrainError(
            f"{where} has {rows:,} vocabulary rows, but the shards' tokenizer '{name}' has {plan.vocabulary:,} ids; {ADVICE}"
        )
    identity = plan.shards[0].manifest.tokenizer
    theirs = checkpoint_file(model, "tokenizer.json", required=False)
    if theirs is None and not model.trust_tokenizer:
        raise TrainError(
            f"{where}: holds no tokenizer.json, so nothing tells that its ids are those of the shards' tokenizer "
            f"'{identity.name}'; save its tokenizer there, or, if you know, set model.trust_tokenizer: true"
        )
    folder, stored = stored_weights(model)
    if theirs is not None:
        _check_tokenizer(model, plan, folder, declared)
    found = misfit(folder, stored)
    if found is not None:
        raise TrainError(
            f"{where}: its weights do not fit its config.json: {found}; take both from one save of the model"
        )


def _check_tokenizer(model: ModelConfig, plan: Plan, folder: Path, declared: dict[str, Any]) -> None:
    where, identity = f"model.checkpoint {model.checkpoint}", plan.shards[0].manifest.tokenizer
    try:
        encoded = (stretch for shards in plan.shards for stretch in _stretches(shards))
        found = difference(plan.shards[0].folder / identity.file, folder / "tokenizer.json", encoded)
    except TokenizerError as error:
        raise TrainError(f"{where}: {error}") from error
    if found is not None:
        raise TrainError(f"{where}: its tokenizer is not '{identity.name}' of the shards: {found}; {ADVICE}")
    found = _other_ends(folder, declared, {"eos": identity.eos, "bos": identity.bos})
    if found is not None and not model.trust_tokenizer:
        raise TrainError(
            f"{where}: {found}; tokenize the corpus with the checkpoint's tokenizer, or, if that is meant, set "
            "model.trust_tokenizer: true"
        )


def _stretches(shards: ShardSet) -> Iterator[list[int]]:
    """Tokens from all over a data set."""
    for start in np.linspace(0, shards.total_tokens, SAMPLES, endpoint=False, dtype=int).tolist():
        yield shards.tokens(start, min(start + SAMPLE_TOKENS, shards.total_tokens)).tolist()


def _other_ends(folder: Path, declared: dict[str, Any], written: dict[str, int | None]) -> str | None:
    """What the model in `folder` puts around documents instead of the ids that are `written` around them, if it does.

    tokenizer_config.json names it, config.json and generation_config.json give ids. Ids of ordinary tokens say nothing:
    they are what a configuration falls back to.
    """
    from tokenizers import Tokenizer

    optional = (folder / "tokenizer_config.json", folder / "generation_config.json")
    named, generation = (read_json(path) if path.is_file() else {} for path in optional)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = {number: token.content for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    for name, number in written.items():
        token = named.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        stated = [[tokenizer.token_to_id(token)] if token else []]
        for value in (declared.get(f"{name}_token_id"), generation.get(f"{name}_token_id")):
            stated.append([i for i in (value if isinstance(value, list) else [value]) if i in special])
        for ids in stated:
            if number is not None and ids and number not in ids:
                shown = " or ".join(repr(token if i is None else special.get(i, token)) for i in ids)
                return f"its {name.upper()} is {shown}, and documents have {special.get(number, '?')!r} (id {number})"
    return None
