"""Which block each training sample is: a pure function, so there is nothing to index, save or replay.

    global sample g of a phase -> source (interleave) -> k-th draw of that source
        -> epoch k // n and position k % n -> keyed bijection of [0, n) -> block

Nothing here depends on ranks, workers or earlier calls. Rank r of W takes the samples with g = r (mod W), so the
global sequence is the same for every world size and the whole loader state is `(digests, phase, sample)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd, lcm

import xxhash

RESOLUTION = 1_000_000
"""Weights whose exact ratio has a longer period than this are rounded to multiples of one millionth."""

_ROUNDS = 6
_MASK = (1 << 64) - 1


def parts_of(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as the smallest integers in the same ratio: (0.7, 0.25, 0.05) -> (14, 5, 1).

    The decimal value as written counts, not its binary approximation. Ratios that need a sum above RESOLUTION are
    rounded to it by largest remainder; no positive weight is rounded to nothing. Raises ValueError for a weight that
    is not positive and finite.
    """
    if not weights:
        raise ValueError("an interleave needs at least one weight")
    for weight in weights:
        if not 0.0 < weight < float("inf"):
            raise ValueError(f"weight {weight} is not a positive number")
    exact = [Fraction(repr(float(weight))) for weight in weights]
    scale = lcm(*(f.denominator for f in exact))
    parts = [int(f * scale) for f in exact]
    divisor = gcd(*parts)
    parts = [part // divisor for part in parts]
    total = sum(parts)
    if total <= RESOLUTION:
        return tuple(parts)
    shares = [Fraction(part * RESOLUTION, total) for part in parts]
    rounded = [max(1, int(share)) for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: (int(shares[i]) - shares[i], i))
    for i in by_remainder[: max(0, RESOLUTION - sum(rounded))]:
        rounded[i] += 1
    return tuple(rounded)


@dataclass(slots=True)
class Interleave:
    """The sequence of sources in which every prefix holds each weight to within one draw.

    Tijdeman's algorithm for the chairman assignment problem (Discrete Mathematics 32, 1980, 323-330): of the sources
    whose deficit allows it, draw the one whose deadline comes first; after t draws each count differs from
    `t * weight` by at most 1 - 1/(2n - 2) for n sources. (Greedy largest deficit, the usual choice, has no such
    bound below.) With integer parts the sequence has period `sum(parts)`, so a position costs one table look-up; the
    table grows as far as positions are asked for and is a cache, not state.
    """

    parts: tuple[int, ...]
    _sources: list[int] = field(default_factory=list, init=False, repr=False)
    _draws: list[int] = field(default_factory=list, init=False, repr=False)
    _counts: list[int] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self._counts = [0] * len(self.parts)

    def at(self, sample: int) -> tuple[int, int]:
        """Global sample (from 0) -> (source, how many times that source was drawn before)."""
        if len(self.parts) == 1:
            return 0, sample
        period, position = divmod(sample, sum(self.parts))
        self._extend(position + 1)
        source = self._sources[position]
        return source, period * self.parts[source] + self._draws[position]

    def drawn(self, samples: int) -> tuple[int, ...]:
        """How often each source is drawn in the first `samples` samples."""
        if len(self.parts) == 1:
            return (samples,)
        periods, rest = divmod(samples, sum(self.parts))
        self._extend(rest)
        counts = [periods * part for part in self.parts]
        for source in self._sources[:rest]:
            counts[source] += 1
        return tuple(counts)

    def _extend(self, length: int) -> None:
        n, total = len(self.parts), sum(self.parts)
        while len(self._sources) < length:
            t = len(self._sources) + 1
            # Scaled by total * (2n - 2) so that deficits and deadlines compare as exact integers.
            best, best_deadline = -1, Fraction(0)
            for source, part in enumerate(self.parts):
                deficit = (t * part - total * self._counts[source]) * (2 * n - 2)
                if deficit < total:
                    continue
                deadline = Fraction((2 * n - 3) * total - deficit, part)
                if best < 0 or deadline < best_deadline:
                    best, best_deadline = source, deadline
            self._sources.append(best)
            self._draws.append(self._counts[best])
            self._counts[best] += 1


def _mix(value: int) -> int:
    """The splitmix64 finaliser (Steele, Lea and Flood, OOPSLA 2014, https://doi.org/10.1145/2660193.2660195)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


@dataclass(frozen=True, slots=True)
class Shuffle:
    """A keyed bijection of [0, size): a balanced Feistel network with cycle walking.

    The network permutes the smallest even-bit power of two that holds `size` (less than four times it), so walking
    out-of-range values on takes fewer than four rounds trips on average (Black and Rogaway, "Ciphers with Arbitrary
    Finite Domains", CT-RSA 2002).
    """

    size: int
    keys: tuple[int, ...]
    half: int

    @classmethod
    def of(cls, size: int, key: int) -> Shuffle:
        """`size` >= 1 elements; every 64-bit `key` gives another permutation."""
        if size < 1:
            raise ValueError(f"cannot shuffle {size} elements")
        half = max(1, ((size - 1).bit_length() + 1) // 2)
        keys = tuple(_mix((key + (r + 1) * 0x9E3779B97F4A7C15) & _MASK) for r in range(_ROUNDS))
        return cls(size, keys, half)

    def __call__(self, index: int) -> int:
        """The element at `index`, both in [0, size)."""
        half, mask, size = self.half, (1 << self.half) - 1, self.size
        while True:
            left, right = index >> half, index & mask
            for key in self.keys:
                left, right = right, left ^ (_mix(right ^ key) & mask)
            index = (left << half) | right
            if index < size:
                return index


@dataclass(frozen=True, slots=True)
class Block:
    """One sample: block `block` of source `source`, in that source's epoch `epoch` (from 0)."""

    source: int
    epoch: int
    block: int


@dataclass(slots=True)
class SourceOrder:
    """The order of one data set's blocks, epoch after epoch; each epoch visits every block exactly once."""

    digest: str
    blocks: int
    seed: int
    _shuffles: dict[int, Shuffle] = field(default_factory=dict, init=False, repr=False)

    def at(self, draw: int) -> tuple[int, int]:
        """The `draw`-th block (from 0) drawn from this data set in the whole run -> (epoch, block)."""
        epoch, position = divmod(draw, self.blocks)
        shuffle = self._shuffles.get(epoch)
        if shuffle is None:
            key = xxhash.xxh64_intdigest(f"{self.digest}/{epoch}", seed=self.seed & _MASK)
            if len(self._shuffles) > 16:
                self._shuffles.clear()
            shuffle = self._shuffles[epoch] = Shuffle.of(self.blocks, key)
        return epoch, shuffle(position)
