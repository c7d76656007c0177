"""What a run will do, worked out before any process starts: phases in steps and samples, data, learning rates.

Torch-free, so that the launcher refuses a mistake in milliseconds and tests can walk whole runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from winnow.tokenize.reader import ShardSet
from winnow.tokenize.shard import ShardError
from winnow.train_handoff.config import LearningRate, PhaseConfig, TrainConfig, TrainError
from winnow.train_handoff.order import Block, Interleave, SourceOrder, parts_of
from winnow.train_handoff.schedule import Curve


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: `steps` steps of the global batch from step `start` on.

    `sources[i]` is a data set's position in the plan, `drawn[i]` how often earlier phases drew from it, so that a data
    set used again goes on where it stopped instead of repeating its first blocks.
    """

    name: str
    start: int
    steps: int
    sources: tuple[int, ...]
    drawn: tuple[int, ...]
    interleave: Interleave


@dataclass(frozen=True, slots=True)
class Position:
    """Where a step lies: phase number, and how many samples of that phase were seen before it."""

    phase: int
    sample: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole run. `shards[i]` and `orders[i]` belong to the same data set."""

    batch: int
    length: int
    phases: tuple[Phase, ...]
    curves: tuple[Curve, ...]
    shards: tuple[ShardSet, ...]
    orders: tuple[SourceOrder, ...]

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.phases[-1].start + self.phases[-1].steps

    @property
    def vocabulary(self) -> int:
        """Rows that the embedding needs (largest token id + 1)."""
        return self.shards[0].manifest.tokenizer.vocab_size

    def position(self, step: int) -> Position:
        """Where `step` (from 0, at most `steps`) begins."""
        number = max(i for i, phase in enumerate(self.phases) if phase.start <= step)
        return Position(number, (step - self.phases[number].start) * self.batch)

    def block(self, phase: int, sample: int) -> Block:
        """Global sample `sample` of a phase; `source` is a position in `shards`."""
        current = self.phases[phase]
        local, draw = current.interleave.at(sample)
        source = current.sources[local]
        epoch, block = self.orders[source].at(current.drawn[local] + draw)
        return Block(source, epoch, block)

    def blocks(self, step: int, rank: int, world: int) -> list[Block]:
        """The blocks of one process in one step: every sample g of the batch with g = rank (mod world), in order."""
        at = self.position(step)
        return [self.block(at.phase, at.sample + g) for g in range(rank, self.batch, world)]

    def identity(self) -> dict[str, Any]:
        """What decides the samples and the learning rate of every step, phase by phase, as JSON: compared on resume.
        A phase that continues the curve of the one before has no `lr`."""
        curves = {curve.start: {k: v for k, v in asdict(curve).items() if k != "start"} for curve in self.curves}
        return {
            "batch": self.batch,
            "length": self.length,
            "phases": [
                {
                    "name": phase.name,
                    "steps": phase.steps,
                    "data": [self.orders[source].digest for source in phase.sources],
                    "weights": list(phase.interleave.parts),
                    "lr": curves.get(phase.start, {}),
                }
                for phase in self.phases
            ],
        }


def make_plan(config: TrainConfig) -> Plan:
    """Opens the shards and lays the phases out. Raises TrainError with the phase, the folder and what was expected."""
    length, batch = config.sequence_length, config.batch_sequences
    shards: dict[str, ShardSet] = {}
    orders: dict[str, SourceOrder] = {}
    phases: list[Phase] = []
    drawn: dict[str, int] = {}
    start = 0
    for declared in config.all_phases():
        digests: list[str] = []
        for data in declared.data:
            assert data.shards is not None  # all_phases fills it in
            opened = _open(data.shards, length)
            if opened.digest in digests:
                raise TrainError(f"phase '{declared.name}': {data.shards} is given twice; add the weights up instead")
            digests.append(opened.digest)
            if opened.digest not in shards:
                shards[opened.digest] = opened
                orders[opened.digest] = SourceOrder(opened.digest, opened.blocks(length), config.seed)
        steps = _steps(declared, batch, length)
        if steps is None:
            steps = orders[digests[0]].blocks // batch
            if steps < 1:
                raise TrainError(
                    f"phase '{declared.name}': one pass over {declared.data[0].shards} is {orders[digests[0]].blocks} "
                    f"sequences of {length:,} tokens, less than one step of {batch}; give 'steps' to repeat them, or "
                    "a smaller batch or sequence_length"
                )
        numbers = {digest: number for number, digest in enumerate(shards)}
        interleave = Interleave(parts_of([data.weight for data in declared.data]))
        phases.append(
            Phase(
                name=declared.name,
                start=start,
                steps=steps,
                sources=tuple(numbers[digest] for digest in digests),
                drawn=tuple(drawn.get(digest, 0) for digest in digests),
                interleave=interleave,
            )
        )
        for digest, count in zip(digests, interleave.drawn(steps * batch), strict=True):
            drawn[digest] = drawn.get(digest, 0) + count
        start += steps
    _same_tokenizer(tuple(shards.values()))
    curves = _curves(config.all_phases(), [phase.steps for phase in phases])
    return Plan(batch, length, tuple(phases), curves, tuple(shards.values()), tuple(orders.values()))


def _open(folder: str, length: int) -> ShardSet:
    try:
        shards = ShardSet.open(folder)
    except ShardError as error:
        raise TrainError(f"no shards to train on: {error}") from error
    if shards.blocks(length) < 1:
        raise TrainError(
            f"{folder}: {shards.total_tokens:,} tokens are too few for one sequence of {length:,}; "
            f"set sequence_length to at most {max(0, shards.total_tokens - 1):,} or give more data"
        )
    return shards


def _steps(phase: PhaseConfig, batch: int, length: int) -> int | None:
    """The declared length of a phase, None for one pass over its data."""
    if phase.tokens is None:
        return phase.steps
    if phase.tokens < batch * length:
        raise TrainError(
            f"phase '{phase.name}': {phase.tokens:,} tokens are fewer than one step's {batch * length:,} ({batch} sequences "
            f"of {length:,}); give more, or a smaller batch or sequence_length"
        )
    return phase.tokens // (batch * length)


def check_lengths(config: TrainConfig) -> None:
    """Refuses what is wrong with the lengths of the phases, as far as they are declared. Raises TrainError."""
    phases = config.all_phases()
    _curves(phases, [_steps(phase, config.batch_sequences, config.sequence_length) for phase in phases])


def _same_tokenizer(shards: tuple[ShardSet, ...]) -> None:
    first = shards[0]
    for other in shards[1:]:
        if other.manifest.tokenizer.sha256 != first.manifest.tokenizer.sha256:
            raise TrainError(
                f"{other.folder} was tokenized with '{other.manifest.tokenizer.name}' "
                f"({other.manifest.tokenizer.sha256[:12]}), but {first.folder} with "
                f"'{first.manifest.tokenizer.name}' ({first.manifest.tokenizer.sha256[:12]}); all data needs one tokenizer"
            )


def _curves(declared: tuple[PhaseConfig, ...], lengths: Sequence[int | None]) -> tuple[Curve, ...]:
    """The learning-rate curves, each over its phase and those after it without one, where their lengths are known."""
    begins = [number for number, phase in enumerate(declared) if phase.lr is not None]
    curves: list[Curve] = []
    for begin, end in pairwise([*begins, len(declared)]):
        known = [steps for steps in lengths[begin:end] if steps is not None]
        policy = declared[begin].lr
        if policy is not None and len(known) == end - begin:
            curves.append(
                _curve(declared[begin].name, policy, sum(steps or 0 for steps in lengths[:begin]), sum(known))
            )
    return tuple(curves)


def _curve(phase: str, policy: LearningRate, start: int, steps: int) -> Curve:
    parts = {"warmup": policy.warmup} | ({"decay": policy.decay} if policy.shape == "wsd" else {})
    if sum(part if isinstance(part, int) else part * steps for part in parts.values()) > steps + 1e-9:
        shown = " and ".join(f"lr.{key} {value}" for key, value in parts.items())
        raise TrainError(f"phase '{phase}': {shown} is longer than its {steps:,} steps; shorten it or train longer")
    counted = {key: part if isinstance(part, int) else round(part * steps) for key, part in parts.items()}
    final = 0.0 if policy.shape == "constant" else policy.final  # what a shape has no use for is no change of it
    return Curve(policy.shape, start, steps, counted["warmup"], counted.get("decay", 0), policy.peak, final)
