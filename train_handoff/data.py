"""One process's batches: blocks of the plan as tensors, read one step ahead."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import torch
from torch import Tensor

from winnow.tokenize.reader import ShardSet
from winnow.train_handoff.order import Block
from winnow.train_handoff.plan import Plan

Integers = npt.NDArray[np.int64]

IGNORED = -100
"""Label of a position that carries no loss."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """int64 [micro, L] each. `labels` holds IGNORED where there is no loss; `positions` starts over per document."""

    inputs: Tensor
    labels: Tensor
    positions: Tensor

    def to(self, device: torch.device) -> MicroBatch:
        """The same on `device`."""
        if device.type == "cpu":
            return self
        moved = (t.pin_memory().to(device, non_blocking=True) for t in (self.inputs, self.labels, self.positions))
        return MicroBatch(*moved)


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What one process does in one step. `valid` counts its labels that carry loss; `epoch` is the furthest one."""

    micros: list[MicroBatch]
    valid: int
    epoch: int


def has_prefixes(shards: ShardSet) -> bool:
    """Whether any document of a data set begins with metadata that carries no loss."""
    longest = pc.max(shards.documents().column("prefix_len")).as_py()
    return bool(longest)


def sample(
    shards: ShardSet, block: Block, length: int, mask_documents: bool, prefixes: bool = True
) -> tuple[Integers, Integers, Integers]:
    """Inputs, labels and positions, int64 [length] each, of one block.

    With `mask_documents` each document is on its own: positions count from its start (from the block's start for the
    one that began before), and its first token is nobody's label. Tokens of a metadata prefix never are; `prefixes`
    says that there may be some.
    """
    tokens = shards.block(block.block, length).astype(np.int64)
    inputs, labels = tokens[:-1], tokens[1:].copy()
    if prefixes:
        labels[shards.masked(block.block, length)[1:]] = IGNORED
    positions = np.arange(length, dtype=np.int64)
    if mask_documents:
        starts = shards.boundaries(block.block, length)
        inner = starts[starts > 0]  # up to `length`, the position of the last label
        labels[inner - 1] = IGNORED
        edges = np.concatenate(([0], inner[inner < length], [length]))
        positions -= np.repeat(edges[:-1], np.diff(edges))
    return inputs, labels, positions


class Loader:
    """Reads the steps of one process. The next step is read while this one trains; nothing needs to be saved."""

    def __init__(self, plan: Plan, rank: int, world: int, micro: int, mask_documents: bool) -> None:
        self._plan, self._rank, self._world, self._micro = plan, rank, world, micro
        self._mask = mask_documents
        self._prefixes = [has_prefixes(shards) for shards in plan.shards]
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="winnow-loader")
        self._ahead: dict[int, Future[StepBatch]] = {}

    def step(self, step: int) -> StepBatch:
        """The batch of `step`."""
        future = self._ahead.pop(step, None)
        if future is None:
            future = self._reader.submit(self.read, step)
        if step + 1 < self._plan.steps:
            self._ahead[step + 1] = self._reader.submit(self.read, step + 1)
        return future.result()

    def read(self, step: int) -> StepBatch:
        """The batch of `step`, read by the calling thread; one thread at a time."""
        plan = self._plan
        blocks = plan.blocks(step, self._rank, self._world)
        rows = [sample(plan.shards[b.source], b, plan.length, self._mask, self._prefixes[b.source]) for b in blocks]
        inputs, labels, positions = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
        micros = [
            MicroBatch(inputs[i : i + self._micro], labels[i : i + self._micro], positions[i : i + self._micro])
            for i in range(0, len(rows), self._micro)
        ]
        valid = int((labels != IGNORED).sum())
        return StepBatch(micros, valid, max(block.epoch for block in blocks))

    def close(self) -> None:
        """Ends the reading thread."""
        self._reader.shutdown(wait=True, cancel_futures=True)


def micro_batch(batch: int, world: int, limit: int) -> int:
    """Sequences per forward pass: the largest divisor of one process's share of the batch that `limit` allows."""
    share = batch // world
    return max(size for size in range(1, min(share, limit) + 1) if share % size == 0)
