"""The learning rate is a pure function of the step."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from winnow.train_handoff.schedule import Curve, Shape, rate


def curve(shape: Shape, start: int = 0, steps: int = 100, warmup: int = 10) -> Curve:
    return Curve(shape, start=start, steps=steps, warmup=warmup, decay=20, peak=1.0, final=0.1)


@pytest.mark.parametrize("shape", ["cosine", "linear", "constant", "wsd"])
def test_warms_up_to_the_peak_and_ends_at_the_final_rate(shape: Shape) -> None:
    rates = [curve(shape).at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[4] == pytest.approx(0.5) and rates[9] == 1.0
    assert rates[-1] == pytest.approx(1.0 if shape == "constant" else 0.1)
    assert all(a >= b for a, b in pairwise(rates[9:]))


def test_shapes_in_between() -> None:
    assert curve("cosine").at(54) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert curve("linear").at(54) == pytest.approx(0.55)
    assert curve("wsd").at(79) == 1.0
    assert curve("wsd").at(89) == pytest.approx(0.55)
    assert curve("linear", steps=1, warmup=0).at(0) == pytest.approx(0.1)


def test_curves_follow_each_other_and_the_last_value_holds() -> None:
    curves = (curve("constant"), curve("linear", start=100, steps=10, warmup=0))
    assert rate(curves, 99) == 1.0
    assert rate(curves, 100) == pytest.approx(0.91)
    assert rate(curves, 109) == rate(curves, 500) == pytest.approx(0.1)
