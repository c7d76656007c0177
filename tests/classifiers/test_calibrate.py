"""Calibrations and thresholds, on drawn scores whose true probabilities are known; figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from winnow.classifiers.calibrate import calibration, thresholds
from winnow.classifiers.figures import (
    area_under_curve,
    average_precision,
    calibration_error,
    f1_score,
    reliability,
    resampled,
)
from winnow.classifiers.meaning import sigmoid
from winnow.classifiers.recipe import RecipeError, Rule


def drawn(seed: int, count: int, apart: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores that say twice the log odds that are true, and which texts are positive; `apart` moves the two labels away from
    each other, so that hardly any score is in the middle."""
    dice = np.random.Generator(np.random.PCG64(seed))
    odds = dice.normal(-0.5, 1.5, count)
    truth = dice.random(count) < sigmoid(odds)
    return sigmoid(2 * odds + apart * np.where(truth, 1, -1)), truth


@pytest.mark.parametrize("how", ["auto", "isotonic", "platt"])
@pytest.mark.parametrize("apart", [0.0, 4.0])
def test_a_score_is_right_as_often_as_it_says(how: str, apart: float) -> None:
    raw, truth = drawn(1, 3000, apart)
    fitted = calibration(raw, truth, how)  # type: ignore[arg-type]
    assert fitted is not None and fitted.kind == ("platt" if how == "platt" else "isotonic")
    fresh, true = drawn(2, 20_000, apart)
    said = fitted.of_positive(fresh)
    assert calibration_error(true, said) < 0.025
    if not apart:
        assert calibration_error(true, fresh) > 0.08
    order = np.argsort(fresh, kind="stable")
    assert (np.diff(said[order]) >= -1e-12).all()
    assert area_under_curve(true, said) > area_under_curve(true, fresh) - 0.002
    assert said.min() >= 0 and said.max() <= 1


def test_few_texts_and_more_than_two_labels() -> None:
    raw, truth = drawn(3, 200)
    few = calibration(raw, truth, "auto")
    assert few is not None and few.kind == "platt"
    assert calibration(raw, truth, "none") is None
    perfect = calibration(np.array([0.1] * 50 + [0.9] * 50), np.arange(100) >= 50, "platt")
    assert perfect is not None and 0.9 < perfect.of_positive(np.array([0.9]))[0] < 1
    dice = np.random.Generator(np.random.PCG64(4))
    odds = dice.normal(0, 1, (4000, 3))
    shares = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    labels = np.array([dice.choice(3, p=row) for row in shares])
    sharp = np.exp(3 * odds) / np.exp(3 * odds).sum(axis=1, keepdims=True)
    fitted = calibration(sharp, labels, "auto")
    assert fitted is not None and fitted.kind == "temperature"
    assert fitted.x[0] == pytest.approx(3, rel=0.1)
    assert np.allclose(fitted.of_all(sharp), shares, atol=0.05)


def test_thresholds_hold_what_they_were_chosen_for() -> None:
    raw, truth = drawn(5, 5000)
    scores = raw.astype(np.float32)
    labels = ["good" if flag else "bad" for flag in truth]
    rules = {
        "precise": Rule(precision=0.9),
        "wide": Rule(recall=0.95),
        "tenth": Rule(share=0.1, of="bad"),
        "flag": Rule(share=0.8, keep="below"),
    }
    found = thresholds(rules, scores, truth, labels, "x")
    assert found["precise"].precision >= 0.9 and found["precise"].recall > 0.1
    assert found["wide"].recall >= 0.95 and found["wide"].clause.startswith("score >= ")
    assert found["tenth"].share == pytest.approx(0.1, abs=0.002)
    assert (scores[~truth] >= found["tenth"].at).mean() == pytest.approx(0.1, abs=0.002)
    assert found["flag"].share == pytest.approx(0.8, abs=0.002)
    assert found["flag"].clause == f"score < {found['flag'].at:.6g}"
    with pytest.raises(RecipeError, match=r"recipe 'x': thresholds\.p: no score has a precision of 1"):
        thresholds({"p": Rule(precision=1.0)}, scores, dice_of(truth), labels, "x")


def dice_of(truth: np.ndarray) -> np.ndarray:
    """Flags that have nothing to do with the scores."""
    return np.random.Generator(np.random.PCG64(6)).random(len(truth)) < 0.5


def test_figures_by_hand() -> None:
    truth = np.array([True, False, True, False])
    assert area_under_curve(truth, np.array([0.9, 0.8, 0.7, 0.1], np.float32)) == 0.75
    assert area_under_curve(truth, np.array([0.5, 0.5, 0.5, 0.5], np.float32)) == 0.5
    assert math.isnan(area_under_curve(np.ones(4, np.bool_), np.zeros(4)))
    assert average_precision(truth, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(truth, np.full(4, 0.5)) == 0.5
    assert f1_score(truth, np.array([True, True, False, False])) == 0.5
    assert reliability(truth, np.array([0.95, 0.95, 1.0, 0.05])) == [
        (0.05, 0.0, 1),
        (pytest.approx(2.9 / 3), pytest.approx(2 / 3), 3),
    ]
    assert calibration_error(truth, np.array([0.95, 0.95, 1.0, 0.05])) == pytest.approx(0.25 * 0.05 + 0.75 * 0.3)


def test_texts_of_one_group_do_not_vary_apart() -> None:
    values = np.repeat(np.arange(20) % 2, 50).astype(float)

    def mean(rows: np.ndarray) -> list[float]:
        return [float(values[rows].mean())]

    ((low, high),) = resampled([str(n // 50) for n in range(1000)], mean)
    ((near, far),) = resampled([str(n) for n in range(1000)], mean)
    assert high - low > 3 * (far - near)
