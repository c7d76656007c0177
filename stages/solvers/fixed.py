"""`solver: fixed`: the shares that the declaration says."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import field_validator

from winnow.stages import allocation
from winnow.stages.base import Settings
from winnow.stages.solver import Solver


class FixedSettings(Settings):
    shares: dict[str, float]
    """Group -> share, from 0 to 1, summing to 1. A group without one gets nothing."""

    @field_validator("shares")
    @classmethod
    def _sum(cls, shares: dict[str, float]) -> dict[str, float]:
        allocation.check_shares(shares)
        return shares


class Fixed(Solver):
    """A share is what was asked for, and one that its group cannot carry is an error."""

    __slots__ = ()
    kind = "fixed"
    version = 1
    Settings = FixedSettings

    def solve(self, sizes: Mapping[str, int], budget: float | None, max_epochs: float) -> dict[str, float]:
        return allocation.fixed(sizes, budget, max_epochs, self.settings.shares)

    def capacity(self, sizes: Mapping[str, int], max_epochs: float) -> float:
        return allocation.fixed_capacity(sizes, self.settings.shares, max_epochs)


KIND = Fixed
