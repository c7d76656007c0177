"""A finished run as a table: its records, documents and clusters add up to its accounts, whatever became of them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from tokenizers import Tokenizer

import winnow
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.report.collect import collect
from winnow.pipelines.results.table import Run, open_last, open_run
from winnow.pipelines.results.why import explain

QUIET = Progress(quiet=True)


def _beside(name: str) -> Any:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Pages and texts of every fate, in several partitions; repeated documents, duplicates, short texts, lines that fail."""
    run: Run = _beside("published_run").finished_run(tmp_path_factory.mktemp("table"))
    return run


def go(recipe: Path, *assignments: str, folder: str = "run") -> Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=QUIET, local=True)


def check(run: Run) -> pl.DataFrame:
    """Records, documents and clusters against each other and against the accounts; returns the records."""
    records, documents = run.records().collect(), run.documents(kept_only=False).collect()
    stages, sources = run.accounting["stages"], run.plan.pipeline.sources
    assert len(records) == sum(stages[name]["in"] for name in sources if name in stages)
    status = dict(records.group_by("status").len().iter_rows())
    assert status.get("kept", 0) == run.accounting["kept"] and status.get("failed", 0) == run.accounting["failed"]
    assert records["multiplicity"].sum() == run.accounting["copies"]
    dropped = records.filter(pl.col("status") == "dropped")
    assert Counter(dropped["clause"].to_list()) == Counter(
        {clause: rows for account in stages.values() for clause, rows in account["dropped"].items()}
    )
    assert dropped["stage"].to_list() == [clause.partition(".")[0] for clause in dropped["clause"].to_list()]
    assert not dropped["threshold"].null_count() and not dropped["value"].null_count()
    assert not records.filter(pl.col("status") == "failed")["value"].null_count()  # the cause
    assert (
        records.filter(pl.col("status") == "kept").select("stage", "clause", "value").null_count().row(0)
        == (status["kept"],) * 3
    )
    became = records.filter(pl.col("row") >= 0)
    shared = ["id", "url", "date", "source", *run.signals()]
    assert_frame_equal(became.select(shared), documents.select(shared))
    for name in ("multiplicity", "stage", "clause", "value", "threshold", "shard", "offset"):
        assert became[name].to_list() == documents[f"selection.{name}"].to_list(), name
    assert records.filter(pl.col("row") < 0).select(
        *run.signals(), "shard"
    ).null_count().sum_horizontal().unique().to_list() in (
        [],
        [(len(records) - len(became)) * (len(run.signals()) + 1)],
    )
    for (partition,), mine in records.group_by("partition"):
        assert mine["number"].to_list() == list(range(len(mine))), partition
        assert mine.filter(pl.col("row") >= 0)["row"].to_list() == list(range(len(mine.filter(pl.col("row") >= 0))))
    assert_frame_equal(run.documents().collect(), documents.filter(pl.col("selection.multiplicity") > 0))
    return records


def test_everything_adds_up(done: Run) -> None:
    records = check(done)
    assert {"kept", "dropped", "failed"} == set(records["status"])
    pages = records.filter((pl.col("row") < 0) & (pl.col("source") == "crawl"))
    assert set(pages["clause"]) == {"crawl.status", "crawl.mime", "screen.script"}
    assert pages.filter(pl.col("clause") == "crawl.status")["value"].to_list() == ["404"] * 3


def test_a_value_is_what_was_compared_with_the_threshold(done: Run) -> None:
    short = done.records().filter(pl.col("clause") == "rules.too_short").collect()
    assert len(short) and set(short["threshold"]) == {">= 20"}
    assert [int(value) for value in short["value"]] == short["rules.word_count"].to_list()
    assert short["rules.word_count"].max() < 20
    copies = done.records().filter(pl.col("clause") == "dedup.representative").collect()
    assert len(copies) and set(copies["value"]) == {"false"} == {str(v).lower() for v in copies["dedup.representative"]}


def test_every_copy_lies_where_the_table_says(done: Run) -> None:
    kept = done.documents().collect()
    assert kept["selection.multiplicity"].max() > 1
    tokenizer = Tokenizer.from_file(f"{done.shards}/tokenizer.json")
    for row in kept.iter_rows(named=True):
        assert len(row["selection.shard"]) == len(row["selection.offset"]) == row["selection.multiplicity"]
        expected = [
            *tokenizer.encode(row["text"], add_special_tokens=False).ids,
            tokenizer.token_to_id("<|endoftext|>"),
        ]
        for shard, offset in zip(row["selection.shard"], row["selection.offset"], strict=True):
            stream = pa.ipc.open_file(f"{done.shards}/{shard}").read_all().column("input_ids").combine_chunks().values
            assert stream.slice(offset, len(expected)).to_pylist() == expected


def test_clusters_are_the_documents_that_are_copies_of_each_other(done: Run) -> None:
    clusters = done.clusters().collect()
    measured = done.records().filter(pl.col("dedup.cluster").is_not_null()).collect()
    assert set(clusters["grouped_by"]) == {"dedup"} and len(clusters) == len(measured)
    for (cluster,), mine in clusters.group_by("cluster"):
        assert set(mine["copies"]) == {len(mine)}
        assert mine.filter("representative")["id"].to_list() == [cluster]
        assert mine.filter("representative")["status"].item() in ("kept", "dropped")
    assert clusters["copies"].max() > 1


def test_only_what_is_asked_for_is_read(done: Run, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "run")
    run = open_run(tmp_path / "run")
    expected = run.records().select("id", "status", "clause").collect()
    shutil.rmtree(tmp_path / "run" / "documents")
    shutil.rmtree(tmp_path / "run" / "signals" / "quality")
    for engine in ("in-memory", "streaming"):
        asked = run.records().select("id", "status", "clause")
        assert_frame_equal(asked.collect(engine=engine), expected)  # type: ignore[call-overload]
    counts = run.records().group_by("clause").len().sort("clause")
    both, again = pl.collect_all([counts, run.records().select(pl.len())], engine="streaming")
    assert both["len"].sum() == again.item() == len(expected)
    assert run.records().head(3).select("id").collect()["id"].to_list() == expected["id"][:3].to_list()
    assert (
        run.records().filter(pl.col("clause") == "rules.too_short").head(2).select("rules.word_count").collect().height
        == 2
    )


def test_a_signal_that_came_after_the_run_is_null(done: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = type(done.pipeline.nodes["rules"].stage)
    before = rules.signals
    monkeypatch.setattr(rules, "signals", lambda self: before(self) | {"later": pa.float32()})
    run = open_run(done.folder)
    found = run.records().select("id", "rules.word_count", "rules.later").collect()
    assert found["rules.later"].null_count() == len(found) > found["rules.word_count"].null_count()
    told = explain(run, run.documents().select("id").collect()["id"][0])[0]
    assert next(stage for stage in told.stages if stage.stage == "rules").signals["later"] is None
    assert "rules.later" in [signal.name for signal in collect(run).signals]


def test_partitions_change_neither_rows_nor_values(recipe: Path) -> None:
    apart = go(recipe)
    lines = [line for f in sorted((recipe.parent / "in").glob("*.jsonl")) for line in f.read_text("utf-8").splitlines()]
    for file in (recipe.parent / "in").glob("*.jsonl"):
        file.unlink()
    (recipe.parent / "in" / "all.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    together = go(recipe, folder="together")
    assert len(together.plan.partitions) == 1 < len(apart.plan.partitions)
    tables = [check(run).filter(pl.col("status") != "failed") for run in (apart, together)]  # a cause names its file
    mixed = ["partition", "number", "row", "shard", "offset"]
    assert_frame_equal(*(table.drop(mixed).sort("id") for table in tables))


def test_texts_have_their_edits_and_repeated_documents_their_copies(recipe: Path, korean: Callable[..., str]) -> None:
    rows = [
        {"id": f"m{n}", "url": f"https://m.kr/{n}", "text": f"{korean(40 + n)} 문의 lee.{n}@mail.kr"} for n in range(6)
    ]
    (recipe.parent / "in" / "mail.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    run = go(recipe, "stages.personal={use: personal, over: language}", "stages.rules.repeat=2.5")
    check(run)
    mails = run.documents(kept_only=False).filter(pl.col("url").str.starts_with("https://m.kr/")).collect()
    assert len(mails) == 6 and not mails["text"].str.contains("@").any() and mails["text"].str.contains("문의").all()
    found = run.documents(kept_only=False).filter(pl.col("text").str.contains("lee.")).collect()
    assert found.is_empty()  # a condition on texts is on what they are now


def test_documents_of_one_id_are_told_apart(recipe: Path, korean: Callable[..., str]) -> None:
    rows = [{"id": "same", "url": f"https://s.kr/{n}", "text": korean(70 + n, 60 if n < 2 else 4)} for n in range(3)]
    (recipe.parent / "in" / "same.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    run = go(recipe, "stages.mixture=null")
    same = check(run).filter(pl.col("url").str.starts_with("https://s.kr/"))
    assert same["id"].n_unique() == 1 and same["status"].to_list() == ["kept", "kept", "dropped"]
    assert same["shard"].list.len().to_list() == [2, 2, None]  # the places of both: the hand-off knows ids alone


def test_a_named_selection_is_a_table_of_the_same_records(ran: Path) -> None:
    run = go(ran)
    reselect(run, ["stages.rules.keep=word_count >= 50"], name="longer", progress=QUIET)
    longer = open_run(f"{run.folder}@longer")
    first, other = run.records().collect(), check(longer)
    assert_frame_equal(first.select("id", *run.signals()), other.select("id", *run.signals()))
    assert other["shard"].null_count() == len(other)  # it has no shards yet
    assert set(other.filter(pl.col("clause") == "rules.word_count")["threshold"]) == {">= 50"}
    assert not set(other.filter(pl.col("status") == "kept")["id"]) - set(
        first.filter(pl.col("rules.word_count") >= 50)["id"]
    )


def test_a_provisional_selection_has_pending_records(recipe: Path) -> None:
    base = go(recipe, "stages.rules.keep=word_count >= 55")
    reselect(base, ["stages.rules.keep=word_count >= 5"], name="looser", progress=QUIET)
    run = open_run(f"{base.folder}@looser")
    pending = run.records().filter(pl.col("status") == "pending").collect()
    assert len(pending) == run.accounting["pending"] > 0
    assert set(pending["stage"]) == {"shards"} and pending["multiplicity"].sum() == 0


def test_a_run_that_did_not_finish_is_a_table_of_what_there_is(recipe: Path) -> None:
    with pytest.raises(RunError):
        go(recipe, "stages.rules={use: rules, packs: [gopher], keep: word_count > 100000, guard: 'kept > 0'}")
    run = open_last(str(recipe.parent / "run"))
    records = run.records().collect()
    assert run.unfinished and len(records) == 241
    assert dict(records.group_by("status").len().iter_rows())["failed"] == 1
    assert set(records.filter(pl.col("status") == "dropped")["clause"]) >= {"rules.word_count"}
    assert "kept" not in set(records["status"])


def test_a_run_without_documents_or_duplicates_says_so(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"text": "one text"}\n', "utf-8")
    (tmp_path / "one.yaml").write_text(
        f"name: one\nlanguage: en\nsources: {{docs: {{use: jsonl, paths: ['{tmp_path}/one.jsonl']}}}}\n"
        "stages: {language: {use: langid, keep: true}}\n",
        "utf-8",
    )
    run = go(tmp_path / "one.yaml")
    assert check_shape(run) == (1, 1)
    with pytest.raises(RunError, match="no stage of the run finds duplicates"):
        run.clusters()


def check_shape(run: Run) -> tuple[int, int]:
    return run.records().collect().height, run.documents().collect().height
