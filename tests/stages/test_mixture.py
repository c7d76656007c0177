"""The mixture stage: groups, sizes, epochs and its refusals."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.filters.hash_random import realise
from winnow.filters.languages import language_pack
from winnow.stages.base import StageError
from winnow.stages.mixture import Mixture
from winnow.stages.opening import opened

Row = tuple[str | None, int]  # label, tokens


@dataclass(frozen=True)
class MemoryPart:
    """A part whose rows are a table."""

    index: int
    table: pa.Table

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def read(self, columns: Sequence[str]) -> pa.Table:
        ones = pa.array([1.0] * self.rows, pa.float64())
        return self.table.append_column("multiplicity", ones).select(list(columns))


def mixture(**chosen: Any) -> Mixture:
    chosen = {"by": "domain.label", "tokens": "shards.tokens"} | chosen
    return Mixture(name="mixture", settings=Mixture.Settings(**chosen), pack=language_pack("ko"))


def parts_of(*groups: Sequence[Row], kind: pa.DataType | None = None) -> list[MemoryPart]:
    return [
        MemoryPart(
            index,
            pa.table(
                {
                    "domain.label": pa.array([label for label, _ in rows], kind or pa.string()),
                    "shards.tokens": pa.array([tokens for _, tokens in rows], pa.int32()),
                }
            ),
        )
        for index, rows in enumerate(groups)
    ]


def reduced(stage: Mixture, parts: Sequence[MemoryPart]) -> list[tuple[str, float]]:
    batches = list(opened(stage).reduce(parts, []))
    assert [b.num_rows for b in batches] == [part.rows for part in parts]
    for signals in batches:
        assert dict(zip(signals.schema.names, signals.schema.types, strict=True)) == stage.signals()
    return [(row["group"], row["multiplicity"]) for signals in batches for row in signals.to_pylist()]


NEWS: list[Row] = [("news", 60), ("news", 40)]
WEB: list[Row] = [("web", 1_000)] * 10
LAW: list[Row] = [("law", 10)]


def test_unimax_evens_out_under_the_cap() -> None:
    stage = mixture(budget_tokens=1_000)
    found = reduced(stage, parts_of(NEWS + WEB[:4], WEB[4:] + LAW))
    assert dict(found) == {"news": 4.0, "web": pytest.approx(0.056), "law": 4.0}
    report = opened(stage).report()
    assert report["budget_tokens"] == report["allocated_tokens"] == 1_000
    assert report["tokens"] == 10_110
    assert list(report["groups"]) == ["law", "news", "web"]
    assert report["groups"]["web"] == {
        "documents": 10,
        "tokens": 10_000,
        "epochs": pytest.approx(0.056),
        "allocated_tokens": 560,
        "share": pytest.approx(0.56),
    }


def test_without_a_budget_every_document_comes_once() -> None:
    stage = mixture()
    assert dict(reduced(stage, parts_of(NEWS, WEB, LAW))) == {"news": 1.0, "web": 1.0, "law": 1.0}
    report = opened(stage).report()
    assert report["solver"] == "natural" and "shrunk_from" not in report
    assert report["tokens"] == report["budget_tokens"] == report["allocated_tokens"] == 10_110
    assert {group: found["tokens"] for group, found in report["groups"].items()} == {
        "law": 10,
        "news": 100,
        "web": 10_000,
    }
    assert dict(reduced(mixture(max_epochs=0.5), parts_of(NEWS, WEB))) == {"news": 0.5, "web": 0.5}


def test_a_declared_solver_without_a_budget_repeats_and_leaves_nothing_out() -> None:
    some: list[Row] = [("some", 4_000)]
    stage = mixture(solver="unimax")
    assert dict(reduced(stage, parts_of(NEWS, WEB, some))) == {"news": 4.0, "web": 1.0, "some": 2.5}
    assert opened(stage).report()["budget_tokens"] == opened(stage).report()["allocated_tokens"] == 20_400
    between = dict(reduced(mixture(solver="temperature", max_epochs=30), parts_of(NEWS, WEB, some)))
    assert between == {"news": pytest.approx(10.0), "web": 1.0, "some": pytest.approx(2.5**0.5)}
    fixed = mixture(solver="fixed", shares={"web": 0.5, "some": 0.5})
    assert dict(reduced(fixed, parts_of(WEB, some))) == {"web": 1.0, "some": 2.5}


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2 * 10**9), min_size=1),
    st.sampled_from([{}, {"solver": "natural"}, {"solver": "unimax"}, {"solver": "temperature", "alpha": 0.3}]),
    st.floats(1, 64),
)
def test_without_a_budget_no_solver_leaves_a_document_out(
    sizes: dict[str, int], chosen: dict[str, Any], max_epochs: float
) -> None:
    stage = mixture(**chosen, max_epochs=max_epochs)
    rates = np.array([rate for _, rate in reduced(stage, parts_of(list(sizes.items())))], np.float32)
    assert realise(rates, pa.array([f"{i:032x}" for i in range(len(rates))]), 0).min() >= 1
    if chosen.get("solver", "natural") == "natural":
        assert (rates == 1).all()


def test_with_a_budget_the_natural_mixture_keeps_the_shares() -> None:
    for budget, epochs in ((5_055, 0.5), (30_330, 3.0)):
        rates = reduced(mixture(solver="natural", budget_tokens=budget), parts_of(NEWS, WEB, LAW))
        assert all(rate == pytest.approx(epochs) for _, rate in rates)


def test_fixed_shares() -> None:
    stage = mixture(solver="fixed", shares={"news": 0.5, "web": 0.5}, budget_tokens=800)
    assert dict(reduced(stage, parts_of(NEWS, WEB, LAW))) == {"news": 4.0, "web": pytest.approx(0.04), "law": 0.0}
    most = mixture(solver="fixed", shares={"news": 0.25, "web": 0.75})
    reduced(most, parts_of(NEWS, WEB))
    assert opened(most).report()["budget_tokens"] == 1_600
    with pytest.raises(StageError, match="mixture: share for 'novel', but the groups are 'news', 'web'"):
        reduced(mixture(solver="fixed", shares={"novel": 1.0}), parts_of(NEWS, WEB))
    with pytest.raises(StageError, match="group 'news' is asked for 600 tokens but holds 100"):
        reduced(mixture(solver="fixed", shares={"news": 0.5, "web": 0.5}, budget_tokens=1_200), parts_of(NEWS, WEB))


def test_no_label_is_a_group_and_so_is_a_group_without_tokens() -> None:
    stage = mixture()
    assert reduced(stage, parts_of([(None, 5), ("web", 5), ("empty", 0)])) == [
        ("null", 1.0),
        ("web", 1.0),
        ("empty", 1.0),
    ]
    assert opened(stage).report()["groups"]["empty"]["allocated_tokens"] == 0


def test_labels_need_not_be_strings() -> None:
    rows: list[Row] = [("3", 1), ("4", 2), (None, 3)]
    dictionary = parts_of(rows, kind=pa.dictionary(pa.int32(), pa.string()))
    assert [group for group, _ in reduced(mixture(), dictionary)] == ["3", "4", "null"]
    numbers = [MemoryPart(0, part.table.set_column(0, "domain.label", pa.array([3, 4, None]))) for part in dictionary]
    assert [group for group, _ in reduced(mixture(), numbers)] == ["3", "4", "null"]


def test_too_large_a_budget_is_refused_or_cut_and_reported() -> None:
    with pytest.raises(StageError, match=r"mixture: a budget of 900 tokens .* 400; lower budget_tokens"):
        reduced(mixture(budget_tokens=900), parts_of(NEWS))
    stage = mixture(budget_tokens=900, shortage="shrink")
    assert dict(reduced(stage, parts_of(NEWS))) == {"news": 4.0}
    assert opened(stage).report()["shrunk_from"] == 900
    assert opened(stage).report()["budget_tokens"] == 400


def test_token_counts_must_be_there() -> None:
    with pytest.raises(StageError, match=r"mixture: no token counts .* add a tokenize stage"):
        reduced(mixture(tokens=None), parts_of(NEWS))
    assert mixture(tokens=None).reads() == ["domain.label"]
    assert mixture().reads() == ["domain.label", "shards.tokens"]
    missing = pa.table({"domain.label": ["a", "b"], "shards.tokens": pa.array([1, None])})
    with pytest.raises(StageError, match=r"mixture: 'shards\.tokens' has 1 nulls and a least value of 1 in part 0"):
        reduced(mixture(), [MemoryPart(0, missing)])
    broken = pa.table({"domain.label": ["a"], "shards.tokens": [1.5]})
    with pytest.raises(StageError, match=r"mixture: 'shards.tokens' is double, expected whole token counts"):
        reduced(mixture(), [MemoryPart(0, broken)])


def test_nothing_in_nothing_out() -> None:
    stage = mixture()
    assert reduced(stage, []) == reduced(stage, parts_of([], [])) == []
    assert opened(stage).report()["groups"] == {}


def test_it_travels_and_asks_for_no_exchange() -> None:
    stage = mixture()
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.clauses() == {} and stage.hidden() == {} and stage.buckets(10) == 0


@pytest.mark.parametrize("wrong", [{"max_epochs": 0}, {"alpha": 2}, {"solver": "unmax"}, {"budget_tokens": -1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        mixture(**wrong)


def test_shares_are_checked_before_anything_runs() -> None:
    with pytest.raises(ValidationError, match="solver 'fixed' needs 'shares'"):
        mixture(solver="fixed")
    with pytest.raises(ValidationError, match="'shares' go with solver 'fixed', but the solver is 'natural'"):
        mixture(shares={"news": 1.0})
    with pytest.raises(ValidationError, match="'shares' go with solver 'fixed', but the solver is 'unimax'"):
        mixture(shares={"news": 1.0}, budget_tokens=10)
    with pytest.raises(ValidationError, match=r"the shares sum to 0\.5, expected 1"):
        mixture(solver="fixed", shares={"news": 0.5})


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.integers(0, 5_000)), min_size=1, max_size=40),
    st.integers(0, 2**32),
    st.sampled_from(["unimax", "temperature"]),
)
def test_partitions_and_their_order_do_not_matter(rows: list[Row], seed: int, solver: str) -> None:
    stage = mixture(solver=solver, max_epochs=3)
    expected = sorted(reduced(stage, parts_of(rows)))
    report = opened(stage).report()
    rng = random.Random(seed)
    shuffled = rng.sample(rows, len(rows))
    cut = rng.randrange(len(rows) + 1)
    assert sorted(reduced(stage, parts_of(shuffled[:cut], [], shuffled[cut:]))) == expected
    assert opened(stage).report() == report


def test_realised_copies_reach_the_budget() -> None:
    """Group sizes in copies come out within 4 standard errors of the allocation."""
    big: list[Row] = [("big", 100)] * 20_000
    small: list[Row] = [("small", 100)] * 3_000
    rows = big + small
    stage = mixture(max_epochs=2.5, budget_tokens=2_000_000)
    rates = np.array([rate for _, rate in reduced(stage, parts_of(rows))], np.float32)
    copies = realise(rates, pa.array([f"{i:032x}" for i in range(len(rows))]), 0)
    for group, first, last in (("big", 0, 20_000), ("small", 20_000, 23_000)):
        allocated = opened(stage).report()["groups"][group]["allocated_tokens"]
        assert abs(int(copies[first:last].sum()) * 100 - allocated) < 4 * 100 * 0.5 * (last - first) ** 0.5
