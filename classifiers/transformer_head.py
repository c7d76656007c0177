"""A small head over an encoder's embeddings: one linear layer, or two with a ReLU between, as FineWeb2-HQ's.

On disk a safetensors file: the layers' weights, and under `winnow` in its metadata what they stand on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winnow.classifiers.artifacts import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

Pooling = Literal["mean", "cls"]

LAYERS = {1: ("out",), 2: ("hidden", "out")}


class Head(BaseModel):
    """`model`: the content of the encoder's folder. `pooling`: of a window's last hidden states, their mean or the first
    (CLS). `layers`: weights [out, in] and bias [out] of each."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    model: str
    pooling: Pooling
    max_tokens: int = Field(ge=1)
    labels: tuple[str, ...] = Field(min_length=2)
    positive: str | None = None
    layers: tuple[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], ...] = Field(exclude=True)

    def module(self, device: str) -> nn.Module:
        """The layers in torch, fp32."""
        import torch
        from torch import nn

        parts: list[nn.Module] = []
        for weight, bias in self.layers:
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
            parts += [layer, nn.ReLU()]
        return nn.Sequential(*parts[:-1]).eval().to(device)


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """fp32 [B, H] of hidden states [B, L, H] and a mask [B, L]."""
    hidden = hidden.float()
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).float()
    return (hidden * weights).sum(1) / weights.sum(1)


def write_head(head: Head, path: Path) -> None:
    """In place of what was there."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Any] = {}
    for name, (weight, bias) in zip(LAYERS[len(head.layers)], head.layers, strict=True):
        tensors |= {f"{name}.weight": np.ascontiguousarray(weight), f"{name}.bias": np.ascontiguousarray(bias)}
    written = path.with_name(f".{path.name}.part")
    save_file(tensors, written, {"winnow": head.model_dump_json()})
    written.replace(path)


def read_head(path: Path) -> Head:
    """Raises ModelError for a file that holds none, or weights that do not fit together or are no numbers."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            said = (file.metadata() or {}).get("winnow")
            names = LAYERS[2] if "hidden.weight" in file.keys() else LAYERS[1]  # noqa: SIM118 (of a file)
            layers = tuple(tuple(file.get_tensor(f"{name}.{part}") for part in ("weight", "bias")) for name in names)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: no head of `winnow fit transformer-head` ({error})") from error
    try:
        head = Head.model_validate({**json.loads(said or "{}"), "layers": layers})
    except (ValidationError, ValueError) as error:
        raise ModelError(
            f"{path}: no head of `winnow fit transformer-head` ({' '.join(str(error).split())[:200]})"
        ) from error
    outputs = [bias.shape for _, bias in head.layers]
    shapes = [weight.shape for weight, _ in head.layers]
    inputs = [shapes[0][1:], *outputs]
    if outputs[-1] != (len(head.labels),) or shapes != [o + i for o, i in zip(outputs, inputs, strict=False)]:
        raise ModelError(
            f"{path}: layers of {shapes} and {outputs} do not fit together and to {len(head.labels)} labels"
        )
    if not all(np.isfinite(part).all() for layer in head.layers for part in layer):
        raise ModelError(f"{path}: it has weights that are no numbers (NaN or infinite)")
    return head
