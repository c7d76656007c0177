"""The model under FSDP2: built on the meta device, sharded, filled, and its loss in bounded memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import torch
import torch.nn.functional as F
import xxhash
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen3Config

from winnow.train_handoff.config import TrainConfig, TrainError
from winnow.train_handoff.data import IGNORED
from winnow.train_handoff.misfit import HEAD
from winnow.train_handoff.plan import Plan
from winnow.train_handoff.pretrained import checkpoint_file, checkpoint_folder


class LossHead(nn.Linear):
    """The output projection, which returns the summed loss instead of logits.

    `chunk` positions at a time are projected, in fp32 through the softmax, and recomputed in the backward pass: an
    8k x 128k block of fp32 logits alone is 4.2 GB. One call of the module covers all chunks, so FSDP's hooks run once.
    A single chunk is not recomputed: the backward pass begins with it, so its logits would come back at once.
    """

    chunk: int = 2048

    def forward(self, hidden: Tensor, labels: Tensor | None = None) -> Tensor:
        """`hidden` [B, L, H] and `labels` int64 [B, L] -> fp32 scalar, the sum over labels that are not IGNORED."""
        if labels is None:
            return super().forward(hidden)
        rows, targets = hidden.flatten(0, 1), labels.flatten()
        if len(targets) <= self.chunk:
            return self._loss(rows, targets)
        total = rows.new_zeros((), dtype=torch.float32)
        for start in range(0, len(targets), self.chunk):
            piece = slice(start, start + self.chunk)
            total = total + cast(Tensor, checkpoint(self._loss, rows[piece], targets[piece], use_reentrant=False))
        return total

    def _loss(self, rows: Tensor, targets: Tensor) -> Tensor:
        logits = F.linear(rows, self.weight).float()
        return F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")


class Trainee(nn.Module):
    """A causal language model whose forward pass is its loss, without labels its logits. Calling it as the root runs every
    FSDP hook."""

    def __init__(self, causal: nn.Module, chunk: int) -> None:
        super().__init__()
        head = cast(nn.Linear, causal.get_submodule("lm_head"))
        with torch.device("meta"):
            replacement = LossHead(head.in_features, head.out_features, bias=False)
        replacement.weight = head.weight
        replacement.chunk = chunk
        causal.lm_head = replacement
        self.causal = causal

    @property
    def config(self) -> PretrainedConfig:
        """The Hugging Face configuration."""
        return cast(PretrainedConfig, self.causal.config)

    @property
    def tied(self) -> bool:
        """Whether input and output embeddings are one parameter."""
        return bool(self.config.tie_word_embeddings)

    def forward(self, inputs: Tensor, labels: Tensor | None, positions: Tensor) -> Tensor:
        """int64 [B, L] each -> fp32 scalar, the summed loss; without labels the logits [B, L, vocabulary]. Documents are
        told apart by `positions` starting over, which transformers honours only without a mask and without a cache."""
        body, head = self.causal.model, self.causal.lm_head
        hidden = cast(Any, body)(
            input_ids=inputs, attention_mask=None, position_ids=positions, use_cache=False
        ).last_hidden_state
        return cast(Tensor, cast(Any, head)(hidden, labels))


def model_config(config: TrainConfig, plan: Plan) -> PretrainedConfig:
    """The Hugging Face configuration of the declared shape or checkpoint."""
    model = config.model
    if model.checkpoint is not None:
        return cast(PretrainedConfig, AutoConfig.from_pretrained(str(checkpoint_file(model, "config.json").parent)))
    identity = plan.shards[0].manifest.tokenizer
    shape: dict[str, Any] = {
        "vocab_size": plan.vocabulary,
        "hidden_size": model.hidden,
        "intermediate_size": model.ffn or -(-model.hidden * 8 // 3 // 64) * 64,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads or model.heads,
        "head_dim": model.head_dim or model.hidden // model.heads,
        "max_position_embeddings": config.sequence_length,
        "rms_norm_eps": model.norm_eps,
        "initializer_range": model.init_std,
        "tie_word_embeddings": model.tie_embeddings,
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_theta},
        "bos_token_id": identity.bos,
        "eos_token_id": identity.eos,
        "pad_token_id": None,
    }
    return LlamaConfig(**shape) if model.shape == "llama" else Qwen3Config(**shape)


def build(config: TrainConfig, plan: Plan, mesh: DeviceMesh, device: torch.device, bf16: bool) -> Trainee:
    """The sharded model with its weights, on `device`. Parameters are fp32; `bf16` computes and gathers in bfloat16
    and reduces gradients in fp32."""
    declared = model_config(config, plan)
    with torch.device("meta"):
        causal = cast(Any, AutoModelForCausalLM).from_config(
            declared, attn_implementation=config.attention, dtype=torch.float32
        )
        trainee = Trainee(causal, config.loss_chunk)
    if config.activation_checkpointing:
        cast(Any, causal).activation_checkpointing_enable({"use_reentrant": False})
    body = causal.get_submodule("model")
    layers = list(cast(nn.ModuleList, body.get_submodule("layers")))
    if config.compile:
        for layer in layers:
            layer.compile(fullgraph=True)
    _shard(trainee, layers, mesh, bf16)
    trainee.to_empty(device=device)
    # Rotary frequencies are buffers outside every state dict: to_empty leaves garbage in them, without an error.
    rotary = cast(Any, body.get_submodule("rotary_emb"))
    with device:
        cast(Any, body).rotary_emb = type(rotary)(config=declared)
    if config.model.checkpoint is None:
        _initialise(trainee, config.seed, config.model.init_std)
    else:
        _load(trainee, config)
    trainee.train()
    return trainee


def _shard(trainee: Trainee, layers: list[nn.Module], mesh: DeviceMesh, bf16: bool) -> None:
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None, reduce_dtype=torch.float32 if bf16 else None
    )
    body = trainee.causal.get_submodule("model")
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    ends = [body.get_submodule("norm"), trainee.causal.get_submodule("lm_head")]
    if trainee.tied:
        # One parameter in two groups is refused, so the embedding joins the head's group.
        ends.insert(0, body.get_submodule("embed_tokens"))
    # Used last in the forward and first in the backward pass: freeing it in between would gather it twice.
    fully_shard(ends, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
    fully_shard(trainee, mesh=mesh, mp_policy=policy)
    for module in trainee.modules():
        if isinstance(module, FSDPModule):
            # The loss is divided by the global count of valid labels, so gradients are summed over processes.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def _initialise(trainee: Trainee, seed: int, std: float) -> None:
    """Normal matrices, unit norms, zero biases: each from the seed and its name, whatever the number of processes."""
    for name, parameter in trainee.named_parameters():
        tensor = cast(DTensor, parameter.data)
        if name.endswith("bias"):
            tensor.to_local().zero_()
        elif parameter.ndim == 1:
            tensor.to_local().fill_(1.0)
        else:
            generator = torch.Generator("cpu")
            generator.manual_seed(xxhash.xxh64_intdigest(name, seed=seed) & (2**63 - 1))
            full = torch.empty(parameter.shape).normal_(0.0, std, generator=generator)
            # src_data_rank=None: every process cuts its own part out of the same tensor, nothing is sent.
            local = distribute_tensor(full, tensor.device_mesh, tensor.placements, src_data_rank=None).to_local()
            tensor.to_local().copy_(local)


def _load(trainee: Trainee, config: TrainConfig) -> None:
    folder = checkpoint_folder(config.model)
    state = weights(trainee)
    try:
        load(state, storage_reader=HuggingFaceStorageReader(str(folder)))
    except (CheckpointException, RuntimeError, ValueError) as error:
        cause = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        raise TrainError(
            f"model.checkpoint {config.model.checkpoint}: its weights do not fit its config.json ({cause.strip()})"
        ) from error


def weights(trainee: Trainee) -> dict[str, Any]:
    """Parameters by their Hugging Face names, without the second name of a tied one."""
    state = dict(trainee.causal.state_dict())
    if trainee.tied:
        with suppress(KeyError):
            del state[HEAD]
    return state


def flops_per_token(trainee: Trainee, length: int) -> float:
    """Training FLOPs of one token, forward and backward, recomputation not counted: 6 per weight of a matrix product
    and 6 L H (d_qk + d_v) S for attention (PaLM, arXiv:2204.02311, appendix B)."""
    declared = trainee.config
    matrices = sum(p.numel() for name, p in trainee.named_parameters() if p.ndim > 1 and "embed" not in name)
    if trainee.tied:
        matrices += declared.vocab_size * declared.hidden_size
    width = getattr(declared, "head_dim", None) or declared.hidden_size // declared.num_attention_heads
    attention = declared.num_hidden_layers * declared.num_attention_heads * 2 * width * length
    return 6.0 * float(matrices + attention)
