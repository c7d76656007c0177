"""What a run will do, worked out before any process starts: phases in steps and samples, data, learning rates.

Torch-free, so that the launcher refuses a mistake in milliseconds and tests can walk whole runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
        """What decides the sequence of samples, phase by phase, as JSON: compared on resume."""
        return {
            "batch": self.batch,
            "length": self.length,
            "seed": self.orders[0].seed,
            "phases": [
                {
                    "name": phase.name,
                    "steps": phase.steps,
                    "data": [self.orders[source].digest for source in phase.sources],
                    "parts": list(phase.interleave.parts),
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
        steps = _steps(declared, batch, length, orders[digests[0]].blocks)
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
    curves = _curves(config.all_phases(), phases)
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


def _steps(phase: PhaseConfig, batch: int, length: int, blocks: int) -> int:
    if phase.steps is not None:
        return phase.steps
    if phase.tokens is not None:
        return max(1, phase.tokens // (batch * length))
    return max(1, blocks // batch)


def _same_tokenizer(shards: tuple[ShardSet, ...]) -> None:
    first = shards[0]
    for other in shards[1:]:
        if other.manifest.tokenizer.sha256 != first.manifest.tokenizer.sha256:
            raise TrainError(
                f"{other.folder} was tokenized with '{other.manifest.tokenizer.name}' "
                f"({other.manifest.tokenizer.sha256[:12]}), but {first.folder} with "
                f"'{first.manifest.tokenizer.name}' ({first.manifest.tokenizer.sha256[:12]}); all data needs one tokenizer"
            )


def _curves(declared: tuple[PhaseConfig, ...], phases: list[Phase]) -> tuple[Curve, ...]:
    groups: list[tuple[LearningRate, int, int]] = []
    for phase, planned in zip(declared, phases, strict=True):
        if phase.lr is not None:
            groups.append((phase.lr, planned.start, planned.steps))
        else:
            policy, start, steps = groups[-1]
            groups[-1] = (policy, start, steps + planned.steps)
    return tuple(
        Curve(
            shape=policy.shape,
            start=start,
            steps=steps,
            warmup=_stretch(policy.warmup, steps),
            decay=_stretch(policy.decay, steps),
            peak=policy.peak,
            final=policy.final,
        )
        for policy, start, steps in groups
    )


def _stretch(value: int | float, steps: int) -> int:
    return value if isinstance(value, int) else round(value * steps)


def check_vocabulary(config: TrainConfig, plan: Plan) -> None:
    """Refuses a checkpoint whose vocabulary cannot be that of the shards' tokenizer.

    A model may have more rows than its tokenizer has ids (padding to a multiple); fewer is always wrong, and where the
    checkpoint brings a tokenizer.json of its own, the two must map the same tokens to the same ids.
    """
    checkpoint = config.model.checkpoint
    if checkpoint is None:
        return
    from winnow.train_handoff.pretrained import checkpoint_file, read_json

    rows = read_json(checkpoint_file(config.model, "config.json")).get("vocab_size")
    if not isinstance(rows, int):
        raise TrainError(f"model.checkpoint {checkpoint}: its config.json states no vocab_size")
    identity = plan.shards[0].manifest.tokenizer
    advice = "tokenize the corpus with the checkpoint's tokenizer, or expand the model's vocabulary first"
    if rows < plan.vocabulary:
        raise TrainError(
            f"model.checkpoint {checkpoint} has {rows:,} vocabulary rows, but the shards' tokenizer "
            f"'{identity.name}' has {plan.vocabulary:,} ids; {advice}"
        )
    own = checkpoint_file(config.model, "tokenizer.json", required=False)
    shipped = plan.shards[0].folder / identity.file
    if own is None or not shipped.is_file():
        return
    theirs, ours = _vocabulary(own), _vocabulary(shipped)
    for token, number in ours.items():
        if theirs.get(token) != number:
            found = f"id {theirs[token]}" if token in theirs else "no id"
            raise TrainError(
                f"model.checkpoint {checkpoint}: its tokenizer gives {token!r} {found}, but the shards' tokenizer "
                f"'{identity.name}' gives it id {number}; {advice}"
            )


def _vocabulary(path: Path) -> Mapping[str, int]:
    from tokenizers import Tokenizer

    vocabulary: dict[str, int] = Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True)
    return vocabulary
