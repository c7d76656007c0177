"""How a mixture divides a budget of tokens among groups: the contract of the kinds in `stages/solvers/`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from winnow.stages.base import Settings


@dataclass(frozen=True, slots=True)
class Solver(ABC):
    """One configured solver. All figures are tokens."""

    settings: Any

    kind: ClassVar[str]
    version: ClassVar[int]  # raised whenever the same figures would be divided otherwise
    Settings: ClassVar[type[Settings]]

    @abstractmethod
    def solve(self, sizes: Mapping[str, int], budget: float | None, max_epochs: float) -> dict[str, float]:
        """Tokens of each group, at most `max_epochs` x its size; `budget` None: no document is left out as far as that allows.
        Raises ValueError with what is wrong, `stages.allocation.Infeasible` where the groups hold less."""

    def capacity(self, sizes: Mapping[str, int], max_epochs: float) -> float:
        """The largest budget that it can divide."""
        return max_epochs * sum(sizes.values())
