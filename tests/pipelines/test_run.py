"""The machine end to end on a small text corpus: accounting, resumption, what an edit recomputes, the same result anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import winnow
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.plan import make_plan, pending
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.store import Store
from winnow.pipelines.results.table import open_run
from winnow.stages.base import StageError
from winnow.tokenize.reader import ShardSet

from .in_process import command


def go(recipe: Path, *assignments: str, folder: str = "run", **options: Any) -> winnow.Run:
    options = {"local": True, **options}
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=Progress(quiet=True), **options)


def measured(run: winnow.Run) -> dict[str, int]:
    """Documents that each stage measured in this run."""
    return {name: rows for name, rows in run.accounting["work"]["rows"].items() if rows}


def test_rows_reconcile_and_every_drop_has_its_reason(recipe: Path) -> None:
    run = go(recipe)
    for name, account in run.accounting["stages"].items():
        assert account["in"] == account["kept"] + account["failed"] + sum(account["dropped"].values()), name
    assert run.accounting["stages"]["docs"] == {"in": 241, "kept": 240, "failed": 1, "dropped": {}}
    assert run.accounting["stages"]["language"]["dropped"]["language.label"] == 40
    everything = run.documents(kept_only=False).collect()
    assert len(everything) == 240
    dropped = everything.filter(pl.col("selection.status") == 2)
    assert (
        dropped.select("selection.stage", "selection.clause", "selection.value", "selection.threshold")
        .null_count()
        .sum_horizontal()
        .item()
        == 0
    )
    short = dropped.filter(pl.col("selection.clause") == "rules.word_count")
    assert short.get_column("selection.threshold").unique().to_list() == [">= 20"]
    assert (short.get_column("selection.value").cast(pl.Int64) < 20).all()


def test_kept_documents_come_with_text_and_signals(ran: Path) -> None:
    kept = go(ran).documents().collect()
    assert set(kept.get_column("language.label")) == {"ko"}
    assert kept.get_column("dedup.representative").all()
    assert kept.get_column("rules.word_count").min() >= 20
    assert kept.get_column("text").str.len_chars().min() > 20


def test_the_shards_hold_what_the_selection_says(ran: Path) -> None:
    run = go(ran)
    kept = run.documents().select("id", "shards.tokens", "selection.multiplicity").collect()
    shards = ShardSet.open(str(run.shards), verify=True)
    written = dict(Counter(shards.documents().column("doc_id").to_pylist()))
    assert written == dict(zip(kept["id"], kept["selection.multiplicity"], strict=True))
    assert shards.total_tokens == (kept["shards.tokens"].cast(pl.Int64) * kept["selection.multiplicity"]).sum()
    assert shards.total_tokens == run.accounting["tokens"]


def test_a_second_run_has_nothing_to_do(ran: Path) -> None:
    first = go(ran)
    second = go(ran)
    assert second.did_nothing
    assert second.accounting["digest"] == first.accounting["digest"]
    assert second.accounting["damage"] == first.accounting["damage"]


def test_a_tighter_threshold_measures_nothing_again(ran: Path) -> None:
    go(ran)
    edited = go(ran, "stages.rules.keep=word_count >= 55")
    assert measured(edited) == {"mixture": edited.accounting["stages"]["mixture"]["in"]}


def test_a_looser_threshold_measures_only_what_it_lets_in(recipe: Path) -> None:
    go(recipe, "stages.rules.keep=word_count >= 55")
    tight = go(recipe, "stages.rules.keep=word_count >= 55")
    loose = go(recipe, "stages.rules.keep=word_count >= 5")
    more = loose.accounting["stages"]["shards"]["in"] - tight.accounting["stages"]["shards"]["in"]
    assert more > 0
    assert measured(loose) == {"shards": more, "mixture": loose.accounting["stages"]["mixture"]["in"]}


def test_going_back_to_an_earlier_declaration_points_the_folder_at_it(ran: Path) -> None:
    first = go(ran)
    go(ran, "stages.rules.keep=word_count >= 55")
    assert go(ran).did_nothing
    assert open_run(ran.parent / "run").shards == first.shards


def test_a_guard_holds_when_there_is_nothing_to_do(ran: Path) -> None:
    go(ran)
    with pytest.raises(RunError, match=r"guard 'drop <= 0.1'"):
        go(ran, "stages.rules.guard=drop <= 0.1")


def test_an_edited_run_equals_a_fresh_one(ran: Path) -> None:
    go(ran)
    edited = go(ran, "stages.rules.keep=word_count >= 5")
    fresh = go(ran, "stages.rules.keep=word_count >= 5", folder="fresh")
    assert edited.accounting["digest"] == fresh.accounting["digest"]
    assert ShardSet.open(str(edited.shards)).digest == ShardSet.open(str(fresh.shards)).digest


def test_a_changed_setting_recomputes_its_stage_and_what_follows(ran: Path) -> None:
    go(ran)
    edited = go(ran, "stages.dedup.ngram=4")
    assert "language" not in measured(edited) and "rules" not in measured(edited)
    assert measured(edited)["dedup"] > 0


def test_a_new_file_costs_only_itself(recipe: Path, korean: Callable[..., str]) -> None:
    first = go(recipe)
    lines = [json.dumps({"id": f"new-{n}", "text": korean(10_000 + n)}) for n in range(30)]
    (recipe.parent / "in" / "docs-9.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    second = go(recipe)
    assert second.accounting["stages"]["docs"]["in"] == first.accounting["stages"]["docs"]["in"] + 30
    assert measured(second)["language"] == 30


def test_a_touched_file_is_read_again(recipe: Path) -> None:
    go(recipe)
    path = recipe.parent / "in" / "docs-1.jsonl"
    path.write_text(path.read_text("utf-8").replace("도서관", "박물관"), "utf-8")
    second = go(recipe)
    assert not second.did_nothing
    assert 0 < measured(second)["language"] <= 120


def test_a_lost_part_is_made_again(ran: Path) -> None:
    first = go(ran)
    for name in ("documents", "records", "selection"):
        shutil.rmtree(ran.parent / "run" / name)
    second = go(ran)
    assert second.accounting["digest"] == first.accounting["digest"]


def test_rows_that_lost_their_measurement_are_noticed_and_measured_again(ran: Path) -> None:
    first = go(ran)
    plan = first.plan
    part = plan.signals(plan.pipeline.nodes["rules"], plan.partitions[1])[0][0]
    table = plan.store.read(part)
    writer = plan.store.writer(part, table.schema)
    writer.write(table.set_column(0, table.schema.field(0), pa.array([False] * table.num_rows)))
    writer.close()
    shutil.rmtree(ran.parent / "run" / "selection")
    with pytest.raises(StageError, match=r"rules: 100 of 100 rows of partition \w+ were never measured"):
        go(ran)
    assert go(ran).accounting["digest"] == first.accounting["digest"]


def test_plan_says_what_is_cached_and_why_it_runs(ran: Path) -> None:
    go(ran)
    store = Store(str(ran.parent / "run"))
    assert not any(pending(make_plan(load_pipeline(ran), store)).values())
    todo = pending(make_plan(load_pipeline(ran, ["stages.rules.keep=word_count >= 5"]), store))
    assert {name for name, count in todo.items() if count} == {"mixture", "shards", "selection"}


def test_an_address_without_a_cluster_is_one_sentence(recipe: Path) -> None:
    words = ["run", str(recipe), "--folder", str(recipe.parent / "cluster")]
    done = subprocess.run(
        [sys.executable, "-m", "winnow.pipelines.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1", "RAY_AUTH_MODE": "disabled"},
    )
    assert done.returncode == 1
    assert "cannot start the cluster at RAY_ADDRESS=127.0.0.1:1" in done.stderr


def test_the_order_of_partitions_does_not_matter_to_what_is_kept(recipe: Path) -> None:
    before = set(go(recipe).documents().select("text").collect().get_column("text"))
    folder = recipe.parent / "in"
    (folder / "docs-0.jsonl").rename(folder / "zzz.jsonl")
    after = set(go(recipe, folder="renamed").documents().select("text").collect().get_column("text"))
    assert after == before


def test_a_run_on_another_filesystem_is_the_same(ran: Path) -> None:
    alone = go(ran)
    remote = winnow.run(ran, folder="memory://elsewhere", local=True, progress=Progress(quiet=True))
    assert remote.accounting["digest"] == alone.accounting["digest"]


def test_a_finished_run_opens_without_its_inputs(recipe: Path) -> None:
    run = go(recipe)
    shutil.rmtree(recipe.parent / "in")
    again = open_run(recipe.parent / "run")
    assert again.documents().collect().equals(run.documents().collect())


def test_too_many_failures_stop_the_run(recipe: Path) -> None:
    with pytest.raises(RunError, match=r"1 of 241 records failed, more than max_failures 0\.001"):
        go(recipe, "max_failures=0.001")


def test_a_stage_that_drops_more_than_its_guard_stops_the_run_with_figures(recipe: Path) -> None:
    with pytest.raises(
        RunError, match=r"stage 'rules' keeps 160 of 200 rows \(guard 'drop <= 0.1'; dropped by rules.word_count 40"
    ):
        go(recipe, "stages.rules.guard=drop <= 0.1")
    assert not (recipe.parent / "run" / "shards").exists()


def test_a_wipe_out_stops_the_run(recipe: Path) -> None:
    with pytest.raises(RunError, match=r"stage 'language' keeps 0 of 240 rows"):
        go(recipe, "stages.language.keep=label = 'xx'")


def test_no_input_is_one_sentence(recipe: Path) -> None:
    with pytest.raises(ValueError, match=r"sources\.docs\.paths: no file matches '.*nothing.*'"):
        go(recipe, "sources.docs.paths=[nothing/*.jsonl]")


def test_two_runs_in_one_folder_do_not_mix(recipe: Path) -> None:
    import fcntl

    folder = recipe.parent / "run"
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another run is at work"):
            go(recipe)


def test_a_clause_over_a_corpus_stage_without_clauses_is_not_stale(ran: Path) -> None:
    """dedup decides nothing, a later clause reads it: a change of dedup must reach everything after that clause."""
    sets = ["stages.dedup.keep=true", "stages.late={use: rules, over: dedup, keep: 'dedup.copies <= 1'}"]
    go(ran, *sets)
    edited = go(ran, *sets, "stages.dedup.bands=1", "stages.dedup.rows=1")
    fresh = go(ran, *sets, "stages.dedup.bands=1", "stages.dedup.rows=1", folder="fresh")
    assert edited.accounting["digest"] == fresh.accounting["digest"]
    assert edited.accounting["stages"] == fresh.accounting["stages"]


def test_a_renamed_clause_and_a_moved_stage_are_accounted_anew(ran: Path) -> None:
    named = "stages.quality={use: fasttext, model: ko-quality, keep: {NAME: 'score >= 0.999'}, over: language}"
    first = go(ran, named.replace("NAME", "brief")).accounting["stages"]["quality"]["dropped"]
    renamed = go(ran, named.replace("NAME", "tiny")).accounting["stages"]["quality"]["dropped"]
    assert renamed == {"quality.tiny": first["quality.brief"]}
    again = "stages.again={use: rules, keep: 'word_count >= 30'}"
    assert go(ran, again).accounting["stages"]["again"]["in"] < 240
    moved = go(ran, "stages.again={use: rules, over: [], keep: 'word_count >= 30'}")
    assert moved.accounting["stages"]["again"]["in"] == 240


def test_files_of_one_name_in_two_folders_have_ids_of_their_own(recipe: Path) -> None:
    for name in ("a", "b"):
        folder = recipe.parent / "twice" / name
        folder.mkdir(parents=True)
        (folder / "part.jsonl").write_text((recipe.parent / "in" / "docs-1.jsonl").read_text("utf-8"), "utf-8")
    run = go(recipe, f'sources.docs.paths=["{recipe.parent}/twice/*/*.jsonl"]', "sources.docs.id=null")
    assert run.documents(kept_only=False).select(pl.col("id").n_unique()).collect().item() == 240


def test_failures_beyond_the_limit_name_their_causes(recipe: Path) -> None:
    with pytest.raises(RunError, match=r"the causes: docs: .*not JSON.*\(1"):
        go(recipe, "max_failures=0.001")


def test_an_input_without_records_is_refused(recipe: Path) -> None:
    (recipe.parent / "in" / "empty").mkdir()
    (recipe.parent / "nothing.jsonl").write_text("", "utf-8")
    with pytest.raises(RunError, match="the input holds no records"):
        go(recipe, f'sources.docs.paths=["{recipe.parent}/nothing.jsonl"]')
    with pytest.raises(ValueError, match=r"holds no .* file; it is empty"):
        go(recipe, f'sources.docs.paths=["{recipe.parent}/in/emp*"]')
    with pytest.raises(ValueError, match=r"sources\.docs\.paths: 'foo://x' cannot be opened"):
        go(recipe, "sources.docs.paths=[foo://x]")


def test_training_on_another_selection_is_refused(ran: Path) -> None:
    go(ran)
    done = command("train", ran, "--folder", ran.parent / "run", "--set", "stages.rules.keep=word_count >= 55")
    assert done.returncode == 1
    assert "selected by other stages" in done.stderr


def test_why_prints_a_url_as_it_is(recipe: Path, korean: Callable[..., str]) -> None:
    url = "https://x.kr/[/b]3"
    rows = [{"id": str(n), "url": url if n == 3 else f"https://x.kr/{n}", "text": korean(n)} for n in range(30)]
    (recipe.parent / "in" / "odd.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    go(recipe)
    done = command("why", recipe.parent / "run", url)
    assert done.returncode == 0, done.stderr
    assert url in done.stdout and "rules: " in done.stdout


def test_a_source_has_a_guard_too(recipe: Path) -> None:
    with pytest.raises(RunError, match=r"guard 'kept_tokens >= 1e9'.*; the selection holds \d+ documents"):
        go(recipe, "sources.docs.guard=kept_tokens >= 1e9")
    with pytest.raises(ValueError, match=r"sources\.docs\.gaurd: unknown key.*nearest: 'guard'"):
        go(recipe, "sources.docs.gaurd=drop < 1")
