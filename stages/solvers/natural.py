"""`solver: natural`: every group as large a part as it is of the documents."""

from __future__ import annotations

from collections.abc import Mapping

from winnow.stages import allocation
from winnow.stages.base import Settings
from winnow.stages.solver import Solver


class Natural(Solver):
    """The shares that the groups have."""

    __slots__ = ()
    kind = "natural"
    version = 1
    Settings = Settings

    def solve(self, sizes: Mapping[str, int], budget: float | None, max_epochs: float) -> dict[str, float]:
        if budget is None:
            return {group: min(1.0, max_epochs) * size for group, size in sizes.items()}  # each once, to the last bit
        return allocation.temperature(sizes, budget, max_epochs, 1.0)


KIND = Natural
