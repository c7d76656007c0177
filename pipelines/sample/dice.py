"""Draws that depend on a seed and a name only, so that the sample is the same bytes everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import xxhash

T = TypeVar("T")
MASK = (1 << 64) - 1


class Dice:
    """A splitmix64 stream (Steele, Lea, Flood 2014) started at xxh64(name, seed)."""

    __slots__ = ("state",)

    def __init__(self, seed: int, *name: object) -> None:
        self.state = xxhash.xxh64_intdigest("\x1f".join(map(str, name)), seed)

    def bits(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        return mixed ^ (mixed >> 31)

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return (self.bits() * limit) >> 64

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """True in `share` of the draws."""
        return self.bits() < share * (MASK + 1)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different positions of the sequence, in drawn order; all of them when there are fewer."""
        pool = list(items)
        for at in range(min(count, len(pool))):
            other = self.between(at, len(pool) - 1)
            pool[at], pool[other] = pool[other], pool[at]
        return pool[:count]
