"""Clauses of thousands of terms and of deep nesting: compiled in time that is linear in them, or refused with the limit."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from winnow.pipelines.selection.balanced import balanced
from winnow.pipelines.selection.clause import ClauseError, compiled
from winnow.pipelines.selection.language import CLAUSES_LIMIT, compile_clauses
from winnow.pipelines.selection.tokens import tokens_of

KNOWN = {"s.n": pa.int64(), "s.x": pa.float64(), "s.t": pa.string()}
ROWS = pl.DataFrame({"s.n": [0, 1, 7, 40, None, 999], "s.x": [0.5, None, 2.0, 7.0, 1.0, 3.5], "s.t": list("abcxyz")})

LONG = {
    "or": " or ".join(f"n = {i}" for i in range(30, 60)),
    "and": "not (" + " and ".join(f"n <> {i}" for i in range(30, 60)) + ")",
    "between": " or ".join(f"n between {i} and {i + 2} and x > {i / 20}" for i in range(30)),
    "case": "case when " + " or ".join(f"n = {i}" for i in range(30)) + " then x > 1 else t in ('x', 'z') end",
    "calls": " OR ".join(f"coalesce(n = {i} or x = {i}, t = 'a')" for i in range(20)),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_chain_means_what_it_says(name: str) -> None:
    text = LONG[name]
    (clause,) = compile_clauses("s", {"c": text}, KNOWN)
    spelled = " ".join(f'"s.{t.text}"' if t.is_signal else t.text for t in tokens_of("s", text))
    expected = ROWS.select(compiled(spelled).alias("v")).get_column("v").fill_null(False).to_list()
    assert ROWS.select(clause.expr().alias("v")).get_column("v").to_list() == expected
    assert len(balanced(tokens_of("s", text))) >= len(tokens_of("s", text))


def test_a_short_clause_is_left_as_it_is() -> None:
    tokens = tokens_of("s", "n > 1 AND (x < 2 OR t = 'a') OR n BETWEEN 1 AND 2")
    assert balanced(tokens) == tokens


def test_a_thousand_terms_and_as_many_clauses_compile() -> None:
    (clause,) = compile_clauses("s", {"c": " or ".join(f"n > {i}" for i in range(1000))}, KNOWN)
    assert ROWS.select(clause.expr().alias("v")).get_column("v").sum() == 4
    assert len(clause.threshold) <= 200
    text = "case " + " ".join(f"when n = {i} then {i}" for i in range(400)) + " else 0 end > 6"
    (clause,) = compile_clauses("s", {"c": text}, KNOWN)
    assert ROWS.select(clause.expr().alias("v")).get_column("v").to_list() == [False, False, True, True, False, False]
    (clause,) = compile_clauses("s", {"c": f"n in ({', '.join(map(str, range(9000)))})"}, KNOWN)
    assert ROWS.select(clause.expr().alias("v")).get_column("v").sum() == 5
    assert len(compile_clauses("s", " and ".join(f"n > {i}" for i in range(CLAUSES_LIMIT)), KNOWN)) == CLAUSES_LIMIT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" or ".join(["n > 1"] * 9000), "35,999 words, literals and signs; expected at most 20,000"),
        (" and ".join(["n > 1"] * (CLAUSES_LIMIT + 1)), "1,001 clauses; expected at most 1,000"),
        ("(" * 500 + "n > 1" + ")" * 500, "nested 500 levels deep; expected at most 24"),
        ("not " * 500 + "n > 1", "nested 500 levels deep"),
        ("case when n > 1 then 1 else " * 60 + "2" + " end" * 60 + " > 1", "nested 60 levels deep"),
        ("abs(" * 60 + "n" + ")" * 60 + " > 1", "nested 60 levels deep"),
        (" + ".join(["n"] * 3000) + " > 1", "an expression of 6,001 words"),
        (
            "n = " * 5000 + "n",
            "an expression of 10,001 words, literals and signs; expected at most 400 between two of AND",
        ),
        (" + ".join(["coalesce(n, 1)"] * 2400) + " > 1", "an expression of 9,601 words"),
        ("(n = 1 or x = 2) = " * 1800 + "true", "an expression of 5,401 words"),
        ("case " + "when n = 1 or n > 3 then x " * 1500 + "end > 1", "1,500 WHENs; expected at most 400"),
    ],
)
def test_what_is_too_long_or_too_deep_is_refused_with_the_limit(text: str, said: str) -> None:
    with pytest.raises(ClauseError) as error:
        compile_clauses("s", text, KNOWN)
    assert said in str(error.value) and len(str(error.value)) < 500 and "\n" not in str(error.value)
