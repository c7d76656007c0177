"""Bits of a target as a function of a mixture's shares, by ridge regression, with its error on mixtures left out.

    log bits(w) = a + b . f(w)        w: shares of the groups, summing to 1

With f(w) = w it is the log-linear law of data mixing (arXiv:2403.16952) that RegMix (arXiv:2407.01492) and olmix fit; with
f(w) = log(w + LEAST) a power law of a group's share, as of its tokens in CMR's curves (arXiv:2407.17467). Of the two, the one
that predicts mixtures left out better. A fit is judged before it is used: by its error in bits on mixtures that it did not
see, and by the noise of a single run. Where either is as large as what it should explain, it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from winnow.pipelines.prove.scores import Floats

PENALTIES = 10.0 ** np.arange(-6, 2)
FOLDS = 8
LEAST = 1 / 64
"""Added to a share in the power law, which would be infinite without."""
SAMPLED, AVERAGED = 100_000, 128
"""Mixtures that are looked through, and of the best that are averaged: RegMix's numbers."""


Form = Literal["log-linear", "power"]


@dataclass(frozen=True, slots=True)
class Curve:
    """log bits = intercept + coefficients . (f(shares) - centre), `coefficients` and `centre` [groups]."""

    form: Form
    intercept: float
    coefficients: Floats
    centre: Floats

    def bits(self, shares: Floats) -> Floats:
        """Of mixtures [n, groups] -> [n]."""
        predicted: Floats = np.exp(self.intercept + (_features(shares, self.form) - self.centre) @ self.coefficients)
        return predicted


@dataclass(frozen=True, slots=True)
class Fit:
    """A curve and its worth, in bits: `spread`, the standard deviation between mixtures; `error`, the root of the mean
    squared error on mixtures left out; `noise`, the standard deviation of one run between seeds. `refused` says why it must
    not be used, None where it may."""

    curve: Curve
    spread: float
    error: float
    noise: float
    refused: str | None


def fitted(shares: Floats, bits: Floats, noise: float) -> Fit:
    """The fit to mixtures [n, groups] and their bits [n], at least FOLDS of them, whose single runs have `noise`."""
    number = len(bits)
    left_out = np.zeros(number)
    for fold in range(FOLDS):
        test = np.arange(number) % FOLDS == fold
        left_out[test] = _chosen(shares[~test], bits[~test]).bits(shares[test])
    spread, error = float(bits.std(ddof=1)), float(np.sqrt(np.mean((left_out - bits) ** 2)))
    signal = float(np.sqrt(max(spread**2 - noise**2, 0.0)))
    refused = None
    if noise >= signal:
        refused = f"noise exceeds signal: {noise:.5f} bits between seeds, {signal:.5f} between mixtures beside it"
    elif error >= spread:
        refused = (
            f"it predicts mixtures it did not see worse than their mean does: {error:.5f} bits against {spread:.5f}"
        )
    return Fit(_chosen(shares, bits), spread, error, noise, refused)


def _features(shares: Floats, form: Form) -> Floats:
    found: Floats = np.log(shares + LEAST) if form == "power" else shares
    return found


def _chosen(shares: Floats, bits: Floats) -> Curve:
    """The form and the penalty with the least squared error when each mixture is left out in turn."""
    forms: tuple[Form, Form] = ("log-linear", "power")
    tried = [_ridge(_features(shares, form), np.log(bits), form) for form in forms]
    return min(tried, key=lambda found: found[0])[1]


def _ridge(features: Floats, values: Floats, form: Form) -> tuple[float, Curve]:
    centre, mean = features.mean(axis=0), float(values.mean())
    x, y = features - centre, values - mean
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    found = []
    for penalty in PENALTIES:
        shrunk = s**2 / (s**2 + penalty)
        hat = (u**2 * shrunk).sum(axis=1) + 1 / len(y)
        squared = float((((y - u @ (shrunk * (u.T @ y))) / (1 - hat)) ** 2).mean())
        found.append((squared, Curve(form, mean, vt.T @ (s / (s**2 + penalty) * (u.T @ y)), centre)))
    return min(found, key=lambda pair: pair[0])


def noise_of(repeated: Floats) -> float:
    """The standard deviation of one run beside others of the same seed, from mixtures [n, seeds], two of each or more: what is
    left without the means of mixtures and of seeds, for a seed's documents are the same in all mixtures."""
    n, seeds = repeated.shape
    left = repeated - repeated.mean(axis=1, keepdims=True) - repeated.mean(axis=0) + repeated.mean()
    return float(np.sqrt((left**2).sum() / ((n - 1) * (seeds - 1))))


def best(curve: Curve, sampled: Callable[[int], Floats]) -> Floats:
    """The mean of the AVERAGED mixtures with the fewest predicted bits of SAMPLED: shares [groups]."""
    candidates = sampled(SAMPLED)
    order = np.argsort(curve.bits(candidates), kind="stable")[:AVERAGED]
    mean: Floats = candidates[order].mean(axis=0)
    return mean
