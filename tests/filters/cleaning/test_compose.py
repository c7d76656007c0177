"""Edits of edits do in one go what the steps do one after the other."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.edits import Edit, apply, chain, compose, narrowed, removals


@st.composite
def edits_of(draw: st.DrawFn, text: str, rule: str) -> list[Edit]:
    marks = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return [Edit(start, end, draw(st.text("xyz가\n", max_size=3)), rule) for start, end in pairs]


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, list[list[Edit]]]:
    text = after = draw(st.text("ab가😀\n", max_size=12))
    found = []
    for number in range(draw(st.integers(1, 4))):
        found.append(draw(edits_of(after, f"r{number}")))
        after = apply(after, found[-1])
    return text, found


@settings(max_examples=1000)
@given(steps())
def test_composition_equals_the_steps_in_a_row(case: tuple[str, list[list[Edit]]]) -> None:
    text, all_edits = case
    after, composed = text, list[Edit]()
    for edits in all_edits:
        composed = compose(text, composed, edits)
        after = apply(after, edits)
        assert apply(text, composed) == after
    rules = {rule for edit in composed for rule in edit.rule.split("+")}
    assert rules <= {edit.rule for edits in all_edits for edit in edits}


def test_each_edit_keeps_its_rule_and_those_that_touch_have_both() -> None:
    steps = [
        lambda text: [Edit(0, 1, "b", "first"), Edit(4, 5, "", "first")],
        lambda text: [Edit(0, 1, "c", "second"), Edit(2, 3, "", "second")],
    ]
    assert chain("a1234x", steps) == [
        Edit(0, 1, "c", "first+second"),
        Edit(2, 3, "", "second"),
        Edit(4, 5, "", "first"),
    ]


@given(st.text("ab\n", max_size=12), st.sets(st.integers(0, 12)))
def test_removed_lines_leave_the_others_joined(text: str, numbers: set[int]) -> None:
    lines = text.split("\n")
    gone = {number: "r" for number in numbers if number < len(lines)}
    kept = [line for number, line in enumerate(lines) if number not in gone]
    assert apply(text, removals(text, gone)) == "\n".join(kept)


@given(st.text("ab", max_size=9), st.text("ab", max_size=9))
def test_a_narrowed_edit_makes_one_text_of_the_other(old: str, new: str) -> None:
    edits = narrowed(old, new, 0, "r")
    assert apply(old, edits) == new
    assert not edits or old != new
