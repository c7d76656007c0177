"""How many bits a model needs for documents, each on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.nn.functional import cross_entropy

from winnow.train_handoff.data import IGNORED
from winnow.train_handoff.model import Trainee

Ids = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Window:
    """Inputs [start, start + length) of a document that begins with its separator; `fresh` labels at its end count."""

    document: int
    start: int
    length: int
    fresh: int


def windows(document: int, tokens: int, context: int, overlap: int) -> Iterator[Window]:
    """Windows over a document's `tokens` labels so that each counts once. From the second window on, each label sees at
    least `overlap` inputs before its own; the last window ends with the document, and so overlaps more."""
    scored = 0
    while scored < tokens:
        end = min(tokens, context if scored == 0 else scored + context - overlap)
        start = max(0, end - context)
        yield Window(document, start, end - start, end - scored)
        scored = end


def document_bits(
    trainee: Trainee,
    documents: Sequence[Ids],
    separator: int,
    context: int,
    overlap: int,
    batch_tokens: int,
    device: torch.device,
) -> npt.NDArray[np.float64]:
    """Bits of each document's tokens under the model, float64 [documents]; an empty document has 0.

    The first token is predicted from `separator`, the token that ends documents in training; the end itself is not
    counted. Documents longer than `context` are read in windows (see `windows`). Windows of like length share a batch of
    at most `batch_tokens` inputs; what fills up shorter ones stands behind them, where a causal model does not look.
    """
    if not 0 <= overlap < context:
        raise ValueError(f"windows of {context} tokens overlap by {overlap}, expected less")
    planned = [window for number, ids in enumerate(documents) for window in windows(number, len(ids), context, overlap)]
    planned.sort(key=lambda window: (window.length, window.document, window.start))
    bits = np.zeros(len(documents), np.float64)
    training = trainee.training
    trainee.eval()
    with torch.no_grad():
        for batch in _batches(planned, batch_tokens):
            losses = _losses(trainee, [documents[window.document] for window in batch], batch, separator, device)
            np.add.at(bits, [window.document for window in batch], losses / log(2.0))
    for module in trainee.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # a forward pass alone leaves some parameters gathered
    trainee.train(training)
    return bits


def _batches(planned: list[Window], batch_tokens: int) -> Iterator[list[Window]]:
    batch: list[Window] = []
    for window in planned:  # lengths ascend
        if batch and (len(batch) + 1) * window.length > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _losses(
    trainee: Trainee, documents: list[Ids], batch: list[Window], separator: int, device: torch.device
) -> npt.NDArray[np.float64]:
    """Nats of the counted labels of each window."""
    longest = batch[-1].length
    inputs = np.full((len(batch), longest), separator, np.int64)
    labels = np.full((len(batch), longest), IGNORED, np.int64)
    for row, (ids, window) in enumerate(zip(documents, batch, strict=True)):
        end = window.start + window.length
        inputs[row, : window.length] = ids[window.start - 1 : end - 1] if window.start else [separator, *ids[: end - 1]]
        labels[row, window.length - window.fresh : window.length] = ids[end - window.fresh : end]
    positions = torch.arange(longest, device=device).expand(len(batch), longest)
    logits: Tensor = trainee(torch.from_numpy(inputs).to(device), None, positions)
    flat = torch.from_numpy(labels).to(device).flatten()
    nats = cross_entropy(logits.flatten(0, 1).float(), flat, ignore_index=IGNORED, reduction="none")
    return nats.reshape(len(batch), longest).double().sum(dim=1).cpu().numpy()
