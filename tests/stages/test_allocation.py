"""Solvers of the mixture: what holds for every set of groups."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from winnow.stages.allocation import Infeasible, capacity, fixed, fixed_capacity, temperature, unimax

SIZES = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 10**12), min_size=1, max_size=12)
EPOCHS = st.floats(0.25, 64)
ALPHA = st.none() | st.floats(0, 1)  # none: unimax


def solve(sizes: dict[str, int], budget: float, epochs: float, alpha: float | None) -> dict[str, float]:
    return unimax(sizes, budget, epochs) if alpha is None else temperature(sizes, budget, epochs, alpha)


@given(SIZES, EPOCHS, ALPHA, st.floats(0, 1))
def test_the_whole_budget_is_given_and_no_group_beyond_its_cap(
    sizes: dict[str, int], epochs: float, alpha: float | None, part: float
) -> None:
    budget = part * capacity(sizes, epochs)
    given_out = solve(sizes, budget, epochs, alpha)
    assert given_out.keys() == sizes.keys()
    assert sum(given_out.values()) == pytest.approx(budget, rel=1e-9)
    assert all(0 <= given_out[group] <= epochs * size for group, size in sizes.items())


@given(SIZES, EPOCHS, ALPHA, st.floats(0, 1), st.integers(2, 1000))
def test_scale_does_not_matter(
    sizes: dict[str, int], epochs: float, alpha: float | None, part: float, scale: int
) -> None:
    budget = part * capacity(sizes, epochs)
    small = solve(sizes, budget, epochs, alpha)
    large = solve({group: size * scale for group, size in sizes.items()}, budget * scale, epochs, alpha)
    for group in sizes:
        assert large[group] == pytest.approx(small[group] * scale, rel=1e-6, abs=1e-6 * max(budget, 1) * scale)


@given(SIZES, EPOCHS, ALPHA, st.floats(0, 1), st.randoms())
def test_order_does_not_matter(
    sizes: dict[str, int], epochs: float, alpha: float | None, part: float, random: object
) -> None:
    names = list(sizes)
    random.shuffle(names)  # type: ignore[attr-defined]
    budget = part * capacity(sizes, epochs)
    assert solve({name: sizes[name] for name in names}, budget, epochs, alpha) == solve(sizes, budget, epochs, alpha)


@given(SIZES, EPOCHS, st.floats(0, 1))
def test_unimax_is_the_papers_loop(sizes: dict[str, int], epochs: float, part: float) -> None:
    """Algorithm 1 of https://arxiv.org/abs/2304.09151: ascending sizes, each min(remaining / groups left, cap)."""
    sizes = {group: size for group, size in sizes.items() if size}
    budget = part * capacity(sizes, epochs)
    remaining, expected = budget, {}
    for done, group in enumerate(sorted(sizes, key=lambda g: sizes[g])):
        expected[group] = min(remaining / (len(sizes) - done), epochs * sizes[group])
        remaining -= expected[group]
    assert unimax(sizes, budget, epochs) == pytest.approx(expected, rel=1e-6, abs=1e-6 * max(budget, 1))


@given(SIZES, EPOCHS, st.floats(0, 1), st.floats(0, 1))
def test_groups_below_their_cap_share_by_weight(
    sizes: dict[str, int], epochs: float, alpha: float, part: float
) -> None:
    given_out = temperature(sizes, part * capacity(sizes, epochs), epochs, alpha)
    free = [group for group, size in sizes.items() if size and given_out[group] < epochs * size * (1 - 1e-6)]
    rates = [given_out[group] / sizes[group] ** alpha for group in free]
    assume(rates)
    assert max(rates) == pytest.approx(min(rates), rel=1e-6)


def test_a_worked_example() -> None:
    sizes = {"news": 100, "web": 10_000, "law": 10}
    assert unimax(sizes, 1_000, 4) == {"law": 40, "news": 400, "web": 560}
    assert temperature(sizes, 2_240, 4, 0.5) == pytest.approx({"law": 40, "news": 200, "web": 2_000})
    assert temperature(sizes, 10_110, 4, 1.0) == pytest.approx(sizes)


def test_too_large_a_budget_is_refused() -> None:
    with pytest.raises(Infeasible, match="500 tokens is more than 4 epochs of all groups, 400"):
        unimax({"a": 100}, 500, 4)


def test_fixed_shares() -> None:
    sizes = {"a": 100, "b": 300, "c": 50}
    shares = {"a": 0.75, "b": 0.25}
    assert fixed_capacity(sizes, shares, 3) == 400
    assert fixed(sizes, 400, 3, shares) == {"a": 300, "b": 100, "c": 0}
    with pytest.raises(Infeasible, match="group 'a' is asked for 600 tokens but holds 100"):
        fixed(sizes, 800, 3, shares)
    with pytest.raises(ValueError, match="share for 'd', but the groups are 'a', 'b', 'c'"):
        fixed(sizes, 10, 3, {"d": 1.0})
    with pytest.raises(ValueError, match=r"sum to 0\.9, expected 1"):
        fixed(sizes, 10, 3, {"a": 0.9})
    with pytest.raises(ValueError, match=r"the share of 'a' is -0\.5"):
        fixed(sizes, 10, 3, {"a": -0.5, "b": 1.5})


@pytest.mark.parametrize(("size", "budget", "epochs"), [(-1, 0, 1), (1, -1, 1), (1, 1, 0), (1, float("nan"), 1)])
def test_bad_figures_are_refused(size: int, budget: float, epochs: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        unimax({"a": size}, budget, epochs)
