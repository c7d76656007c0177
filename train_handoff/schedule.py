"""The learning rate: a pure function of the step."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Literal

Shape = Literal["cosine", "linear", "constant", "wsd"]


@dataclass(frozen=True, slots=True)
class Curve:
    """One learning-rate curve over `steps` steps that starts at step `start` of the run.

    Linear warm-up over `warmup` steps to `peak`, then by `shape`: `cosine` or `linear` down to `final` at the last
    step; `constant`; `wsd` (warm-up, stable, decay: arXiv:2404.06395) holds `peak` and falls linearly to `final` over
    the last `decay` steps.
    """

    shape: Shape
    start: int
    steps: int
    warmup: int
    decay: int
    peak: float
    final: float

    def at(self, step: int) -> float:
        """The learning rate of `step`, counted from the run's start."""
        done = step - self.start + 1
        if done <= self.warmup:
            return self.peak * done / self.warmup
        if self.shape == "constant":
            return self.peak
        if self.shape == "wsd":
            fall = min(self.decay, self.steps - self.warmup)
            left = self.steps - done
            if fall == 0 or left >= fall:
                return self.peak
            return self.final + (self.peak - self.final) * left / fall
        progress = (done - self.warmup) / max(1, self.steps - self.warmup)
        progress = min(1.0, progress)
        share = (1.0 + cos(pi * progress)) / 2.0 if self.shape == "cosine" else 1.0 - progress
        return self.final + (self.peak - self.final) * share


def rate(curves: tuple[Curve, ...], step: int) -> float:
    """The learning rate of `step` under consecutive curves; after the last curve's end its final value holds."""
    current = curves[0]
    for curve in curves:
        if step >= curve.start:
            current = curve
    last = current.start + current.steps - 1
    return current.at(min(step, last))
