"""Edits of a text: applied as written, refused where they cannot be meant, free where there are none."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.edits import EDITS, Edit, OverlappingEdits, apply, apply_column, column, edits


@st.composite
def edited(draw):
    """A text with sorted edits that are apart."""
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8).map(lambda cuts: cuts[: len(cuts) // 2 * 2])))
    new = [draw(st.text("ab가\n", max_size=3)) for _ in cuts[::2]]
    return text, [Edit(a, b, t, "rule") for a, b, t in zip(cuts[::2], cuts[1::2], new, strict=True)]


@given(edited())
def test_what_lies_between_edits_stays(case):
    text, changes = case
    after = apply(text, changes)
    kept = []
    at = 0
    for change in changes:
        kept.append(text[at : change.start] + change.text)
        at = change.end
    assert after == "".join(kept) + text[at:]
    assert len(after) == len(text) + sum(len(c.text) - (c.end - c.start) for c in changes)


@given(st.lists(edited(), max_size=6))
def test_a_column_is_its_rows(cases):
    texts = pa.array([text for text, _ in cases], pa.large_string())
    changes = column(change for _, change in cases)
    assert changes.type == EDITS
    expected = [unicodedata.normalize("NFC", apply(t, c)) if c and t else t for t, c in cases]
    assert apply_column(texts, changes).to_pylist() == expected
    assert [edits(row) for row in changes.to_pylist()] == [change for _, change in cases]


def test_rows_without_edits_are_the_same_column():
    texts = pa.array(["가", "나"], pa.large_string())
    assert apply_column(texts, column([[], []])) is texts
    assert apply_column(texts, pa.nulls(2, EDITS)) is texts


def test_a_text_that_was_given_up_stays_empty():
    assert apply_column(pa.array([""], pa.large_string()), column([[Edit(3, 5, "", "x")]])).to_pylist() == [""]


def test_an_edited_text_is_composed_again():
    (text,) = apply_column(pa.array(["e-\u0301"], pa.large_string()), column([[Edit(1, 2, "", "x")]])).to_pylist()
    assert text == "\xe9"


@pytest.mark.parametrize(
    "changes",
    [[Edit(0, 4, "", "x")], [Edit(1, 2, "", "x"), Edit(1, 2, "", "x")], [Edit(2, 1, "", "x")], [Edit(-1, 1, "", "x")]],
)
def test_edits_that_cannot_be_meant_are_refused(changes):
    with pytest.raises(OverlappingEdits, match=r"rule 'x' in a text of 3 characters: expected edits in order"):
        apply("abc", changes)
