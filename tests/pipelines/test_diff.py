"""`winnow diff`: what it counts is what a join of the two selections' documents gives, aligned or by id."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import winnow
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.diff import ABSENT, NO_URL, Count, Difference, diff, host
from winnow.pipelines.results.table import Run, open_run

from .in_process import command

QUIET = Progress(quiet=True)


def go(recipe: Path, *assignments: str, folder: str = "run") -> Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=QUIET, local=True)


def selected(run: Run, *assignments: str, name: str) -> Run:
    reselect(run, assignments, name=name, progress=QUIET)
    return open_run(f"{run.folder}@{name}")


def joined(a: Run, b: Run) -> pl.DataFrame:
    """Both selections side by side, by id: copies, tokens with repetitions, reason."""
    sides = [
        run.documents(kept_only=False)
        .select(
            "id",
            "url",
            (pl.col("selection.multiplicity").cast(pl.Int64)).alias(f"{side}_copies"),
            (pl.col("selection.multiplicity").cast(pl.Int64) * pl.col("shards.tokens").fill_null(0)).alias(
                f"{side}_tokens"
            ),
            pl.col("selection.clause").alias(f"{side}_clause"),
        )
        .collect()
        for run, side in ((a, "a"), (b, "b"))
    ]
    return sides[0].join(sides[1].drop("url"), on="id", how="inner")


def check(found: Difference, a: Run, b: Run) -> None:
    """Every figure, from a join."""
    rows = joined(a, b)
    lost = rows.filter((pl.col("a_copies") > 0) & (pl.col("b_copies") == 0))
    gained = rows.filter((pl.col("a_copies") == 0) & (pl.col("b_copies") > 0))
    assert found.lost == Count(len(lost), lost["a_tokens"].sum())
    assert found.gained == Count(len(gained), gained["b_tokens"].sum())
    both = rows.filter((pl.col("a_copies") > 0) & (pl.col("b_copies") > 0))
    delta = both["b_tokens"] - both["a_tokens"]
    assert found.more == Count(int((delta > 0).sum()), int(delta.filter(delta > 0).sum()))
    assert found.less == Count(int((delta < 0).sum()), int(delta.filter(delta < 0).sum()))
    assert found.both == len(both)
    assert {r.reason: r.count.documents for r in found.lost_by} == dict(Counter(lost["b_clause"]))
    assert {r.reason: r.count.documents for r in found.gained_by} == dict(Counter(gained["a_clause"]))
    assert found.a.kept.documents - found.lost.documents + found.gained.documents == found.b.kept.documents
    change = -found.lost.tokens + found.gained.tokens + found.more.tokens + found.less.tokens
    assert found.a.kept.tokens + change == found.b.kept.tokens == b.accounting["tokens"]
    assert (found.b.kept.documents, found.b.copies) == (b.accounting["kept"], b.accounting["copies"])
    for groups in (found.domains, found.hosts):
        assert sum(g.lost.documents for g in groups) == found.lost.documents
        assert sum(g.gained.tokens for g in groups) == found.gained.tokens
        assert sum(g.repeated for g in groups) == found.more.tokens + found.less.tokens
    for reason in found.lost_by:
        for example in reason.examples:
            assert example.id in set(lost.filter(pl.col("b_clause") == reason.reason)["id"])
            assert example.decision is not None and example.decision.clause == reason.reason
            assert example.decision.value


EDITS = {
    "longer": ("stages.rules.keep=word_count >= 20 and mean_word_length >= 3",),
    "any": ("stages.rules.keep=word_count >= 20 and (unique_words > 0.74 or language.score < 0.99)",),
    "twice": ("stages.mixture.budget_tokens=9000",),
    "few": ("stages.mixture.budget_tokens=1500", "stages.rules.keep=word_count >= 20 and unique_words > 0.74"),
}


@pytest.mark.parametrize("name", EDITS)
def test_every_figure_is_that_of_a_join(ran: Path, name: str) -> None:
    a = go(ran)
    b = selected(a, *EDITS[name], name=name)
    assert not b.accounting["pending"]
    there, back = diff(a, b), diff(b, a)
    check(there, a, b)
    check(back, b, a)
    assert not there.by_id and (there.lost, there.gained) == (back.gained, back.lost)
    assert there.lost.documents + there.gained.documents + there.more.documents + there.less.documents > 0


def test_runs_in_two_folders_are_matched_by_id(ran: Path) -> None:
    a = go(ran)
    near = selected(a, *EDITS["few"], name="few")
    far = go(ran, *EDITS["few"], folder="far")
    here, there = diff(a, near), diff(a, far)
    assert there.by_id and not here.by_id
    assert replace(there, b=here.b, by_id=False) == here
    check(there, a, far)


def test_the_same_selection_differs_in_nothing(ran: Path) -> None:
    a = go(ran)
    found = diff(a, open_run(a.folder))
    assert not (found.lost.documents or found.gained.documents or found.domains or found.clauses or found.settings)
    assert found.a.kept == found.b.kept and found.both == a.accounting["kept"]


def test_clauses_and_settings_that_differ_are_named(ran: Path) -> None:
    a = go(ran)
    b = selected(a, "stages.rules.keep={long: word_count >= 40}", "stages.mixture.max_epochs=3", name="b")
    found = diff(a, b)
    changed = {c.name: (c.a, c.b) for c in found.clauses}
    assert changed["rules.word_count"] == ("word_count >= 20", None)
    assert changed["rules.long"] == (None, "word_count >= 40")
    assert [(c.name, c.a, c.b) for c in found.settings] == [("mixture.max_epochs", "2.0", "3.0")]


def test_what_one_side_never_read_is_absent_there(recipe: Path) -> None:
    a = go(recipe)
    (recipe.parent / "in" / "docs-1.jsonl").unlink()
    b = go(recipe, folder="less")
    found = diff(a, b)
    assert found.by_id
    absent = next(r for r in found.lost_by if r.reason == ABSENT)
    assert absent.count.documents > 0 and all(e.decision is None for e in absent.examples)
    assert {e.url.split("/")[3] for e in absent.examples if e.url} == {"1"}
    assert found.a.kept.documents - found.lost.documents + found.gained.documents == found.b.kept.documents


def test_runs_without_a_common_record_are_refused(recipe: Path) -> None:
    a = go(recipe)
    for number, file in enumerate(sorted((recipe.parent / "in").glob("*.jsonl"))):
        lines = file.read_text("utf-8").replace('"id": "', '"id": "other-').splitlines()
        file.write_text("\n".join(line for line in lines if line.startswith('{"')) + "\n", "utf-8")
        assert number < 4
    with pytest.raises(RunError, match="have no record in common"):
        diff(a, go(recipe, folder="other"))


def test_pending_documents_are_neither_lost_nor_gained(recipe: Path) -> None:
    a = go(recipe, "stages.rules.keep=word_count >= 55")
    reselect(a, ["stages.rules.keep=word_count >= 5"], name="looser", progress=QUIET)
    b = open_run(f"{a.folder}@looser")
    found = diff(a, b)
    assert list(found.b.pending) == ["shards"] and sum(found.b.pending.values()) == b.accounting["pending"]
    assert not any("pending" in r.reason for r in (*found.lost_by, *found.gained_by))
    undecided = sum(c.documents for c in found.undecided.values())
    kept = found.a.kept.documents - found.lost.documents + found.gained.documents - undecided
    assert kept == found.b.kept.documents


def test_without_a_tokenizer_documents_have_no_token_count(recipe: Path) -> None:
    sets = ("stages.shards=null", "stages.mixture=null")
    a = go(recipe, *sets)
    b = selected(a, *EDITS["longer"], name="b")
    found = diff(a, b)
    assert found.a.kept.uncounted == found.a.kept.documents > 0
    assert found.lost.uncounted == found.lost.documents > 0 and found.lost.tokens == 0


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.Example.org/a?b#c", "example.org"),
        ("http://user:pass@news.example.kr:8080/x", "news.example.kr"),
        ("https://example.org", "example.org"),
        ("http://[2001:db8::1]:8080/x", "[2001:db8::1]"),
        ("no url", NO_URL),
        (None, NO_URL),
    ],
)
def test_a_host_is_without_www(url: str | None, name: str) -> None:
    assert pl.select(host(pl.lit(url, pl.String))).item() == name


def test_the_command_compares_two_selections(ran: Path) -> None:
    run = go(ran)
    selected(run, *EDITS["longer"], name="longer")
    done = command("diff", run.folder, f"{run.folder}@longer")
    assert done.returncode == 0, done.stderr
    found = diff(run, open_run(f"{run.folder}@longer"))
    assert f"rules.mean_word_length: {found.lost_by[0].count.documents:,} documents, " in done.stdout
    assert "rules.mean_word_length: (none) -> mean_word_length >= 3" in done.stdout
    assert "example.org" in done.stdout and len(re.findall("https://example.org/", done.stdout)) >= 1
    (told,) = [json.loads(x) for x in command("diff", run.folder, f"{run.folder}@longer", "--json").stdout.splitlines()]
    assert told["lost"] == {"documents": found.lost.documents, "tokens": found.lost.tokens, "uncounted": 0}
    wrong = command("diff", run.folder, f"{run.folder}@longr")
    assert wrong.returncode == 1 and "nearest: 'longer'" in wrong.stderr


def test_select_and_run_make_a_named_selection_whole(recipe: Path) -> None:
    """The commands in the order in which one uses them."""
    folder = recipe.parent
    made = command("run", str(recipe), "--local", "--set", "stages.rules.keep=mean_word_length >= 3.05", cwd=folder)
    assert made.returncode == 0, made.stderr
    done = command(
        "select", "runs/small", "--set", "stages.rules.keep=mean_word_length >= 2.9", "--name", "looser", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert "provisional" in done.stdout and "winnow run runs/small --selection looser" in done.stdout
    told = command("inspect", "runs/small@looser", cwd=folder)
    assert told.returncode == 0, told.stderr
    done = command("run", "runs/small", "--selection", "looser", "--local", cwd=folder)
    assert done.returncode == 0, done.stderr
    looser = open_run(folder / "runs" / "small@looser")
    assert looser.shards is not None and not looser.accounting["pending"]
    command(
        "run",
        str(recipe),
        "--local",
        "--folder",
        "fresh",
        "--set",
        "stages.rules.keep=mean_word_length >= 2.9",
        cwd=folder,
    )
    assert looser.accounting["digest"] == open_run(folder / "fresh").accounting["digest"]
    again = command("run", "runs/small", "--local", cwd=folder)
    assert again.returncode == 0 and "nothing to do" in again.stdout, again.stderr
    for words, sentence in (
        (["run", str(recipe), "--selection", "other"], "no selection 'other' there"),
        (["run", "runs/small@looser", "--selection", "looser"], "names a selection already"),
        (["run", "runs/small", "--folder", "x"], "is a run's folder already"),
        (["run", "runs/small", "--selection", "losser"], "nearest: 'looser'"),
        (["run", "runs/nothing"], "runs/nothing"),
    ):
        wrong = command(*words, cwd=folder)
        assert wrong.returncode == 1 and sentence in wrong.stderr and len(wrong.stderr.splitlines()) == 1, wrong.stderr
