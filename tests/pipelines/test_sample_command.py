"""`winnow sample`: what it shows is what was asked for, the same every time, with what triggered it marked."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import winnow
from winnow.pipelines.console import visible
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.sample import Question, Sample, parse_near, sample
from winnow.pipelines.results.shown import Decision, HighlightedText, Shown, excerpt, highlighted
from winnow.pipelines.results.table import Run
from winnow.pipelines.results.terminal import show_sample

from .in_process import command


def go(recipe: Path, *assignments: str, folder: str = "run") -> Run:
    progress = Progress(quiet=True)
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=progress, local=True)


@pytest.fixture
def run(ran: Path) -> Run:
    return go(ran)


def least(rows: pl.DataFrame, n: int, seed: int = 0) -> list[str]:
    """The ids of smallest hash, by hand."""
    return sorted(rows["id"].to_list(), key=lambda i: (xxhash.xxh64_intdigest(i, seed), i))[:n]


def ids(run: Run, question: Question, n: int = 20, **options: Any) -> list[str]:
    return [record.id for record in sample(run, question, n, **options).records]


def test_the_least_hashes_of_each_kind_are_shown(run: Run) -> None:
    rows = run.documents(kept_only=False).collect()
    kept = rows.filter(pl.col("selection.multiplicity") > 0)
    assert ids(run, Question(), 5) == ids(run, Question(kept=True), 5) == least(kept, 5)
    short = rows.filter(pl.col("selection.clause") == "rules.word_count")
    found = sample(run, Question(dropped_by="rules.word_count"), 7)
    assert [r.id for r in found.records] == least(short, 7) and found.population == len(short)
    assert {r.decision.clause for r in found.records} == {"rules.word_count"}
    assert all(int(r.decision.value or 99) < 20 for r in found.records)
    assert ids(run, Question(stage="language"), 50) == least(rows.filter(pl.col("selection.stage") == "language"), 50)
    assert ids(run, Question(dropped_by="word_count"), 3) == least(short, 3)
    everything = ids(run, Question(where="multiplicity >= 0"), 1000)
    assert sorted(everything) == sorted(rows["id"])


def test_a_seed_shows_others_and_partitions_do_not_matter(recipe: Path) -> None:
    run = go(recipe)
    kept = run.documents().collect()
    assert ids(run, Question(), 6, seed=7) == least(kept, 6, seed=7) != ids(run, Question(), 6)
    lines = [line for f in sorted((recipe.parent / "in").glob("*.jsonl")) for line in f.read_text("utf-8").splitlines()]
    for file in (recipe.parent / "in").glob("*.jsonl"):
        file.unlink()
    (recipe.parent / "in" / "all.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    together = go(recipe, folder="together")
    assert len(together.plan.partitions) == 1 < len(run.plan.partitions)
    assert ids(run, Question(near=("rules.word_count", 60.0)), 6) == ids(
        together, Question(near=("rules.word_count", 60.0)), 6
    )


def test_near_shows_the_closest_values(run: Run) -> None:
    rows = run.documents(kept_only=False).filter(pl.col("rules.mean_word_length").is_not_null()).collect()
    found = sample(run, Question(near=("rules.mean_word_length", 3.0)), 9)
    distances = sorted(abs(v - 3.0) for v in rows["rules.mean_word_length"].cast(pl.Float64))
    assert found.population == len(rows)
    assert [abs((r.near or 0) - 3.0) for r in found.records] == pytest.approx(distances[:9])
    assert ids(run, Question(near=("mean_word_length", 3.0)), 9) == [r.id for r in found.records]


def test_where_is_sql_over_signals_and_columns(run: Run) -> None:
    rows = run.documents(kept_only=False).collect()
    sql = "rules.word_count between 30 and 60 and url like '%/1/%' and length(text) > 100"
    wanted = rows.filter(
        pl.col("rules.word_count").is_between(30, 60)
        & pl.col("url").str.contains("/1/", literal=True)
        & (pl.col("text").str.len_chars() > 100)
    )
    assert len(wanted) and sorted(ids(run, Question(where=sql), 500)) == sorted(wanted["id"])
    dropped = ids(run, Question(dropped_by="dedup", where="language.score > 0.9"), 500)
    lost = rows.filter((pl.col("selection.stage") == "dedup") & (pl.col("language.score") > 0.9))
    assert sorted(dropped) == sorted(lost["id"]) != []


def test_failed_records_come_with_their_cause(run: Run) -> None:
    found = sample(run, Question(failed=True))
    assert found.population == 1
    (record,) = found.records
    assert record.decision.status == "failed" and record.decision.stage == "docs" and record.decision.value
    assert record.text.text == ""


def test_what_triggered_a_clause_is_marked(recipe: Path) -> None:
    run = go(recipe, "stages.rules.keep=hash_ratio <= 0.1")
    line = {
        "id": "h",
        "url": "https://x.kr/h",
        "text": "오늘 마을 도서관에서는 #새로운 #책을 #읽고 이야기를 나누는 시간을 가졌다.",
    }
    (recipe.parent / "in" / "h.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    run = go(recipe, "stages.rules.keep=hash_ratio <= 0.1")
    (record,) = sample(run, Question(dropped_by="rules.hash_ratio")).records
    assert [record.text.text[a:b] for a, b in record.text.spans] == ["#", "#", "#"]
    assert highlighted(run, "a # b", ["rules.hash_ratio"]).spans == ((2, 3),)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (Question(dropped_by="rules.word_cuont"), "no clause 'rules.word_cuont'; .*rules.word_count"),
        (Question(dropped_by="rules.dup_line_frac"), "nearest.*"),
        (Question(stage="rule"), "no stage or source 'rule'; expected one of .*nearest: 'rules'"),
        (Question(source="doc"), "no source 'doc'; expected one of docs"),
        (Question(near=("rules.word_cont", 1.0)), "no signal 'rules.word_cont'; .*'rules.word_count'"),
        (Question(near=("language.label", 1.0)), "'language.label' is string; expected a number"),
        (Question(where="rules.word_cont > 1"), "--where: .*'rules.word_cont'.*nearest.*'rules.word_count'"),
        (Question(where="rules.word_count > quantile(0.5)"), "needs statistics or chance"),
        (Question(where="rules.word_count"), "expected a boolean"),
        (Question(kept=True, failed=True), "--kept, --failed: no document is all of that"),
        (Question(kept=True, stage="rules"), "--kept, --stage"),
    ],
)
def test_a_wrong_question_gets_one_sentence(run: Run, question: Question, sentence: str) -> None:
    with pytest.raises(RunError, match=sentence) as error:
        sample(run, question)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["quality.score", "=0.4", "quality.score=high", "quality.score=nan"])
def test_near_is_a_signal_and_a_number(text: str) -> None:
    with pytest.raises(RunError, match="expected SIGNAL=NUMBER"):
        parse_near(text)


def test_the_command_is_reproducible_and_speaks_json(run: Run) -> None:
    words = ["sample", run.folder, "--dropped-by", "rules.word_count", "-n", "3"]
    first, second = command(*words), command(*words)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout and "3 of 40 records: dropped by rules.word_count" in first.stdout
    rows = [json.loads(line) for line in command(*words, "--json").stdout.splitlines()]
    assert [r["id"] for r in rows] == ids(run, Question(dropped_by="rules.word_count"), 3)
    assert rows[0]["decision"]["clause"] == "rules.word_count" and rows[0]["text"]["text"]
    wrong = command("sample", run.folder, "--near", "rules.word_count")
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: --near:")


texts = st.text(st.characters(codec="utf-8"), max_size=300)


@given(text=texts, cuts=st.lists(st.integers(0, 300), max_size=8), chars=st.integers(0, 120))
def test_an_excerpt_is_a_stretch_with_its_marks(text: str, cuts: list[int], chars: int) -> None:
    edges = sorted({min(c, len(text)) for c in cuts})
    spans = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=False) if a < b)
    shown, before, after = excerpt(HighlightedText(text, spans), chars)
    assert text[before : len(text) - after] == shown.text
    assert not chars or len(shown.text) <= max(chars, 0)
    if spans and chars:
        assert shown.spans and shown.spans[0][0] + before == max(spans[0][0], before)
    for a, b in shown.spans:
        assert 0 <= a < b <= len(shown.text)
        assert any(x <= a + before and b + before <= y for x, y in spans)


@given(text=texts)
def test_nothing_that_moves_a_terminal_is_printed(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert not any(c != "\n" and c != "\t" and (ord(c) < 32 or 127 <= ord(c) < 160) for c in shown)
    out = io.StringIO()
    record = Shown("id", None, None, "docs", None, len(text), Decision("kept", 1), None, HighlightedText(text))
    show_sample(Sample("", 1, (record,)), Console(file=out, color_system=None), 0)
    printed = out.getvalue().replace("�", "")
    assert (
        f"kept, multiplicity 1\n{shown}\n".replace("�", "") in printed or not text or "\t" in text
    )  # rich moves on to tab stops
