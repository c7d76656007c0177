"""Plain functions as stages: what they take and return is read off their annotations, and what is wrong with them is said."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tests.pipelines.in_process import command
from tests.stages import plain_functions
from winnow.filters.languages import language_pack
from winnow.pipelines.results.table import open_run
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.function import Function, FunctionSettings

PLAIN = plain_functions.__name__


def documents(*texts: str) -> pa.RecordBatch:
    rows = [
        {"id": f"{n:032x}", "url": None, "date": None, "source": "s", "title": "four", "text": text}
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def stage(name: str, **settings: object) -> Function:
    chosen = FunctionSettings(function=f"{PLAIN}:{name}", **settings)
    return Function(name="f", settings=chosen, pack=language_pack("en"))


def test_a_function_of_a_text_decides() -> None:
    long = stage("long_enough", arguments={"least": 5})
    assert long.signals() == {"value": pa.bool_()} and long.clauses() == {"long_enough": "value"}
    assert long.measure(documents("four", "seven")).column("value").to_pylist() == [False, True]
    assert long.identity() != stage("long_enough").identity() and long.identity()["code"]


def test_a_function_of_a_document_measures_and_what_it_raises_costs_that_row() -> None:
    out = stage("share").measure(documents("12345678", "boom", ""))
    assert out.column("value").to_pylist() == [0.5, None, None]
    assert out.column("error").to_pylist() == [None, f"{PLAIN}:share: ValueError: no text of this kind", None]


def test_a_function_of_a_batch_gives_columns() -> None:
    counts = stage("counts", signals={"chars": "int32", "words": "int16"})
    out = counts.measure(documents("a b", "abcd"))
    assert out.to_pydict() == {"chars": [3, 4], "words": [2, 1]} and out.schema.field("words").type == pa.int16()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("long_enouhg", {}, ["no 'long_enouhg'", "nearest: 'long_enough'"]),
        ("untyped", {}, ["first parameter annotated with str"]),
        ("nothing", {}, ["return annotation of bool"]),
        ("long_enough", {"arguments": {"most": 3}}, ["arguments:", "most"]),
        ("long_enough", {"signals": {"value": "bool"}}, ["returns the signal 'value'", "expected no signals"]),
        ("counts", {}, ["takes a batch", "signals:"]),
        ("PLAIN", {}, ["has no 'PLAIN'"]),
    ],
)
def test_what_cannot_be_a_stage_is_refused_before_it_runs(name: str, settings: dict, words: list[str]) -> None:
    with pytest.raises(StageError) as refused:
        stage(name, **settings).signals()
    for word in [*words, PLAIN]:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("name", "signals", "words"),
    [
        ("short", {"chars": "int32"}, ["returned 1 values of 'chars' for 2 documents"]),
        ("short", {"words": "int32"}, ["returned no column 'words'"]),
        ("raising", {"chars": "int32"}, ["KeyError: 'x'"]),
        ("counts", {"chars": "bool"}, ["'chars' is no bool"]),
    ],
)
def test_what_a_function_of_a_batch_does_wrong_stops_the_run(name: str, signals: dict, words: list[str]) -> None:
    if name == "counts":
        signals = {"chars": "uint8", "words": "bool"}
        words = ["'chars' is no uint8"]
    with pytest.raises(StageError) as refused:
        stage(name, signals=signals).measure(documents("a" * 300, "b"))
    for word in [*words, f"{PLAIN}:{name}"]:
        assert word in str(refused.value)


def test_five_lines_of_a_declaration_run(tmp_path: Path) -> None:
    rows = [{"text": "word " * n} for n in range(1, 30)] + [{"text": "boom"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    declaration = f"""name: plain
language: en
sources: {{docs: {{use: jsonl, paths: [in.jsonl]}}}}
stages:
  long: {{use: function, function: "{PLAIN}:long_enough", arguments: {{least: 40}}}}
  share: {{use: function, function: "{PLAIN}:share", keep: value < 0.05}}
max_failures: 1
"""
    (tmp_path / "plain.yaml").write_text(declaration)
    ran = command("run", "plain.yaml", "--folder", "run", "--local", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    accounts = open_run(tmp_path / "run").accounting["stages"]
    assert accounts["long"] == {"in": 30, "kept": 22, "failed": 0, "dropped": {"long.long_enough": 8}}
    assert accounts["share"] == {"in": 22, "kept": 22, "failed": 0, "dropped": {}}
    again = command(
        "run", "plain.yaml", "--folder", "run", "--local", "--set", "stages.long.arguments.least=41", cwd=tmp_path
    )
    assert again.returncode == 0 and "21 documents kept" in again.stdout
    wrong = command("plan", "plain.yaml", "--set", f"stages.long.function={PLAIN}:lon_enough", cwd=tmp_path)
    assert wrong.returncode == 1 and "nearest: 'long_enough'" in wrong.stderr and "Traceback" not in wrong.stderr
