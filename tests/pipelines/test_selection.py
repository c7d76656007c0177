"""The selection language: what a clause may say, and that a verdict is what SQL says it is, row by row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.pipelines.selection.clause import ClauseError
from winnow.pipelines.selection.language import compile_clauses
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, UNSEEN, explain, holds, verdict

KNOWN = {
    "language.label": pa.string(),
    "language.score": pa.float32(),
    "rules.word_count": pa.int32(),
    "dedup.representative": pa.bool_(),
}


def test_a_conjunction_gives_each_reason_its_name_value_and_threshold() -> None:
    label, score = compile_clauses("language", "label = 'ko' and score >= 0.65", KNOWN)
    assert (label.name, label.signal, label.threshold) == ("language.label", "language.label", "= 'ko'")
    assert (score.name, score.signal, score.threshold) == ("language.score", "language.score", ">= 0.65")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("word_count between 3 and 5", ["rules.word_count"]),
        ("word_count > 3 and word_count < 9", ["rules.word_count", "rules.word_count_2"]),
        ("word_count > 3 or language.score > 0.5 and word_count < 9", ["rules.word_count"]),
        ("(word_count > 3 and language.score > 0.5)", ["rules.word_count"]),
        ("word_count between 3 and 5 and language.label = 'a and b'", ["rules.word_count", "rules.label"]),
        ("not dedup.representative and word_count > 1", ["rules.representative", "rules.word_count"]),
        ("case when word_count > 3 and word_count < 5 then true else false end", ["rules.word_count"]),
    ],
)
def test_only_top_level_ands_split(text: str, names: list[str]) -> None:
    assert [c.name for c in compile_clauses("rules", text, KNOWN)] == names


def test_a_bare_boolean_signal_is_a_clause() -> None:
    (clause,) = compile_clauses("dedup", "representative", KNOWN)
    assert (clause.signal, clause.threshold) == ("dedup.representative", "true")


@pytest.mark.parametrize(
    ("stage", "keep", "words"),
    [
        ("language", "lable = 'ko'", ["'lable'", "nearest: 'label'"]),
        ("language", "score >= 'a'", ["language.score is float"]),
        ("language", "label > 3", ["language.label is string"]),
        ("language", "avg(score) > 1", ["function 'avg'", "is not available", "expected one of"]),
        ("language", "label >= 0.5", ["language.label", "is string", "cannot compare string"]),
        ("language", "score >= quantile(7)", ["a number from 0 to 1"]),
        ("language", "quantile(0.5) > 1 + 1 or score > 1", ["quantile() of what?"]),
        ("language", "top 30 of tokens by score", ["expected: top 30% of tokens by SCORE"]),
        ("language", "top 30% of tokens by score", ["nothing counts tokens", "of documents"]),
        ("language", "top 130% of documents by score", ["up to 100%"]),
        ("language", "top 30% of documents by label", ["is String", "expected a number"]),
        ("language", "top 30% of documents by score per score", ["expected a label"]),
        ("language", "top 30% of documents by score temperature 0", ["temperature 0", "above 0"]),
        ("language", "top 30% of score by score", ["expected documents, tokens, bytes or a count"]),
        ("language", "sample(2)", ["a share from 0 to 1"]),
        ("language", "sample()", ["takes the share to keep"]),
        ("language", "score > uniform(3)", ["uniform() takes nothing"]),
        ("language", "score and", ["AND without something"]),
        ("language", {"a b": "score > 1"}, ["clause name 'a b'"]),
        ("language", "score", ["expected a boolean"]),
        ("rules", "", ["empty clause"]),
        ("rules", "word_count >", ["cannot be evaluated"]),
        ("language", "score >= 0.5; drop table x", ["cannot read", ";"]),
        ("rules", {"short": "quality.score > 1"}, ["'quality.score'", "neither it nor an ancestor"]),
    ],
)
def test_a_clause_that_cannot_be_used_is_refused_with_one_sentence(stage: str, keep: str, words: list[str]) -> None:
    with pytest.raises(ClauseError) as error:
        compile_clauses(stage, keep, KNOWN)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_null_does_not_keep_and_says_so() -> None:
    clauses = compile_clauses("language", "label = 'ko' and score >= 0.65", KNOWN)
    frame = pl.DataFrame(
        {"language.label": [None, "ko"], "language.score": [0.9, None]},
        {"language.label": pl.String, "language.score": pl.Float32},
    )
    status, first = verdict(holds(clauses, frame), np.ones(2, bool), np.zeros(2, bool))
    assert status.tolist() == [DROPPED, DROPPED]
    reasons = explain(clauses, frame, first)
    assert reasons.get_column("clause").to_list() == ["language.label", "language.score"]
    assert reasons.get_column("value").to_list() == [None, None]


rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(["ko", "en"])),
        st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.65, 0.75, 1.0])),
        st.booleans(),
        st.booleans(),
    ),
    max_size=30,
)


@given(rows)
def test_verdict_is_what_the_clauses_say_row_by_row(values: list[tuple[str | None, float | None, bool, bool]]) -> None:
    clauses = compile_clauses("language", "label = 'ko' and score >= 0.5", KNOWN)
    frame = pl.DataFrame(
        {"language.label": [v[0] for v in values], "language.score": [v[1] for v in values]},
        {"language.label": pl.String, "language.score": pl.Float32},
    )
    seen = np.array([v[2] for v in values], bool)
    failed = np.array([v[3] for v in values], bool)
    status, first = verdict(holds(clauses, frame), seen, failed)
    for at, (label, score, is_seen, is_failed) in enumerate(values):
        if not is_seen:
            assert status[at] == UNSEEN
        elif is_failed:
            assert status[at] == FAILED
        elif label != "ko":
            assert (status[at], first[at]) == (DROPPED, 0)
        elif score is None or score < 0.5:
            assert (status[at], first[at]) == (DROPPED, 1)
        else:
            assert (status[at], first[at]) == (KEPT, -1)


@given(rows, st.integers(0, 30))
def test_verdict_does_not_depend_on_the_batch(
    values: list[tuple[str | None, float | None, bool, bool]], cut: int
) -> None:
    clauses = compile_clauses("language", "label = 'ko' or score > 0.6", KNOWN)
    frame = pl.DataFrame(
        {"language.label": [v[0] for v in values], "language.score": [v[1] for v in values]},
        {"language.label": pl.String, "language.score": pl.Float32},
    )
    seen, failed = np.array([v[2] for v in values], bool), np.array([v[3] for v in values], bool)
    whole, _ = verdict(holds(clauses, frame), seen, failed)
    left, _ = verdict(holds(clauses, frame[:cut]), seen[:cut], failed[:cut])
    right, _ = verdict(holds(clauses, frame[cut:]), seen[cut:], failed[cut:])
    assert whole.tolist() == [*left, *right]
