"""What a task takes of a machine, as the stages of a declaration say it, and whether any machine at hand offers that."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

KEYS = ("cpus", "gpus", "memory", "actors")
"""The keys of a stage that say where it runs, and nothing of what comes out."""

UNITS = {
    "b": 1,
    **{f"{u}{b}": base ** (n + 1) for b, base in (("b", 1000), ("ib", 1024)) for n, u in enumerate("kmgt")},
}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\Z", re.IGNORECASE)
RANGE = re.compile(r"(\d+)\s*(?:\.\.\s*(\d+))?\Z")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many actors carry out the tasks of a level: `least` from the start, `most` while tasks wait."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What one task takes. `memory` is bytes, 0 where nothing is said; Ray schedules by it and enforces nothing."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    actors: Bounds | None = None

    def __str__(self) -> str:
        said = [_counted(self.cpus, "CPU")]
        said += [_counted(self.gpus, "GPU")] if self.gpus else []
        said += [f"{_gib(self.memory)} of memory"] if self.memory else []
        return " and ".join([", ".join(said[:-1]), said[-1]] if said[:-1] else said)


ORDINARY = Resources()
"""What a task takes of which nothing is said."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine offers in all, used or not. `memory` is bytes."""

    cpus: float
    gpus: float
    memory: float

    def fits(self, wanted: Resources) -> int:
        """How many tasks at a time."""
        shares = [(self.cpus, wanted.cpus), (self.gpus, wanted.gpus), (self.memory, wanted.memory)]
        return min(math.floor(have / want + 1e-9) for have, want in shares if want)

    def __str__(self) -> str:
        return f"{_counted(self.cpus, 'CPU')}, {_counted(self.gpus, 'GPU')} and {_gib(self.memory)} of memory"


def together(parts: Iterable[Resources]) -> Resources:
    """What a task takes that does the work of several stages: the most that any of them does."""
    every = list(parts)
    bounds = [r.actors for r in every if r.actors is not None]
    return Resources(
        max((r.cpus for r in every), default=1.0),
        max((r.gpus for r in every), default=0.0),
        max((r.memory for r in every), default=0),
        Bounds(max(b.least for b in bounds), max(b.most for b in bounds)) if bounds else None,
    )


def refusal(asked: Mapping[str, Resources], machines: Sequence[Machine], where: str) -> str | None:
    """One sentence where a stage asks for more than any machine offers, None where all can run. `where`: what offers, such
    as `this machine`."""
    for stage, wanted in asked.items():
        if not any(machine.fits(wanted) for machine in machines):
            return f"stages.{stage} asks for {wanted} a task, more than {where} offers: {offered(machines)}"
    return None


def offered(machines: Sequence[Machine]) -> str:
    """What there is, in words, equal machines counted together."""
    counted = Counter(map(str, machines))
    if len(machines) == 1:
        return next(iter(counted))
    return "; ".join(f"{n} with {machine}" for machine, n in counted.items()) or "there is none"


def without_resources(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The stages of a declaration, without what each takes."""
    return {name: {k: v for k, v in stage.items() if k not in KEYS} for name, stage in stages.items()}


def _cpus(value: Any) -> float:
    if (found := _amount(value)) is None or not found:
        raise ValueError("expected a number of CPUs above 0: a whole one, or a fraction such as 0.5")
    return found


def _gpus(value: Any) -> float:
    if (found := _amount(value)) is None:
        raise ValueError("expected a number of GPUs: 0, a whole one, or a fraction such as 0.5")
    return found


def _amount(value: Any) -> float | None:
    """A number that Ray can schedule by: from 0, and whole above 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        return None
    return float(value) if value <= 1 or value == int(value) else None


def _memory(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = SIZE.match(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in UNITS:
        raise ValueError(
            "expected a number of bytes, or a size such as 512MiB or 4GiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)"
        )
    return int(float(match[1]) * UNITS[match[2].lower()])


def _actors(value: Any) -> Bounds:
    """An int, `least..most`, or a mapping of the two."""
    if isinstance(value, Bounds):
        return value
    least, most = None, None
    if isinstance(value, Mapping) and set(value) == {"least", "most"}:
        least, most = value["least"], value["most"]
    elif isinstance(value, int):
        least = most = value
    elif isinstance(value, str) and (match := RANGE.match(value.strip())):
        least = int(match[1])
        most = int(match[2] or least)
    if type(least) is not int or type(most) is not int or not 1 <= least <= most:
        raise ValueError("expected a number of actors from 1, or bounds such as 2..8 or {least: 2, most: 8}")
    return Bounds(least, most)


Cpus = Annotated[float, BeforeValidator(_cpus)]
Gpus = Annotated[float, BeforeValidator(_gpus)]
Memory = Annotated[int, BeforeValidator(_memory)]
Actors = Annotated[Bounds, BeforeValidator(_actors)]


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
