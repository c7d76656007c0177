"""Whether one arm beats another: paired differences in bits, with intervals over draws and documents.

A difference is measured many times: once for each seed (another draw from each arm, and another start of the model), on
each document of a target. Both vary, so both are in the interval:

    seeds      The variance between seeds, times 1 / seeds. Arms that have little in common (s below SELECTED, the share of the
               smaller that is in the other) are samples: that each holds just its documents, and not others of their kind, is
               chance as well. Draws of a share f of N documents vary by S^2 (1 - f) / (f N), the mean of N by S^2 / N, so f / (1 - f)
               times the variance is added (as in Nadeau and Bengio 2003), f being what two draws of an arm have in common.
               Without it, two halves of one corpus would be told apart by the chance that divided them. It is measured twice,
               by the differences and by each arm alone, of which the larger is taken; and because a few documents matter much,
               so that these variances are less sure than normal ones, it has half of the seeds' degrees of freedom. Selections
               from the same documents are compared as selections of these: of the term only 1 - s is added.
    documents  The variance of a ratio of sums (bits over characters) over the groups of a target's documents, linearised.
               Targets are separate texts, so that of their mean is the sum over targets by their number squared.

The two are added; the interval is Student's with the degrees of freedom of Welch and Satterthwaite. It errs to the wide
side: the second holds a little of the first. A bootstrap over five seeds would err to the narrow one.

Over all targets there is one question, so its verdict is at the stated level. Of several targets some differ by chance:
their verdicts are by p-values that Holm's method corrects over the targets; the intervals shown are each target's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from winnow.pipelines.prove.draw import SELECTED
from winnow.pipelines.prove.scores import Floats, Ints

Verdict = Literal["win", "tie", "loss"]
SURE = 0.95
"""Largest overlap that is corrected for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference: bits per unit of a less those of b, so that below 0 a is the better. `p` is two-sided."""

    value: float
    error: float
    low: float
    high: float
    p: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of all arms. By target: `bits` [arms, seeds, documents], `sizes` and `groups` [documents]. `overlaps`
    [arms]: f; `sharing` [arms, arms]: s."""

    arms: tuple[str, ...]
    bits: Mapping[str, Floats]
    sizes: Mapping[str, Ints]
    groups: Mapping[str, Ints]
    overlaps: Floats
    sharing: Floats

    def rates(self) -> dict[str, Floats]:
        """Bits per unit, target -> [arms, seeds]."""
        return {name: bits.sum(axis=2) / self.sizes[name].sum() for name, bits in self.bits.items()}

    def contrast(self, weights: Mapping[str, float], targets: Sequence[str], level: float) -> Estimate:
        """A weighted sum of arms' mean bits over these targets, such as {a: 1, b: -1}."""
        w = np.array([weights.get(arm, 0.0) for arm in self.arms])
        used = np.abs(w) > 0
        by_seed: Floats = np.zeros(next(iter(self.bits.values())).shape[1])
        documents, freedom = 0.0, np.inf
        for name in targets:
            sizes = self.sizes[name].astype(np.float64)
            differences = np.tensordot(w, self.bits[name], 1)  # [seeds, documents]
            by_seed = by_seed + differences.sum(axis=1) / sizes.sum() / len(targets)
            mean = differences.mean(axis=0)
            residuals = mean - mean.sum() / sizes.sum() * sizes
            _, number = np.unique(self.groups[name], return_inverse=True)
            sums = np.bincount(number, residuals)
            m = len(sums)
            documents += m / (m - 1) * float((sums**2).sum()) / float(sizes.sum()) ** 2 / len(targets) ** 2
            freedom = min(freedom, m - 1)
        seeds = len(by_seed)
        f = min(float(self.overlaps[used].max(initial=0.0)), SURE)
        s = float(self.sharing[np.ix_(used, used)].min(initial=1.0))
        between = float(by_seed.var(ddof=1))
        chance, sure = between, seeds - 1
        if s < SELECTED:
            alone = np.mean(
                [bits.sum(axis=2) / self.sizes[name].sum() for name, bits in self.bits.items() if name in targets], 0
            )
            chance, sure = max(between, (1 - s) * float(w**2 @ alone.var(axis=1, ddof=1))), max(1, (seeds - 1) // 2)
        parts = [(between / seeds + chance * f / (1 - f) * (1 - s), sure), (documents, freedom)]
        return _estimate(float(by_seed.mean()), parts, level)


def _estimate(value: float, parts: Sequence[tuple[float, float]], level: float) -> Estimate:
    from scipy.special import stdtr, stdtrit

    variance = sum(part for part, _ in parts)
    error = float(np.sqrt(variance))
    if error <= 1e-12 * max(1.0, abs(value)):
        return Estimate(
            value, 0.0, value, value, float(abs(value) < 1e-12), _verdict(value, float(abs(value) < 1e-12), level)
        )
    freedom = variance**2 / sum(v**2 / d for v, d in parts if v > 0)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    p = float(2 * stdtr(freedom, -abs(value) / error))
    return Estimate(value, error, value - half, value + half, p, _verdict(value, p, level))


def _verdict(value: float, p: float, level: float) -> Verdict:
    return "tie" if p > 1 - level else "win" if value < 0 else "loss"


def compare(measured: Measured, a: str, b: str, level: float) -> tuple[Estimate, dict[str, Estimate]]:
    """Arm a against arm b: over all targets, and by target with verdicts after Holm's correction."""
    weights = {a: 1.0, b: -1.0}
    names = list(measured.bits)
    whole = measured.contrast(weights, names, level)
    each = {name: measured.contrast(weights, [name], level) for name in names}
    adjusted = holm([found.p for found in each.values()])
    out = {
        name: Estimate(e.value, e.error, e.low, e.high, p, _verdict(e.value, p, level))
        for (name, e), p in zip(each.items(), adjusted, strict=True)
    }
    return whole, out


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in their order."""
    out = [0.0] * len(values)
    worst = 0.0
    for rank, number in enumerate(sorted(range(len(values)), key=lambda n: values[n])):
        worst = max(worst, min(1.0, values[number] * (len(values) - rank)))
        out[number] = worst
    return out


def gap_closed(measured: Measured, arm: str, random: str, oracle: str, level: float) -> Estimate | None:
    """(random - arm) / (random - oracle) over all targets; None where the oracle does not beat random. Its interval is that
    of random - arm - g (random - oracle), by random - oracle."""
    names = list(measured.bits)
    whole = measured.contrast({random: 1.0, oracle: -1.0}, names, level)
    if whole.verdict != "loss":  # random has more bits
        return None
    part = measured.contrast({random: 1.0, arm: -1.0} if arm != random else {}, names, level)
    share = part.value / whole.value
    weights: dict[str, float] = {}
    for name, weight in ((random, 1.0 - share), (arm, -1.0), (oracle, share)):
        weights[name] = weights.get(name, 0.0) + weight
    if arm == random:
        weights = {}
    spread = measured.contrast(weights, names, level)
    half = (spread.high - spread.low) / 2 / whole.value
    return Estimate(share, spread.error / whole.value, share - half, share + half, spread.p, "tie")


def duplicated(texts: Sequence[str]) -> float:
    """The share of characters that stand in exact copies of other texts of a draw."""
    seen: set[str] = set()
    again = whole = 0
    for text in texts:
        whole += len(text)
        again += len(text) if text in seen else 0
        seen.add(text)
    return again / whole if whole else 0.0
