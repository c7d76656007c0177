"""`solver: unimax`: as even as the epoch cap allows."""

from __future__ import annotations

from collections.abc import Mapping

from winnow.stages import allocation
from winnow.stages.base import Settings
from winnow.stages.solver import Solver


class UniMax(Solver):
    """Even shares; what a capped group cannot take goes to the others (Chung et al. 2023, https://arxiv.org/abs/2304.09151)."""

    __slots__ = ()
    kind = "unimax"
    version = 1
    Settings = Settings

    def solve(self, sizes: Mapping[str, int], budget: float | None, max_epochs: float) -> dict[str, float]:
        return allocation.unimax(sizes, budget, max_epochs)


KIND = UniMax
