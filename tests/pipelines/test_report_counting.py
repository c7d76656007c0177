"""What a report counts with: histograms, threshold curves, bounded tallies; and the layout of its graph."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from winnow.pipelines.results.report.clauses import Notches, grid
from winnow.pipelines.results.report.dag import places
from winnow.pipelines.results.report.figures import Amount, Step
from winnow.pipelines.results.report.histogram import Counter, axis_of
from winnow.pipelines.results.sums import Sums

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(floats | st.just(math.nan), st.booleans(), st.booleans()), max_size=60), st.integers(0, 60))
def test_every_value_is_counted_in_its_bin(rows: list[tuple[float, bool, bool]], cut: int) -> None:
    values = np.array([v for v, _, _ in rows], np.float32)
    seen, kept = (np.array([row[at] for row in rows], bool) for at in (1, 2))
    whole, parts = Counter(), Counter()
    whole.add(values, seen, kept)
    parts.add(values[:cut], seen[:cut], kept[:cut])
    parts.histogram()
    parts.add(values[cut:], seen[cut:], kept[cut:])
    found, added = whole.histogram(), parts.histogram()
    assert found.missing == added.missing == np.isnan(values[seen]).sum()
    counted = seen & ~np.isnan(values)
    values, kept = values[counted], kept[counted]
    assert found.at.tolist() == added.at.tolist() and found.seen.tolist() == added.seen.tolist()
    assert found.kept.tolist() == added.kept.tolist()
    assert found.rows == len(values) and found.kept.sum() == kept.sum()
    assert (np.diff(found.at) > 0).all()
    for value in values.astype(np.float64):
        near = found.at[np.argmin(np.abs(found.at - value))]
        assert abs(near - value) <= abs(value) / 64 + 1e-37


@given(
    st.sampled_from(["<", "<=", ">", ">="]),
    st.sampled_from([0.4, 0.65, 0.01, 1.0, 2.4, 40.0, 0.0, -3.5, 100000.0]),
    st.lists(st.integers(0, 300), max_size=40),
    st.booleans(),
)
def test_every_notch_is_counted_as_the_selection_would(op: str, number: float, at: list[int], integer: bool) -> None:
    number = float(round(number)) if integer else number
    notches = grid(number, integer)
    assert number in notches and (np.diff(notches) > 0).all()
    chosen = notches[np.array(at, int) % len(notches)] if at else np.zeros(0)
    values = chosen if integer else chosen.astype(np.float32)
    counter = Notches(op, number, integer)
    counter.add(values, values[:1])
    curve = counter.curve("c", 1.0, True)
    frame = pl.DataFrame({"x": values})
    for notch, threshold in enumerate(notches.tolist()):
        expected = int(frame.select(pl.sql_expr(f"x {op} {threshold:f}").sum()).item())
        assert curve.kept[notch] == expected
    assert curve.notches[curve.now] == number


@given(st.lists(st.text("abcdefgh", max_size=1), max_size=80), st.integers(1, 4))
def test_a_sums_in_bounded_memory_is_wrong_by_no_more_than_it_says(names: list[str], most: int) -> None:
    sums = Sums(["key"], ["n"], most)
    for start in range(0, len(names), 7):
        sums.add(pl.DataFrame({"key": names[start : start + 7]}, {"key": pl.String}).with_columns(n=pl.lit(True)))
        sums.ranked()
    found = dict(sums.ranked().iter_rows())
    assert len(found) <= most
    for name, count in found.items():
        assert count <= names.count(name) <= count + sums.error
    for name in set(names) - set(found):
        assert names.count(name) <= sums.error


def step(name: str, *over: str) -> Step:
    nothing = Amount()
    kind = "map" if over else "source"
    return Step(name, kind, False, False, over, nothing, nothing, nothing, (), nothing, None, None)


def test_branches_of_the_graph_have_lanes_of_their_own() -> None:
    steps = [step("in"), step("a", "in"), step("b", "a"), step("c", "a"), step("d", "b"), step("e", "b", "c", "d")]
    laid = places(steps)
    assert laid["e"].parents == ("d", "c")  # b is implied by d
    assert laid["a"].lane == laid["c"].lane == laid["e"].lane == 0
    assert laid["b"].lane == laid["d"].lane == 1


@given(st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=3), max_size=12))
def test_no_edge_of_the_graph_runs_through_another_step(over: list[set[int]]) -> None:
    steps = [step("0")]
    steps += [step(str(n + 1), *(str(o) for o in sorted({o % (n + 1) for o in above}))) for n, above in enumerate(over)]
    laid = places(steps)
    for place in laid.values():
        joins = any(laid[name].lane == place.lane for name in place.parents)
        for parent in (laid[name] for name in place.parents):
            lane = parent.lane if joins else place.lane
            between = [p for p in laid.values() if p.lane == lane and parent.row < p.row < place.row]
            assert not between, (parent, place, between)


@given(st.integers(-3000, 3_000_000), st.integers(0, 400), st.booleans(), st.lists(st.floats(-10, 5000), max_size=2))
def test_an_axis_has_bins_for_all_its_values(low: int, span: int, integer: bool, numbers: list[float]) -> None:
    """A year, the same for all documents, among them."""
    histogram = Counter()
    values = np.array([low, low, low + span], np.float32)
    histogram.add(values, np.ones(3, bool), np.ones(3, bool))
    bounds = tuple(("c", ">=", number) for number in numbers)
    axis = axis_of(histogram.histogram(), integer, bounds)
    assert axis.low < axis.high and (np.diff(axis.edges) > 0).all() and len(axis.edges) >= 2
    assert histogram.histogram().rebinned(axis.edges)[0].sum() == 3
    assert ((axis.position(values.astype(float)) >= 0) & (axis.position(values.astype(float)) <= 1)).all()


def test_a_run_over_texts_has_no_step_for_what_looks_at_pages() -> None:
    steps = [step("in"), step("urls"), step("language", "extract")]
    steps[1:] = [replace(steps[1], kind="screen", pages=True), steps[2]]
    laid = places(steps, ["in"])
    assert laid["urls"].parents == ("in",) and laid["language"].parents == ("urls",)
