"""The checks that authors of kinds are offered: our own kinds keep them, and what breaks the contract is named."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
import pytest

from tests.needs import needs
from winnow.filters.languages import language_pack
from winnow.stages.base import DocumentStage, Settings
from winnow.stages.registry import find, names
from winnow.testing import check_solver, check_stage

SETTINGS: dict[str, dict[str, Any]] = {
    "mixture": {"by": "domain.label"},
    "tokenize": {"tokenizer": "ko-bpe"},
    "fasttext": {"model": "ko-quality"},
    "function": {"function": "tests.stages.plain_functions:long_enough"},
    "datatrove": {"filter": "FineWebQualityFilter"},
    "kenlm": {"model": "ko-prose"},
    "linear": {"model": "ko-writing"},
}
ELSEWHERE = ("importance", "lm_loss", "prior", "transformer")
"""Kinds of which no model ships: checked where a model is made, in test_count_tables.py and test_transformers.py."""


@pytest.mark.parametrize("kind", [name for name in names("stages") if name not in ("extract", *ELSEWHERE)])
def test_our_kinds_keep_the_contract(kind: str) -> None:
    if kind == "datatrove":
        needs("datatrove", "spacy")
    found = find("stages", kind)
    check_stage(found("s", found.Settings(**SETTINGS.get(kind, {})), language_pack("ko")))


@pytest.mark.parametrize("kind", names("solvers"))
def test_our_solvers_keep_the_contract(kind: str) -> None:
    if kind == "fixed":
        solver = find("solvers", kind)(find("solvers", kind).Settings(shares={"large": 0.5, "small": 0.5}))
    else:
        solver = find("solvers", kind)(find("solvers", kind).Settings())
    check_solver(solver)


class Length(DocumentStage):
    """Keeps the contract."""

    kind, version, Settings = "length", 1, Settings

    def signals(self) -> dict[str, pa.DataType]:
        return {"chars": pa.int32()}

    def clauses(self) -> dict[str, str]:
        return {"short": "chars >= 1"}

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        return pa.record_batch({"chars": pa.array([len(t) for t in documents["text"].to_pylist()], pa.int32())})


class Counting(Length):
    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        return pa.record_batch({"chars": pa.array([documents.num_rows] * documents.num_rows, pa.int32())})


CALLS = itertools.count()


class Drawing(Length):
    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        return pa.record_batch({"chars": pa.array([next(CALLS) for _ in range(documents.num_rows)], pa.int32())})


class Other(Length):
    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        return pa.record_batch({"charz": pa.nulls(documents.num_rows, pa.int32())})


class Strict(Length):
    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        return pa.record_batch({"chars": pa.array([len(u) for u in documents["url"].to_pylist()], pa.int32())})


class Unread(Length):
    def clauses(self) -> dict[str, str]:
        return {"short": "words >= 1"}


class Outside(Length):
    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        return [(0, len(text) + 1)]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Counting, "by itself"),
        (Drawing, "again gives other values"),
        (Other, "gave no column 'chars'"),
        (Strict, "TypeError"),
        (Unread, "words"),
        (Outside, "highlights 0 to"),
    ],
)
def test_what_breaks_the_contract_is_named(kind: type[Length], words: str) -> None:
    check_stage(Length("length", Settings(), language_pack("en")))
    with pytest.raises(Exception, match=words):
        check_stage(kind("length", Settings(), language_pack("en")))
