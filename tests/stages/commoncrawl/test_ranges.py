"""Coalescing and packing: every record once, whole, and nothing larger than it may be."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from winnow.stages.commoncrawl.units import coalesce, pack

RECORDS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 400), st.integers(1, 120)), max_size=60
)  # file, distance from the end of the one before (overlaps come by `lapped`), length
NUMBER = np.int64


def places(records: list[tuple[int, int, int]], lapped: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted records of files; with overlaps where asked, as no sound index has them."""
    rows, ends = [], dict.fromkeys(range(4), 0)
    for file, distance, length in sorted(records, key=lambda record: record[0]):
        start = max(0, ends[file] + distance - (60 if lapped else 0))
        rows.append((file, start, length))
        ends[file] = start + length
    columns = np.array(sorted(rows), NUMBER).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


@given(RECORDS, st.integers(0, 300), st.integers(1, 900), st.integers(1, 9), st.booleans())
@example([(0, 0, 4), (0, 59, 1), (0, 57, 1)], 0, 3, 2, True)
def test_ranges_cover_every_record_once(
    records: list[tuple[int, int, int]], gap: int, most: int, count: int, lapped: bool
) -> None:
    file, offset, length = places(records, lapped)
    spans = coalesce(file, offset, length, gap, most, count)
    bounds = [*spans.first.tolist(), len(file)]
    assert bounds[0] == 0 and all(a < b for a, b in itertools.pairwise(bounds))
    for at, (first, behind) in enumerate(itertools.pairwise(bounds)):
        start, end = int(spans.start[at]), int(spans.end[at])
        rows = range(first, behind)
        assert len(rows) <= count and len({int(file[row]) for row in rows}) == 1
        assert start == min(int(offset[row]) for row in rows)
        assert end == max(int(offset[row] + length[row]) for row in rows)
        assert end - start <= most or len(rows) == 1
        reach = start
        for row in rows:
            assert int(offset[row]) - reach <= gap
            reach = max(reach, int(offset[row] + length[row]))
    for at, first in enumerate(spans.first.tolist()[1:], 1):  # what is apart could not have been together
        together = int(max(offset[first] + length[first], spans.end[at - 1]) - spans.start[at - 1])
        apart = file[first] != file[first - 1] or int(offset[first]) - int(spans.end[at - 1]) > gap
        full = first - int(spans.first[at - 1]) >= count
        assert apart or full or together > most


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 20)), max_size=80), st.integers(1, 900), st.integers(1, 60)
)
def test_units_are_as_full_as_they_may_be(ranges: list[tuple[int, int]], most_bytes: int, most_records: int) -> None:
    sizes, records = (np.array([one[at] for one in ranges], NUMBER) for at in (0, 1))
    cuts = [*pack(sizes, records, most_bytes, most_records), len(ranges)]
    assert cuts == sorted(set(cuts)) and cuts[0] == 0
    for first, behind in itertools.pairwise(cuts):
        fits = sizes[first:behind].sum() <= most_bytes and records[first:behind].sum() <= most_records
        assert fits or behind - first == 1
        if behind < len(ranges):
            bytes_more, records_more = sizes[first : behind + 1].sum(), records[first : behind + 1].sum()
            assert bytes_more > most_bytes or records_more > most_records


def test_a_gap_that_is_just_right() -> None:
    file, offset, length = (np.array(values, NUMBER) for values in ([1, 1, 1, 2], [0, 110, 221, 0], [10, 10, 10, 10]))
    assert coalesce(file, offset, length, 100).first.tolist() == [0, 2, 3]
    assert coalesce(file, offset, length, 99).first.tolist() == [0, 1, 2, 3]
    assert coalesce(file, offset, length, 101).sizes.tolist() == [231, 10]
