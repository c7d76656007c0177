"""The selection language at work: statistics over all documents, draws, repetitions, and selecting again without measuring."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xxhash
from rich.console import Console

import winnow
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.plan import make_plan
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect, to_measure
from winnow.pipelines.engine.run import carry_out
from winnow.pipelines.plan_table import show_plan
from winnow.pipelines.results.table import open_run
from winnow.stages.base import StageError
from winnow.tokenize.reader import ShardSet

from .in_process import command

QUIET = Progress(quiet=True)


def go(recipe: Path, *assignments: str, folder: str = "run", **options: Any) -> winnow.Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=QUIET, local=True, **options)


def again(run: winnow.Run, *assignments: str, name: str | None = None) -> winnow.Run:
    return reselect(run, assignments, name=name, progress=QUIET)


def seen_by(run: winnow.Run, stage: str) -> pl.DataFrame:
    """The documents that a stage sees, with what it decided."""
    seen = pl.concat(run.read([f"@seen {stage}", f"@status {stage}"]))
    kept = (seen[f"@status {stage}"] == 1).alias("kept")
    return run.documents(kept_only=False).collect().with_columns(kept).filter(seen[f"@seen {stage}"])


def test_a_quantile_is_that_of_the_documents_that_the_stage_sees(ran: Path) -> None:
    run = go(ran, "stages.rules.keep=mean_word_length >= quantile(0.7)")
    rows = seen_by(run, "rules")
    threshold = np.quantile(rows["rules.mean_word_length"].to_numpy(), 0.7, method="inverted_cdf")
    assert rows["kept"].to_list() == (rows["rules.mean_word_length"] >= threshold).to_list()


def test_a_quantile_by_group_is_that_of_the_group(ran: Path) -> None:
    run = go(ran, "stages.language.keep=true", "stages.rules.keep=char_count >= quantile(0.4, by = language.label)")
    rows = seen_by(run, "rules")
    assert rows["language.label"].n_unique() > 1
    for _, group in rows.group_by("language.label"):
        threshold = np.quantile(group["rules.char_count"].to_numpy(), 0.4, method="inverted_cdf")
        assert group["kept"].to_list() == (group["rules.char_count"] >= threshold).to_list()
        assert not group["kept"].all()


def test_mean_and_deviation_are_numbers_of_the_population(ran: Path) -> None:
    run = go(ran, "stages.rules.keep=abs(char_count - mean(char_count)) <= 2 * std(char_count)")
    rows = seen_by(run, "rules")
    chars = rows["rules.char_count"].to_numpy().astype(float)
    assert rows["kept"].to_list() == (np.abs(chars - chars.mean()) <= 2 * chars.std()).tolist()


def test_the_top_of_a_token_budget_is_what_sorting_gives(ran: Path) -> None:
    keep = "top 30% of tokens by unique_words per language.label"
    run = go(ran, "stages.language.keep=true", f"stages.rules.keep={keep}")
    rows = seen_by(run, "rules")
    assert 0 < rows["kept"].sum() < len(rows)
    for _, group in rows.group_by("language.label"):
        budget = group["shards.tokens"].sum() * 3 // 10
        used, taken = 0, set()
        salt = xxhash.xxh64_intdigest(b"@0 rules.top", 0)
        ranked = [(-r["rules.unique_words"], xxhash.xxh64_intdigest(r["id"], salt), r) for r in group.to_dicts()]
        for _, _, row in sorted(ranked, key=lambda r: r[:2]):
            if used + row["shards.tokens"] > budget:
                break
            used += row["shards.tokens"]
            taken.add(row["id"])
        assert set(group.filter("kept")["id"]) == taken


def test_a_constant_score_is_cut_by_hash_and_not_all_or_nothing(ran: Path) -> None:
    run = go(ran, "stages.rules.keep=top 50 documents by word_count * 0")
    rows = seen_by(run, "rules")
    assert rows["kept"].sum() == 50
    salt = xxhash.xxh64_intdigest(b"@0 rules.top", 0)
    first = rows.with_columns(
        pl.col("id").map_elements(lambda i: xxhash.xxh64_intdigest(i, salt), pl.UInt64).alias("hash")
    ).sort("hash")
    assert first["kept"].to_list() == [True] * 50 + [False] * (len(rows) - 50)


def test_draws_depend_on_seed_clause_and_id_alone(ran: Path) -> None:
    sets = ["stages.language.keep={label: \"label = 'ko'\", some: sample(0.5)}", "stages.rules.keep=sample(0.5)"]
    run = go(ran, *sets)
    language, rules = seen_by(run, "language"), seen_by(run, "rules")
    assert 60 < language["kept"].sum() < 140 and 30 < rules["kept"].sum() < 0.7 * len(rules)
    salt = xxhash.xxh64_intdigest(b"language.some", 0)
    for row in language.filter(pl.col("language.label") == "ko").iter_rows(named=True):
        assert row["kept"] == (xxhash.xxh64_intdigest(row["id"], salt) / 2**64 < 0.5)
    other = go(ran, *sets, "seed=1")
    assert set(seen_by(other, "language").filter("kept")["id"]) != set(language.filter("kept")["id"])


def test_temperature_draws_after_qurating(ran: Path) -> None:
    """z-scores over the temperature, with Gumbel noise: at a low temperature the sorted ones, at a high one any."""
    sharp = go(ran, "stages.rules.keep=top 40 documents by char_count temperature 0.001")
    exact = again(sharp, "stages.rules.keep=top 40 documents by char_count")
    blurred = again(sharp, "stages.rules.keep=top 40 documents by char_count temperature 100")
    chosen = [set(seen_by(r, "rules").filter("kept")["id"]) for r in (sharp, exact, blurred)]
    assert len(chosen[0] & chosen[1]) >= 38 and len(chosen[2] & chosen[1]) < 34
    assert len(chosen[2]) == 40


def test_statistics_do_not_depend_on_partitions(recipe: Path, tmp_path: Path) -> None:
    sets = ["stages.rules.keep=top 30% of tokens by unique_words / 3 temperature 0.5 and word_count > quantile(0.1)"]
    run = go(recipe, *sets)
    joined = tmp_path / "one"
    joined.mkdir()
    lines = "".join(p.read_text("utf-8") for p in sorted((recipe.parent / "in").glob("*.jsonl")))
    (joined / "all.jsonl").write_text(lines, "utf-8")
    whole = go(recipe, *sets, f'sources.docs.paths=["{joined}/all.jsonl"]', folder="whole")
    assert len(run.plan.partitions) == 2 and len(whole.plan.partitions) == 1
    kept = [r.documents().select("id", "selection.multiplicity").collect().sort("id") for r in (run, whole)]
    assert kept[0].equals(kept[1])


def test_repeat_multiplies_what_is_written(ran: Path) -> None:
    run = go(
        ran, "stages.mixture=null", "stages.rules.repeat=case when word_count >= 50 then 2.5 else 0.5 end", "seed=3"
    )
    rows = seen_by(run, "dedup").filter(pl.col("kept") & (pl.col("rules.word_count") >= 20))
    for row in rows.iter_rows(named=True):
        times = 2.5 if row["rules.word_count"] >= 50 else 0.5
        up = xxhash.xxh64_intdigest(row["id"], 3) / 2**64 < times % 1
        assert row["selection.multiplicity"] == math.floor(times) + up
        if row["selection.multiplicity"] == 0:
            assert row["selection.clause"] == "rules.multiplicity"
    written = ShardSet.open(str(run.shards)).documents().column("doc_id").to_pylist()
    assert len(written) == rows["selection.multiplicity"].sum() == run.accounting["copies"]


def test_a_mixture_counts_what_repeats_give(ran: Path) -> None:
    plain = go(ran, "stages.mixture.budget_tokens=null")
    doubled = again(plain, "stages.rules.repeat=2")
    groups = [r.accounting["reports"]["mixture"]["groups"]["ko"] for r in (plain, doubled)]
    assert groups[1]["tokens"] == 2 * groups[0]["tokens"]
    assert doubled.accounting["copies"] == 2 * plain.accounting["copies"]


def test_a_repeat_that_is_no_number_stops_with_the_document(ran: Path) -> None:
    with pytest.raises(StageError, match=r"rules\.repeat: 'ln\(word_count - 100\)' gives nan for \d+ documents"):
        go(ran, "stages.rules.repeat=ln(word_count - 100)")
    with pytest.raises(ValueError, match="gives String; expected a number"):
        go(ran, "stages.language.repeat=label")
    with pytest.raises(ValueError, match="the last stage decides nothing"):
        go(ran, "stages.shards.repeat=2")


def test_a_clause_on_a_stage_that_sees_pages_cannot_look_at_all_documents(tmp_path: Path) -> None:
    (tmp_path / "x.warc").write_text("")
    with pytest.raises(ValueError, match="kind 'extract' sees raw pages"):
        winnow.run(
            Path(winnow.__file__).parent / "pipelines" / "web.yaml",
            [f'sources.crawl.paths=["{tmp_path}/x.warc"]', "stages.extract.keep=chars >= quantile(0.1)"],
            folder=tmp_path / "run",
        )


@pytest.mark.parametrize(
    "edit",
    [
        "stages.rules.keep=word_count >= 20 and unique_words >= 0.7",
        "stages.rules.keep=word_count >= 20 and unique_words >= quantile(0.5)",
        "stages.rules.keep=word_count >= 20 and top 40% of documents by unique_words temperature 0.3",
        "stages.rules.keep=word_count >= 20 and sample(0.5)",
        "stages.rules.keep=word_count >= 20 and top 40% of bytes by unique_words",
        "stages.dedup.keep=representative and copies < 2",
        "stages.mixture.budget_tokens=2000",
        "stages.dedup.repeat=least(copies, 3)",
    ],
)
def test_selecting_again_gives_what_a_run_gives(ran: Path, finished: Path, edit: str) -> None:
    base = open_run(finished)
    away = shutil.move(finished.parent / "in", finished.parent / "away")  # selecting needs no input
    try:
        found = again(open_run(ran.parent / "run"), edit, name="edited")
        opened = open_run(f"{ran.parent / 'run'}@edited")
    finally:
        shutil.move(away, finished.parent / "in")
    assert found.unmeasured == {}
    assert opened.accounting["digest"] == found.accounting["digest"] != base.accounting["digest"]
    assert open_run(ran.parent / "run").accounting["digest"] == base.accounting["digest"]
    assert opened.shards is None
    fresh = go(ran, edit, folder="fresh")
    assert fresh.accounting["digest"] == found.accounting["digest"]
    assert fresh.accounting["stages"] == found.accounting["stages"]


def test_a_looser_clause_counts_what_was_never_measured_and_a_run_measures_it(recipe: Path) -> None:
    base = go(recipe, "stages.rules.keep=word_count >= 55")
    loose = again(base, "stages.rules.keep=word_count >= 5", name="looser")
    assert list(loose.unmeasured) == ["shards"] and loose.unmeasured["shards"] > 0
    assert loose.plan.allow_unmeasured
    store, pipeline = base.plan.store, open_run(f"{base.folder}@looser").plan.pipeline
    done = carry_out(pipeline, store, name="looser", local=True, progress=QUIET)
    assert done.accounting["work"]["rows"]["shards"] == loose.unmeasured["shards"]
    fresh = go(recipe, "stages.rules.keep=word_count >= 5", folder="fresh")
    assert done.accounting["digest"] == fresh.accounting["digest"]
    opened = open_run(f"{base.folder}@looser")
    assert ShardSet.open(str(opened.shards)).digest == ShardSet.open(str(fresh.shards)).digest
    assert open_run(base.folder).accounting["digest"] == base.accounting["digest"]
    assert again(opened).unmeasured == {}


def test_a_tighter_clause_above_the_dedup_can_bring_up_a_copy_that_was_never_tokenized(recipe: Path) -> None:
    base = go(recipe)
    edit = "stages.language.keep={label: \"label = 'ko'\", some: sample(0.7)}"
    found = again(base, edit, name="some")
    assert list(found.unmeasured) == ["shards"]
    done = carry_out(open_run(f"{base.folder}@some").plan.pipeline, base.plan.store, local=True, progress=QUIET)
    assert done.accounting["work"]["rows"]["shards"] == found.unmeasured["shards"]
    assert done.accounting["digest"] == go(recipe, edit, folder="fresh").accounting["digest"]


def test_pending_documents_are_accounted_for(recipe: Path) -> None:
    base = go(recipe, "stages.language.keep=label = 'en'")
    found = again(base, "stages.language.keep=true", name="all")
    accounting = found.accounting
    assert found.unmeasured["rules"] == accounting["pending"] == accounting["stages"]["rules"]["pending"] == 200
    assert accounting["documents"] == 240
    rows = open_run(f"{base.folder}@all").documents(kept_only=False).collect()
    pending = rows.filter(pl.col("selection.status") == 4)
    assert len(pending) == 200 and pending["selection.stage"].unique().to_list() == ["rules"]


def test_a_new_stage_or_setting_is_pending_everywhere(ran: Path) -> None:
    base = go(ran)
    new = "stages.quality={use: fasttext, model: ko-quality, keep: 'score >= 0.1', over: language}"
    assert again(base, new, name="new").unmeasured["quality"] == base.accounting["stages"]["language"]["kept"]
    assert again(base, "stages.dedup.ngram=4").unmeasured["dedup"] > 0


def test_what_pages_become_documents_cannot_be_selected_again(ran: Path) -> None:
    base = go(ran)
    with pytest.raises(ValueError, match="unknown key"):
        again(base, "stages.rules.kep=true")
    with pytest.raises(RunError, match="'Looser' is no name for a selection"):
        again(base, name="Looser")
    with pytest.raises(RunError, match="no selection 'tighter' there; expected one of looser"):
        again(base, name="looser")
        open_run(f"{base.folder}@tighter")


def test_rejected_metadata_gives_up_the_text_of_what_is_not_selected(recipe: Path) -> None:
    plain = go(recipe, folder="plain")
    run = go(recipe, "rejected=metadata")
    assert run.accounting["digest"] == plain.accounting["digest"]
    rows = run.documents(kept_only=False).collect()
    kept = pl.col("selection.multiplicity") > 0
    assert (rows.filter(~kept)["text"] == "").all() and (rows.filter(kept)["text"] != "").all()
    assert rows.drop("text").equals(plain.documents(kept_only=False).collect().drop("text"))
    assert go(recipe, "rejected=metadata").did_nothing
    go(recipe, "rejected=metadata", "stages.rules.keep=word_count >= 30")
    with pytest.raises(StageError, match=r"\d+ documents of partition .* have no text any more.*'rejected: metadata'"):
        go(recipe, "rejected=metadata", "stages.rules.keep=word_count >= 5")


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        ("dropp < 1", ["'dropp'", "nearest: 'drop'"]),
        ("drop", ["expected a boolean"]),
        ("drop < quantile(drop, 0.5)", ["quantiles and draws are of documents"]),
    ],
)
def test_a_guard_that_cannot_be_read_is_one_sentence(recipe: Path, guard: str, words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        go(recipe, f"stages.rules.guard={guard}")
    assert "\n" not in str(error.value) and "stages.rules.guard" in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_broken_guard_names_the_worst_inputs_and_stops_before_the_next_level(recipe: Path) -> None:
    rows = [{"id": f"bad-{n}", "url": f"https://bad.example/{n}", "text": "짧은 글이다."} for n in range(60)]
    (recipe.parent / "in" / "bad.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    with pytest.raises(RunError, match=r"guard 'drop <= 0\.3'.*worst: .*bad\.jsonl 100\.0% of 60 dropped"):
        go(recipe, "stages.rules.guard=drop <= 0.3")
    assert not (recipe.parent / "run" / "corpus").exists()
    assert not (recipe.parent / "run" / "selection").exists()


def test_guards_of_sources_and_of_the_selection(ran: Path) -> None:
    base = go(ran)
    kept, tokens = base.accounting["kept"], base.accounting["tokens"]
    go(ran, f"stages.dedup.guard=[kept_documents >= {kept}, kept_tokens >= {tokens}]")
    with pytest.raises(RunError, match=rf"guard 'kept_tokens > {tokens}'"):
        go(ran, f"stages.dedup.guard=[kept_documents >= {kept}, kept_tokens > {tokens}]")
    with pytest.raises(RunError, match=r"stage 'docs'.*guard 'fail = 0'"):
        go(ran, "sources.docs.guard=fail = 0")


def test_a_stage_that_is_asked_for_a_share_may_drop_the_rest(ran: Path) -> None:
    assert go(ran, "stages.rules.keep=top 1% of documents by char_count").accounting["kept"] == 2
    with pytest.raises(ValueError, match="nothing counts tokens; expected a tokenize stage"):
        go(ran, "stages.shards=null", "stages.mixture=null", "stages.rules.guard=kept_tokens > 3")


def test_the_plan_says_how_many_documents_must_be_measured(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = go(recipe, "stages.rules.keep=word_count >= 55")
    pipeline = load_pipeline(recipe, ["stages.rules.keep=word_count >= 5"])
    found = to_measure(make_plan(pipeline, base.plan.store))
    done = go(recipe, "stages.rules.keep=word_count >= 5")
    assert found["shards"] == done.accounting["work"]["rows"]["shards"] > 0
    changed = load_pipeline(recipe, ["stages.dedup.ngram=4"])
    later = to_measure(make_plan(changed, base.plan.store))
    assert later["dedup"] == 200 and later["shards"] is None
    show_plan(make_plan(changed, base.plan.store), Console(width=160))
    shown = capsys.readouterr().out
    assert "known later" in shown and " 200 " in shown


@pytest.mark.parametrize(
    "edit",
    [
        "stages.rules.keep=shards.tokens > 20",
        "stages.rules.keep=top 30 documents by shards.tokens",
        "stages.rules.keep=shards.tokens >= quantile(0.5)",
        "stages.rules.repeat=shards.tokens / 100",
    ],
)
def test_what_reads_the_tokens_is_not_decided_where_they_are_missing(ran: Path, edit: str) -> None:
    base = go(ran)
    found = again(base, edit, name="tokens")
    fresh = go(ran, edit, folder="fresh")
    assert found.unmeasured or found.accounting["digest"] == fresh.accounting["digest"]
    assert go(ran, edit).accounting["digest"] == fresh.accounting["digest"]


@pytest.mark.parametrize(
    ("base", "edits"),
    [
        (
            [
                "stages.language.keep=true",
                "stages.rules.keep=true",
                "stages.dedup.keep=true",
                "stages.dedup.repeat=copies",
            ],
            ["stages.dedup.ngram=1", "stages.dedup.bands=40", "stages.dedup.rows=1"],
        ),
        (["stages.rules.repeat=case when uniform() < 0.3 then 4 else 1 end"], ["seed=1"]),
        (
            [
                "stages.first={use: mixture, by: language.label, tokens: rules.word_count, over: rules, budget_tokens: 4000}",
                "stages.mixture.budget_tokens=6000",
            ],
            ["stages.first.budget_tokens=2000"],
        ),
        (["stages.dedup.over=rules", "stages.rules.keep=top 60 documents by word_count * 0"], ["seed=1"]),
        (["stages.rules.keep=shards.tokens > 20", "stages.dedup.over=rules"], ["stages.rules.keep=shards.tokens > 25"]),
        (["stages.mixture.over=language"], ["stages.rules.keep=word_count >= 5"]),
    ],
)
def test_nothing_stale_is_taken_for_new(ran: Path, base: list[str], edits: list[str]) -> None:
    go(ran, *base)
    fresh = go(ran, *base, *edits, folder="fresh")
    edited = go(ran, *base, *edits)
    assert edited.accounting["digest"] == fresh.accounting["digest"]
    assert edited.accounting["stages"] == fresh.accounting["stages"]


def test_rejected_metadata_spares_what_another_selection_keeps(ran: Path) -> None:
    small = "stages.rules.keep=word_count >= 20 and sample(0.3)"
    base = go(ran)
    again(base, small, name="small")
    go(ran, "rejected=metadata", small)
    assert (open_run(base.folder).documents().collect()["text"] != "").all()
    for sets in (["stages.mixture=null"], ["stages.mixture=null", "rejected=metadata"]):
        with pytest.raises(RunError, match=r"\d+ documents that this selection keeps have no text any more"):
            go(ran, *sets)


def test_integers_do_not_wrap_and_what_is_no_number_does_not_keep(ran: Path) -> None:
    base = go(ran, "stages.dedup.keep=true", "stages.mixture=null", "stages.rules.keep=true", "stages.shards=null")
    rows = seen_by(base, "rules")
    assert len(rows) == 200
    for keep, expected in {
        "char_count * 30000000 > 0": 200,
        "pow(char_count, 8) > 1": 200,
        "ln(word_count - 20) <= 1 or ln(word_count - 20) > 3": (rows["rules.word_count"] > 40).sum(),
        "word_count / (word_count - 60) <> 3": (rows["rules.word_count"] != 60).sum(),
        "top 50 documents by 1": 50,
        "top 50% of documents by 7": 100,
        "top 3.5% of documents by char_count": 7,
        "char_count not between quantile(0.1) and quantile(0.9)": None,
    }.items():
        found = again(base, f"stages.rules.keep={keep}", "stages.rules.guard=[]")
        kept = found.accounting["stages"]["rules"]["kept"]
        assert kept == expected or (expected is None and 0 < kept < 100), keep


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("stages.rules.keep=word_count >= 20 mean_word_length", "cannot be evaluated"),
        ("stages.rules.keep=top 10 documents by char_count word_count", "cannot be evaluated"),
        ("stages.rules.guard=drop <= 0.5 kept", "cannot be evaluated"),
        ("stages.rules.keep=word_count between 1 and 2 or abs(char_count - quantile(0.5)) <= 10", "of what?"),
        ("stages.rules.repeat=mean(char_count) / 100", "compares with all documents"),
        ("stages.rules.keep={multiplicity: word_count > 30}", "expected another name"),
        ('stages.language.keep=label = "ko"', "text is written in single quotes: 'ko'"),
        ("stages.rules.keep=sample(-1)", "a share from 0 to 1"),
        ("stages.rules.keep=top 2.9 documents by char_count", "a whole number"),
        ("stages.rules.keep=3", "expected an SQL boolean, true, false, or a mapping of clause names to those, got '3'"),
        ("stages.rules.guard=true", "expected an SQL boolean over figures"),
        ("stages.rules.keep=word_count >= 20 and", "rules.keep: .*AND without"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_anything_runs(recipe: Path, edit: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        go(recipe, edit)
    assert "\n" not in str(error.value)
    assert not (recipe.parent / "run").exists()


@pytest.mark.parametrize(
    "edit",
    [
        "stages.rules.keep=cast(word_count / 0 as int) > 3 or cast(char_count * 1e30 as int) > 1",
        "stages.rules.repeat=100000",
    ],
)
def test_what_fails_on_a_document_names_the_clause(ran: Path, edit: str) -> None:
    with pytest.raises(StageError, match=r"rules\.(keep|repeat).*"):
        go(ran, edit, "stages.mixture=null")


def test_a_clause_may_read_a_signal_called_multiplicity(ran: Path) -> None:
    run = go(ran, "stages.mixture.keep=multiplicity > 0", "stages.mixture.repeat=0.5")
    assert set(run.accounting["stages"]["mixture"]["dropped"]) == {"mixture.multiplicity"}


@pytest.mark.parametrize("edit", ["stages.dedup.guard=drop <= 0.01", "stages.rules.guard=drop <= 0.1"])
def test_guards_on_what_all_documents_decide_stop_before_the_next_level(recipe: Path, edit: str) -> None:
    with pytest.raises(RunError, match="guard 'drop <= 0"):
        go(recipe, edit, "stages.rules.keep=char_count >= quantile(0.5)", "stages.dedup.over=rules")
    assert not list((recipe.parent / "run").glob("signals/shards/*/*.arrow"))


def test_the_command_shows_a_selection_and_what_it_lacks(recipe: Path) -> None:
    base = go(recipe, "stages.rules.keep=word_count >= 55")
    shown = command("select", base.folder, "--set", "stages.rules.keep=word_count >= 55 and sample(0.5)")
    assert shown.returncode == 0, shown.stderr
    assert " tokens; selection " in shown.stdout and "provisional" not in shown.stdout
    loose = command("select", base.folder, "--set", "stages.rules.keep=word_count >= 5", "--name", "loose")
    assert loose.returncode == 0 and "shards: 40 documents to measure" in loose.stdout
    assert f"winnow run {base.folder} --selection loose" in loose.stdout and "not measured" in loose.stdout
    inspected = command("inspect", f"{base.folder}@loose")
    assert inspected.returncode == 0 and "provisional" in inspected.stdout
    again = command("run", base.folder, "--selection", "loose", "--set", "seed=3", "--local")
    assert again.returncode == 1 and "is what its name says" in again.stderr
    moved = command("select", base.folder, "--set", "sources.docs.paths=[elsewhere/*.jsonl]")
    assert moved.returncode == 1 and "other sources need other documents" in moved.stderr
    done = command("run", str(recipe), "--folder", base.folder, "--selection", "loose", "--local")
    assert done.returncode == 0 and "shards: " in done.stdout and "provisional" not in done.stdout


@pytest.mark.parametrize("lost", ["declaration", "plan", "tasks", "partitions", "tasks.measure language"])
def test_a_folder_of_another_version_is_one_sentence(ran: Path, lost: str) -> None:
    base = go(ran)
    saved = base.plan.store.read_json("run.json")
    tables = (saved, saved["plan"], saved["plan"]["tasks"])
    next(table for table in tables if lost.removeprefix("tasks.") in table).pop(lost.removeprefix("tasks."))
    base.plan.store.write_json("run.json", saved)
    with pytest.raises(RunError, match=f"lacks '.*{lost}', so another version of winnow made it"):
        open_run(base.folder)
    assert go(ran).did_nothing  # and the declaration makes it anew
    assert open_run(base.folder).accounting["digest"] == base.accounting["digest"]


def test_what_is_no_finished_run_says_so(recipe: Path) -> None:
    with pytest.raises(RunError, match="is a file; expected the folder of a finished run"):
        open_run(recipe)
    with pytest.raises(RunError, match="guard"):
        go(recipe, "stages.rules.guard=drop < 0.01")
    with pytest.raises(RunError, match="a run began there and did not finish"):
        open_run(recipe.parent / "run")
