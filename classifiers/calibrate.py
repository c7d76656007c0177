"""Fits what `meaning.py` holds, on the validation side of a recipe: calibrations, and thresholds by rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize

from winnow.classifiers.meaning import EDGE, Calibration, Doubles, Threshold, log_odds, sigmoid
from winnow.classifiers.recipe import RecipeError, Rule

ENOUGH, EACH = 1000, 100
"""Texts, and texts of either label, from which on a calibration is isotonic; with fewer it would follow chance."""

FEWEST = 20
"""A precision is not told from fewer texts."""

DECIMALS = 10_000
"""Thresholds have four decimals."""

Flags = npt.NDArray[np.bool_]


def calibration(
    raw: Doubles, truth: Flags | npt.NDArray[np.int64], how: Literal["auto", "isotonic", "platt", "none"]
) -> Calibration | None:
    """Of raw probabilities of the positive label [texts] and which are positive, or of all labels [texts, labels] and the true
    label's place."""
    if how == "none":
        return None
    if raw.ndim == 2:
        return _temperature(raw, truth.astype(np.int64))
    flags = truth.astype(np.bool_)
    least = min(int(flags.sum()), int((~flags).sum()))
    if how == "platt" or (how == "auto" and (len(raw) < ENOUGH or least < EACH)):
        return _platt(raw, flags)
    return _isotonic(raw, flags)


def _platt(raw: Doubles, truth: Flags) -> Calibration:
    """With Platt's own targets, a little inside of 0 and 1, so that a perfect split has an end."""
    odds = log_odds(raw)
    positives = int(truth.sum())
    goal = np.where(truth, (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2))

    def loss(given: Doubles) -> float:
        p = np.clip(sigmoid(np.exp(given[0]) * odds + given[1]), EDGE, 1 - EDGE)
        return float(-(goal * np.log(p) + (1 - goal) * np.log(1 - p)).mean())

    found = optimize.minimize(
        loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12, "maxiter": 2000}
    )
    return Calibration(
        kind="platt", x=(round(math.exp(found.x[0]), 6) or 1e-6,), y=(round(float(found.x[1]), 6),), examples=len(raw)
    )


def _isotonic(raw: Doubles, truth: Flags) -> Calibration:
    """The steps of the isotonic regression, each a slope of one standard error to either side, so that scores inside of a step stay
    graded. Each step's share counts one text of either label more, so that no score is said to be certain."""
    values, places, counts = np.unique(raw, return_inverse=True, return_counts=True)
    hits = np.bincount(places, truth)
    blocks = optimize.isotonic_regression(hits / counts, weights=counts).blocks
    first, last = blocks[:-1], blocks[1:] - 1
    texts = np.add.reduceat(counts, first)
    share = np.maximum.accumulate((np.add.reduceat(hits, first) + 1) / (texts + 2))
    error = np.sqrt(share * (1 - share) / texts)
    below, above = np.diff(share, prepend=0) / 2, np.diff(share, append=1) / 2
    ends = np.stack([share - np.minimum(error, below), share + np.minimum(error, above)], axis=1)
    single = first == last
    ends[single] = share[single, None]
    odds = log_odds(np.stack([values[first], values[last]], axis=1))
    return Calibration(
        kind="isotonic",
        x=tuple(np.maximum.accumulate(odds.ravel().round(6)).tolist()),
        y=tuple(np.maximum.accumulate(ends.ravel().round(6)).tolist()),
        examples=len(raw),
    )


def _temperature(raw: Doubles, truth: npt.NDArray[np.int64]) -> Calibration:
    def loss(given: float) -> float:
        held = Calibration(kind="temperature", x=(math.exp(given),)).of_all(raw)
        return float(-np.log(np.maximum(held[np.arange(len(truth)), truth], EDGE)).mean())

    found = optimize.minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-6})
    return Calibration(kind="temperature", x=(round(math.exp(float(found.x)), 6),), examples=len(raw))


def thresholds(
    rules: Mapping[str, Rule], scores: npt.NDArray[np.float32], hit: Flags, labels: Sequence[str], recipe: str
) -> dict[str, Threshold]:
    """Of each rule its threshold. `hit`: whether a text is positive, or, with more than two labels, was given its label. Raises
    RecipeError where there is none."""
    out = {}
    for name, rule in rules.items():
        at, said = _at(rule, scores, hit, labels, f"recipe '{recipe}': thresholds.{name}")
        above = scores >= at
        of = np.ones(len(scores), np.bool_) if rule.of is None else np.array([label == rule.of for label in labels])
        kept = above if rule.keep == "above" else ~above
        out[name] = Threshold(
            at=at,
            rule=said,
            keep=rule.keep,
            precision=_share(hit[above]),
            recall=_share(above[hit]),
            share=_share(kept[of]),
            examples=len(scores),
        )
    return out


def _share(flags: Flags) -> float:
    return round(float(flags.mean()), 4) if len(flags) else 0.0


def _at(rule: Rule, scores: npt.NDArray[np.float32], hit: Flags, labels: Sequence[str], who: str) -> tuple[float, str]:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    last = np.append(ranked[1:] < ranked[:-1], True)  # a threshold takes texts of equal score together
    count = np.arange(1, len(ranked) + 1)
    if rule.precision is not None:
        right = np.cumsum(hit[order]) / count
        good = np.flatnonzero(last & (right >= rule.precision) & (count >= FEWEST))
        if not len(good):
            best = right[last & (count >= FEWEST)].max(initial=0.0)
            raise RecipeError(
                f"{who}: no score has a precision of {rule.precision:g} on {len(ranked):,} texts of the validation side "
                f"(of {FEWEST} and more): the best is {best:.3f}"
            )
        return _rounded(float(ranked[good[-1]]), math.ceil), f"precision {rule.precision:g}"
    if rule.recall is not None:
        found = np.cumsum(hit[order]) / max(int(hit.sum()), 1)
        return _rounded(float(ranked[int(np.argmax(found >= rule.recall))]), math.floor), f"recall {rule.recall:g}"
    assert rule.share is not None
    own = np.array([label == rule.of for label in labels]) if rule.of is not None else np.ones(len(scores), np.bool_)
    if not own.any():
        raise RecipeError(f"{who}: no text of label '{rule.of}': expected one of {', '.join(sorted(set(labels)))}")
    wanted = rule.share if rule.keep == "above" else 1 - rule.share
    said = f"share {rule.share:g}" + (f" of {rule.of}" if rule.of is not None else "")
    return _rounded(float(np.quantile(scores[own].astype(np.float64), 1 - wanted)), math.ceil), said


def _rounded(value: float, to: Callable[[float], int]) -> float:
    """Up or down to so many decimals; what float32 adds behind them is no reason for the next."""
    return min(1.0, max(0.0, to(value * DECIMALS - (1e-6 if to is math.ceil else -1e-6)) / DECIMALS))
