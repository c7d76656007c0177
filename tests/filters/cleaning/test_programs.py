"""Edit programs: strict reading, ProX's rules of execution in their order."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.cleaning.programs import OPERATIONS, BadOperation, Operation, execute, parse
from winnow.filters.edits import apply

TEXT = "\n".join(["메뉴 | 로그인", *(f"{i}번째 문장은 여기에 이렇게 씁니다." for i in range(5)), "Copyright 2024"])


def result(text: str, program: str | list[str]) -> str:
    return apply(text, execute(text, program).edits)


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("remove_lines(line_start=0, line_end=3)", Operation("remove_lines", 0, 3)),
        ("remove_lines(start=0,end=3);", Operation("remove_lines", 0, 3)),
        (" remove_lines(0, 3) ", Operation("remove_lines", 0, 3)),
        ("remove_lines(all=True)", Operation("remove_lines")),
        ('normalize(source_str="a, b)", target_str="(c")', Operation("normalize", source="a, b)", target="(c")),
        (
            r"""normalize(source_str='it\'s \d "x"')""",
            Operation("normalize", source=r"""it's \d "x\"""".replace('\\"', '"')),
        ),
        ("untouch_doc()", Operation("untouch_doc")),
        ("drop_doc()", Operation("drop_doc")),
    ],
)
def test_operations_are_read(line: str, operation: Operation) -> None:
    assert parse(line) == operation


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("remove_line(0, 1)", "unknown operation 'remove_line'.*nearest: 'remove_lines'"),
        ("remove_lines(line_start=5, line_end=2)", "expected 0 <= line_start <= line_end"),
        ("remove_lines(line_start=-1, line_end=2)", "expected 0 <= line_start"),
        ("remove_lines(line_start=1)", "expected 0 <= line_start"),
        ("remove_lines(1, 2, 3)", "unexpected argument '3'"),
        ("remove_lines(1, line_start=2)", "unexpected argument 'line_start=2'"),
        ('remove_lines("1", "2")', "unexpected argument"),
        ("remove_lines(1 + 1, 3)", "cannot read the arguments at '1 [+] 1, 3'"),
        ('normalize(source_str="")', "more than white space"),
        (r'normalize(source_str="a\nb")', "without a line feed"),
        ("normalize(source_str=open('x'))", "cannot read the arguments"),
        ("__import__('os').system('x')", "is no operation|unknown operation"),
        ("I would remove the first line.", "is no operation"),
        ("keep_doc(1)", "unexpected argument"),
        ("normalize(" + "(" * 30_000, "is no operation"),
    ],
)
def test_what_is_no_operation_is_explained(line: str, complaint: str) -> None:
    with pytest.raises(BadOperation, match=complaint):
        parse(line)


def test_lines_go_and_strings_change() -> None:
    outcome = execute(
        TEXT,
        'remove_lines(line_start=0, line_end=0)\nnormalize(source_str="씁니다", target_str="적는다")\nremove_lines(6, 6)',
    )
    assert outcome.verdict == "edited" and outcome.bad == []
    after = apply(TEXT, outcome.edits).split("\n")
    assert after == [f"{i}번째 문장은 여기에 이렇게 적는다." for i in range(5)]
    assert {edit.rule for edit in outcome.edits} == {"program.remove_lines", "program.normalize"}


def test_the_rules_in_their_order() -> None:
    bad = "oops()\n"
    assert execute(TEXT, "keep_doc()").verdict == "kept"
    assert execute(TEXT, "").verdict == "kept"
    assert execute(TEXT, "drop_doc()").verdict == "dropped"
    assert execute(TEXT, ["remove_lines(0, 5)"]).verdict == "dropped"  # two words are left
    assert execute(TEXT, bad + "remove_lines(0, 0)").verdict == "edited"
    refused = execute(TEXT, bad * 2 + "remove_lines(0, 0)")
    assert refused.verdict == "refused" and refused.edits == [] and len(refused.bad) == 2
    assert refused.bad[0].startswith("operation 0: unknown operation 'oops'")
    long = "\n".join(f"word{i} " * 20 for i in range(100))
    assert execute(long, "remove_lines(0, 94)").verdict == "dropped"  # 100 words are left, and 95% are gone
    assert execute(long, bad * 2 + "remove_lines(0, 94)").verdict == "refused"
    assert execute(long, bad * 2 + "remove_lines(0, 99)").verdict == "dropped"  # ten words and fewer: however bad
    assert execute("too short to stay", "keep_doc()").verdict == "dropped"
    assert execute("", "keep_doc()").verdict == "dropped"


def test_lines_beyond_the_end_are_left_out_and_counted() -> None:
    outcome = execute(TEXT, "remove_lines(line_start=6, line_end=9)")
    assert outcome.verdict == "edited" and apply(TEXT, outcome.edits).endswith("씁니다.")
    assert outcome.bad == ["operation 0: lines 6 to 9 of a text of 7: expected at most 6"]


def test_a_normalization_does_not_move_the_lines() -> None:
    program = ['normalize("문장은")', "remove_lines(1, 1)", 'normalize("메뉴", "차림")']
    assert result(TEXT, program).startswith("차림 | 로그인\n1번째  여기에")


CALL = st.builds(
    lambda name, arguments: f"{name}({arguments})",
    st.sampled_from([*OPERATIONS, "oops"]),
    st.one_of(
        st.just(""),
        st.builds("{}, {}".format, st.integers(-1, 9), st.integers(-1, 9)),
        st.builds('"{}", "{}"'.format, st.text("문장 1\u0301a", max_size=3), st.text("가a\\n", max_size=2)),
        st.text(max_size=8),
    ),
)


@settings(max_examples=500)
@given(st.lists(CALL, max_size=6))
def test_any_program_gives_sound_edits_or_none(program: list[str]) -> None:
    outcome = execute(TEXT, program)
    after = apply(TEXT, outcome.edits)
    assert unicodedata.is_normalized("NFC", after)
    assert (outcome.verdict == "edited") == (after != TEXT) or (outcome.verdict == "edited" and outcome.edits)
    assert outcome.verdict in ("kept", "edited") or outcome.edits == []
    assert len(outcome.bad) < 2 or outcome.verdict in ("refused", "dropped")
