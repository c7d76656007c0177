"""`solver: temperature`: shares in proportion to size^alpha."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from winnow.stages import allocation
from winnow.stages.base import Settings
from winnow.stages.solver import Solver


class TemperatureSettings(Settings):
    alpha: float = Field(default=0.5, ge=0, le=1)
    """1 keeps the natural shares, 0 makes them as even as UniMax does."""


class Temperature(Solver):
    """Between the natural shares and even ones (Conneau, Lample 2019, https://arxiv.org/abs/1901.07291, section 3.1)."""

    __slots__ = ()
    kind = "temperature"
    version = 1
    Settings = TemperatureSettings

    def solve(self, sizes: Mapping[str, int], budget: float | None, max_epochs: float) -> dict[str, float]:
        return allocation.temperature(sizes, budget, max_epochs, self.settings.alpha)


KIND = Temperature
