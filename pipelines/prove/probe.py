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
from winnow.filters.ngram.model import counted
from winnow.filters.ngram.symbols import Vocabulary, vocabulary
from winnow.pipelines.prove.scores import Scores, Unit, sizes

WITTEN_BELL, KNESER_NEY, HASHED = "witten-bell", "kneser-ney", "dsir"
CURVE = (0.25, 0.5)
VERSION = 1


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
        said = f"{VERSION} {self.order} {CURVE} ".encode() + self.known.numbers.tobytes()
        return hashlib.sha256(said).hexdigest()

    def score(
        self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], folder: Path
    ) -> dict[str, Scores]:
        """Both measures of one count. The curve is Witten-Bell's."""
        codes, starts = self.known.encode(texts)
        held = {name: self.known.encode(documents) for name, documents in targets.items()}
        characters, utf8_bytes = sizes(targets)
        curve = []
        for share in CURVE:
            some = starts[: int(np.searchsorted(starts, share * starts[-1], "right"))]
            if len(some) > 1:
                trie = counted(codes[: some[-1]], some, self.known.size, self.order)
                means = [trie.witten_bell(*text).sum() / characters[name].sum() for name, text in held.items()]
                curve.append((float(some[-1] / starts[-1]), float(np.mean(means))))
        trie = counted(codes, starts, self.known.size, self.order)
        bits = {name: trie.witten_bell(*text) for name, text in held.items()}
        curve.append((1.0, float(np.mean([bits[name].sum() / characters[name].sum() for name in bits]))))
        other = {name: trie.kneser_ney(*text) for name, text in held.items()}
        return {
            WITTEN_BELL: Scores(bits, characters, utf8_bytes, tuple(curve)),
            KNESER_NEY: Scores(other, characters, utf8_bytes),
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


def closed(texts: Iterable[str]) -> Vocabulary:
    """The vocabulary of an experiment: every character of its arms and targets."""
    return vocabulary(texts)
