"""Tier 0: n-gram models of an arm's draw, and DSIR's hashed words. Minutes for what tier 1 takes an hour for.

What an n-gram model cannot say is whether repeated text helps or harms: its discounts take counts for evidence, and a copy
is none. Arms that differ in duplication are for tier 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from winnow.filters.ngram import features
from winnow.filters.ngram.model import counted_at
from winnow.filters.ngram.symbols import Vocabulary, vocabulary
from winnow.pipelines.prove.scores import Floats, Point, Scores, Unit, first_of, sizes

WITTEN_BELL, KNESER_NEY, HASHED = "witten-bell", "kneser-ney", "dsir"
CURVE, CURVE_CHARACTERS = (0.125, 0.25, 0.5), 20_000
"""Shares of a draw after which points of the curve are taken, besides its end; characters of each target for them."""
VERSION = 2


@dataclass(frozen=True, slots=True)
class Ngrams:
    """Bits per character of a character n-gram model, by Witten-Bell and by modified Kneser-Ney. The vocabulary is closed
    over all texts of the experiment, so that every arm's model spreads its probability over the same characters."""

    order: int
    known: Vocabulary
    name: ClassVar[str] = "ngrams"
    unit: ClassVar[Unit] = "character"

    @property
    def identity(self) -> str:
        """Of the order and the vocabulary."""
        said = f"{VERSION} {self.order} {CURVE} {CURVE_CHARACTERS} ".encode() + self.known.numbers.tobytes()
        return hashlib.sha256(said).hexdigest()

    def score(
        self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], folder: Path
    ) -> dict[str, Scores]:
        """Both measures of one count."""
        codes, starts = self.known.encode(texts)
        characters, utf8_bytes = sizes(targets)
        whole = {name: len(documents) for name, documents in targets.items()}
        some = {name: first_of(documents, CURVE_CHARACTERS) for name, documents in targets.items()}
        held, few = (
            self.known.encode([text for name, n in numbers.items() for text in targets[name][:n]])
            for numbers in (whole, some)
        )
        last = len(texts)
        ends = [int(np.searchsorted(starts, share * starts[-1], "right")) - 1 for share in CURVE]
        ends = [*dict.fromkeys(end for end in ends if 0 < end < last), last]
        curves: tuple[list[Point], list[Point]] = ([], [])
        bits = np.zeros((2, 0))
        for end, trie in zip(ends, counted_at(codes, starts, self.known.size, ends, self.order), strict=True):
            if end == last:
                bits = trie.bits(*held)
            parts = _parts(bits, whole) if end == last else _parts(trie.bits(*few), some)
            for curve, found in zip(curves, parts, strict=True):
                points = {t: float(b[: some[t]].sum() / characters[t][: some[t]].sum()) for t, b in found.items()}
                curve.append(Point(float(starts[end] / starts[-1]), points))
        return {
            name: Scores(found, characters, utf8_bytes, tuple(curve))
            for name, found, curve in zip((WITTEN_BELL, KNESER_NEY), _parts(bits, whole), curves, strict=True)
        }


@dataclass(frozen=True, slots=True)
class HashedWords:
    """Cross entropy of the targets' hashed words and pairs of words under the arm's, in bits by character: differences
    between arms are differences of the divergence that DSIR's reduction is made of."""

    name: ClassVar[str] = "hashed-words"
    unit: ClassVar[Unit] = "character"

    @property
    def identity(self) -> str:
        """Of the buckets."""
        return hashlib.sha256(f"{VERSION} {features.BUCKETS} {features.ADDED}".encode()).hexdigest()

    def score(
        self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], folder: Path
    ) -> dict[str, Scores]:
        """One measure."""
        cost = features.cost(features.buckets_of(texts)[0])
        bits = {}
        for name, documents in targets.items():
            found, bounds = features.buckets_of(documents)
            sums = np.concatenate([np.zeros(1), np.cumsum(cost[found])])
            bits[name] = sums[bounds[1:]] - sums[bounds[:-1]]
        return {HASHED: Scores(bits, *sizes(targets))}


def _parts(bits: Floats, numbers: Mapping[str, int]) -> list[dict[str, Floats]]:
    """Of each measure (row), what belongs to each target."""
    ends = np.cumsum([*numbers.values()])[:-1]
    return [dict(zip(numbers, np.split(row, ends), strict=True)) for row in bits]


def closed(texts: Iterable[str]) -> Vocabulary:
    """The vocabulary of an experiment: every character of its arms and targets."""
    return vocabulary(texts)
