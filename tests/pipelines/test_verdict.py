"""Intervals of `winnow prove` against what they claim, on made-up figures whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from winnow.pipelines.prove.arms import Arm
from winnow.pipelines.prove.draw import Urn, common_amount, overlap, sizes_in, urns_of
from winnow.pipelines.prove.protocol import ArmRecord, Caps
from winnow.pipelines.prove.verdict import Measured, compare, gap_closed, holm
from winnow.pipelines.results.table import RunError


def made(dice: np.random.Generator, effects: list[float], seeds: int = 5, noise: float = 0.05) -> Measured:
    """Arms whose models differ by effects, with noise of seeds common to targets and of documents; two targets."""
    arms = tuple("abc"[: len(effects)])
    sizes = {name: dice.integers(200, 2000, 40) for name in ("x", "y")}
    shift = dice.normal(0, noise, (len(effects), seeds, 1)) + np.array(effects)[:, None, None]
    bits = {
        name: (5 + shift + dice.normal(0, 0.05, (len(effects), 1, 40)) + dice.normal(0, 0.5, (1, 1, 40))) * size
        for name, size in sizes.items()
    }
    groups = {name: np.arange(40) for name in sizes}
    return Measured(arms, bits, sizes, groups, np.zeros(len(arms)), np.eye(len(arms)))


def test_false_wins_are_as_few_as_the_level_says() -> None:
    wrong, any_target = 0, 0
    for number in range(300):
        whole, each = compare(made(np.random.default_rng(number), [0, 0]), "a", "b", 0.95)
        wrong += whole.verdict != "tie"
        any_target += any(e.verdict != "tie" for e in each.values())
    assert wrong <= 23 and any_target <= 23  # 15 are expected; more than 23 in one of 50 such tests


def test_intervals_hold_the_truth() -> None:
    held = 0
    for number in range(300):
        whole, _ = compare(made(np.random.default_rng(number), [0.1, 0]), "a", "b", 0.95)
        held += whole.low <= 0.1 <= whole.high
    assert held >= 277


def test_the_order_of_arms_turns_the_sign_and_nothing_else() -> None:
    found = made(np.random.default_rng(1), [0.3, 0])
    there, back = compare(found, "a", "b", 0.95)[0], compare(found, "b", "a", 0.95)[0]
    assert there.verdict == "loss" and back.verdict == "win"
    assert np.allclose([there.value, there.low, there.high, there.p], [-back.value, -back.high, -back.low, back.p])


def test_more_seeds_and_less_noise_narrow_an_interval() -> None:
    def width(seeds: int, noise: float) -> float:
        every = [compare(made(np.random.default_rng(n), [0, 0], seeds, noise), "a", "b", 0.95)[0] for n in range(30)]
        return float(np.mean([e.high - e.low for e in every]))

    assert width(20, 0.05) < width(5, 0.05) < width(5, 0.2)


def test_draws_that_overlap_widen_it_unless_the_arms_are_of_the_same_documents() -> None:
    found = made(np.random.default_rng(2), [0, 0])
    half = Measured(found.arms, found.bits, found.sizes, found.groups, np.full(2, 0.5), np.eye(2))
    same = Measured(found.arms, found.bits, found.sizes, found.groups, np.full(2, 0.5), np.ones((2, 2)))
    errors = [compare(one, "a", "b", 0.95)[0].error for one in (found, half, same)]
    assert errors[0] == errors[2] < errors[1]


def test_documents_of_one_group_count_as_one() -> None:
    found = made(np.random.default_rng(3), [0, 0], noise=0.0)
    grouped = Measured(
        found.arms, found.bits, found.sizes, {n: g // 8 for n, g in found.groups.items()}, found.overlaps, found.sharing
    )
    two_copies = Measured(
        found.arms,
        {n: np.concatenate([b, b], axis=2) for n, b in found.bits.items()},
        {n: np.concatenate([s, s]) for n, s in found.sizes.items()},
        {n: np.concatenate([g, g]) for n, g in found.groups.items()},
        found.overlaps,
        found.sharing,
    )
    once, twice = compare(found, "a", "b", 0.95)[0], compare(two_copies, "a", "b", 0.95)[0]
    assert np.isclose(once.error, twice.error) and np.isclose(once.value, twice.value)
    assert compare(grouped, "a", "b", 0.95)[0].value == once.value


def test_the_gap_needs_an_oracle_that_wins() -> None:
    dice = np.random.default_rng(4)
    closed = gap_closed(made(dice, [0, 1, 0.5]), "c", "b", "a", 0.95)
    assert closed is not None and closed.low < 0.5 < closed.high and closed.high - closed.low < 0.5
    assert gap_closed(made(dice, [1, 0, 0.5]), "c", "b", "a", 0.95) is None


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == [] and holm([0.6, 0.9]) == [1.0, 1.0]


def urn(sizes: list[int], domains: list[str] | None = None, caps: Caps | None = None, name: str = "a") -> Urn:
    texts = ["가" * size for size in sizes]
    columns = {"domain": domains or [None] * len(sizes), "source": None, "noise": None, "kind": None}
    frame = pl.DataFrame({"id": [str(n) for n in range(len(sizes))], "text": texts, **columns})
    record = ArmRecord(name=name, reference=name, digest="", documents=len(sizes), characters=sum(sizes))
    arm = Arm(record, frame, frame.get_column("id"), np.zeros(len(sizes), np.int64))
    return Urn(arm, sizes_in("characters", ""), caps)


def test_a_draw_is_exactly_the_amount() -> None:
    dice = np.random.default_rng(5)
    arm = urn(dice.integers(1, 500, 300).tolist())
    for seed in range(5):
        drawn = arm.draw(20_000, seed)
        assert sum(map(len, drawn.texts)) == drawn.amounts.sum() == 20_000
        assert (drawn.rows == arm.draw(20_000, seed).rows).all()
        assert sum(len(text) != arm.amounts[row] for row, text in zip(drawn.rows, drawn.texts, strict=True)) <= 1
    assert 0.1 < overlap(arm, [arm.draw(20_000, seed) for seed in range(4)], 20_000) < 0.5


def test_a_larger_amount_has_all_of_a_smaller_one() -> None:
    arm = urn([100] * 200)
    small, large = arm.draw(3000, 1), arm.draw(6000, 1)
    assert set(small.rows) < set(large.rows)


def test_caps_hold_and_say_what_is_too_much() -> None:
    domains = ["law"] * 180 + ["news"] * 10 + ["essays"] * 10
    arm = urn([100] * 200, domains, Caps(by="domain", share=0.5))
    amount = common_amount([arm], 1800, "characters")
    drawn = arm.draw(amount, 0)
    law = sum(size for row, size in zip(drawn.rows, drawn.amounts, strict=True) if row < 180)
    assert law <= amount / 2 + 1 and drawn.amounts.sum() == amount
    with pytest.raises(RunError, match="'a' has 4,000 characters, with no domain above 50% of it: fewer than"):
        common_amount([arm], 10_000, "characters")


def test_bytes_and_tokens_are_cut_to_what_fits() -> None:
    for unit, each in (("bytes", 3), ("tokens", 1)):
        sizes = sizes_in(unit, "ko-bpe")  # type: ignore[arg-type]
        frame = pl.DataFrame(
            {"id": ["0", "1"], "text": ["오늘은 날이 맑다. " * 40, "마을 도서관에서 책을 읽었다. " * 40]}
        )
        frame = frame.with_columns(
            [pl.lit(None, pl.String).alias(name) for name in ("domain", "source", "noise", "kind")]
        )
        record = ArmRecord(name="a", reference="a", digest="", documents=2, characters=1)
        drawn = Urn(Arm(record, frame, frame.get_column("id"), np.zeros(2, np.int64)), sizes, None).draw(200, 0)
        assert 200 - each <= drawn.amounts.sum() <= 200
        assert int(sizes(drawn.texts).sum()) == drawn.amounts.sum()


def test_a_selections_sources_have_their_shares_in_each_draw_and_a_samples_do_not() -> None:
    def shares(shared: list[int], caps: Caps | None = None) -> list[float]:
        arms = [urn([100] * 200, ["law"] * 60 + ["news"] * 140).arm for _ in range(2)]
        sources = pl.Series("source", ["a"] * 60 + ["b"] * 140)
        arms = [replace(arm, frame=arm.frame.with_columns(sources), shared=np.array(shared)) for arm in arms]
        one = urns_of(arms, sizes_in("characters", ""), caps)[0]
        drawn = [one.draw(6000, seed) for seed in range(6)]
        assert all(draw.amounts.sum() == 6000 for draw in drawn)
        return [float(draw.amounts[draw.rows < 60].sum()) / 6000 for draw in drawn]

    assert shares([3] * 200) == pytest.approx([0.3] * 6, abs=0.001)
    sampled = shares([1] * 200)
    assert len(set(sampled)) > 2 and np.mean(sampled) == pytest.approx(0.3, abs=0.06)
    capped = shares([1] * 200, Caps(by="domain", share=0.71))
    assert min(capped) >= 0.29 - 0.001 and len(set(capped)) > 1  # a cap bounds a sample's chance, it does not fix it
