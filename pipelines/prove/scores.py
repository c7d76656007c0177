"""What a tier measures of an arm: the bits that a model trained on it spends on each document of the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Unit = Literal["character", "utf8_byte"]


@dataclass(frozen=True, slots=True)
class Point:
    """A model on the way: the share of its training that it has seen, 0 to 1, and target -> bits per unit, over the first
    documents of each; see `first_of`."""

    share: float
    bits: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """One model's figures: target -> one number for each of its documents, in their order.

    `bits` are negative log2 probabilities, summed over a document. `curve` ascends; it is empty where a tier has none.
    """

    bits: Mapping[str, Floats]
    characters: Mapping[str, Ints]
    utf8_bytes: Mapping[str, Ints]
    curve: tuple[Point, ...] = ()

    def sizes(self, unit: Unit) -> Mapping[str, Ints]:
        """What bits are divided by."""
        return self.characters if unit == "character" else self.utf8_bytes


class Tier(Protocol):
    """A way to train a model on an arm and to measure it."""

    @property
    def name(self) -> str:
        """Of letters, digits, `-`, `_` and `.`: part of file names."""
        ...

    @property
    def unit(self) -> Unit:
        """What bits are given by."""
        ...

    @property
    def identity(self) -> str:
        """Hex digest of all that decides a score besides texts, seed and targets."""
        ...

    def score(
        self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], folder: Path
    ) -> dict[str, Scores]:
        """Measures -> their scores, of a model trained on `texts`. `folder` is this call's own: what a resume needs may
        stay there. The same arguments give the same figures. Raises RunError for what a person can mend."""
        ...


def first_of(texts: Sequence[str], characters: int) -> int:
    """How many documents a curve's points are over: the first that come to so many characters, one at least."""
    size, number = 0, 0
    while number < len(texts) and (number == 0 or size + len(texts[number]) <= characters):
        size += len(texts[number])
        number += 1
    return number


def sizes(targets: Mapping[str, Sequence[str]]) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """Characters and UTF-8 bytes of each document of each target."""
    characters = {name: np.array([len(text) for text in texts], np.int64) for name, texts in targets.items()}
    utf8_bytes = {name: np.array([len(text.encode()) for text in texts], np.int64) for name, texts in targets.items()}
    return characters, utf8_bytes
