"""`winnow prove --ratios`: laws that are known are found again, noise is refused, the largest ratio that general texts bear."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from winnow.pipelines.prove.experiment import Measure
from winnow.pipelines.prove.protocol import Targets
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.ratios import POINTS, fitted, going_on, power, ratios_of, table, two_powers
from winnow.pipelines.prove.scores import Point
from winnow.pipelines.prove.verdict import Measured
from winnow.pipelines.results.table import RunError

SHARES = np.array(POINTS[1:])
RATIOS = [Fraction(1, 8), Fraction(1, 4), Fraction(1, 3), Fraction(1, 2)]
TARGETS = Targets.model_validate({"targets": {"law": "law.jsonl", "news": "news.jsonl", "essays": "essays.jsonl"}})
PANELS = {"domain": ("law",), "general": ("news", "essays")}


def made(noise: float, seed: int = 0, learnt: float = -0.4, lost: float = 0.1) -> Measure:
    """Three seeds of every ratio; general texts lose the more the larger the ratio is."""
    dice = np.random.default_rng(seed)
    curves = {}
    for ratio in RATIOS:
        rise = {
            "law": learnt * float(ratio) * SHARES**0.4,
            "news": lost * float(ratio) * SHARES**0.3 - 0.01 * SHARES,
            "essays": lost * float(ratio) * SHARES**0.3,
        }
        curves[f"law {ratio}"] = [
            (
                Point(0.0, dict.fromkeys(rise, 2.0)),
                *(
                    Point(
                        float(share), {name: 2.0 + values[n] + dice.normal(0, noise) for name, values in rise.items()}
                    )
                    for n, share in enumerate(SHARES)
                ),
            )
            for _ in range(3)
        ]
    nothing = Measured((), {}, {}, {}, np.zeros(0), np.zeros((0, 0)))
    return Measure("proxy-lr-0.001", "proxy-lr-0.001", "utf8_byte", 3, 3, nothing, curves)


def test_laws_are_recovered() -> None:
    dice = np.random.default_rng(1)
    for form, parameters in ((power, (-0.3, 0.4, -0.02)), (two_powers, (0.2, 0.3, -0.15, 1.2, 0.0))):
        values = form(SHARES, *parameters) + dice.normal(0, 0.0005, (3, len(SHARES)))
        fit = fitted(form, SHARES, values, 0.0)
        assert fit.refused is None and fit.end == pytest.approx(float(form(np.ones(1), *parameters)[0]), abs=0.003)
        assert fit.error < 0.01 and fit.noise < 0.001
    refused = fitted(power, SHARES, dice.normal(0, 0.1, (3, len(SHARES))), 0.0).refused
    assert refused is not None and "noise exceeds signal" in refused


def test_the_largest_ratio_that_general_texts_bear() -> None:
    found = table(made(0.0002), PANELS, RATIOS, 300_000, tolerance=0.025)
    assert [each["feasible"] for each in found["ratios"].values()] == [True, True, False, False]
    assert found["largest_feasible"] == "1/4"
    each = found["ratios"]["law 1/2"]
    assert each["tokens"][-1] == 300_000 and each["domain"]["rise"][-1] == pytest.approx(-0.2, abs=0.002)
    assert each["general"]["end"] == pytest.approx(0.045, abs=0.003)
    # The more of the training is done, the less of the domain general texts bear.
    law = found["law"]
    assert law["refused"] is None
    alpha, s, beta = law["parameters"]
    assert alpha + beta == pytest.approx(0.3, abs=0.02) and alpha * 0.25**s + beta > alpha + beta


def test_what_the_points_do_not_say_is_not_said() -> None:
    found = table(made(0.05, learnt=0.0, lost=0.0), PANELS, RATIOS, 300_000, tolerance=0.01)
    assert found["largest_feasible"] is None and found["law"]["refused"]
    for each in found["ratios"].values():
        assert each["feasible"] is None and "noise exceeds signal" in each["general"]["refused"]
    # No ratio hurts: all are feasible, and there is no critical one between them.
    found = table(made(0.0002, lost=0.0), PANELS, RATIOS, 300_000)
    assert found["largest_feasible"] == "1/2" and "at 0 of 8 points" in found["law"]["refused"]


@pytest.mark.parametrize("text", ["1/8", "0,1/2", "1/2,1", "a,b", "1/0,1/2", ""])
def test_ratios_are_shares(text: str) -> None:
    with pytest.raises(RunError, match="expected two or more shares of the domain"):
        ratios_of(text)


def test_what_cannot_be_fitted_is_refused_first() -> None:
    assert ratios_of("1/2, 0.125") == [Fraction(1, 8), Fraction(1, 2)]
    given = TARGETS.model_copy(update={"panels": PANELS})
    assert going_on(given, ProxySettings(), ["a", "b"]).points == POINTS
    for changed, proxy, arms, said in (
        (given, None, ["a", "b"], "expected --tier 1"),
        (given, ProxySettings(warm_tokens=0), ["a", "b"], "expected --tier 1, and warm_tokens"),
        (given, ProxySettings(), ["a"], "expected two arms, the domain and general texts, got a"),
        (given, ProxySettings(points=(0.5, 1.0)), ["a", "b"], "proxy.points: expected 0 and 7 more"),
        (TARGETS, ProxySettings(), ["a", "b"], "which of law, news, essays are texts of the domain"),
    ):
        with pytest.raises(RunError, match=said):
            going_on(changed, proxy, arms)
