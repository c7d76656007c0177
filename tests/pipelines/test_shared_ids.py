"""Documents that have one id between them: counted and said wherever a run or its data is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import winnow
from winnow.pipelines.engine import shared_ids
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import open_run
from winnow.stages.reading.batches import identity

from .in_process import command

QUIET = Progress(quiet=True)


@pytest.fixture
def declared(tmp_path: Path, korean: Callable[..., str]) -> Path:
    """Two sources. 'same' is in one batch twice and in the other source; 'far' in two files; 'short' is dropped once."""
    rows = {
        "in/a": ["one", "same", "two", "same", "far", "short"],
        "in/b": ["three", "far", "short", 7],
        "more/c": ["same", "four", "7"],
    }
    seed = 0
    for name, ids in rows.items():
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for key in ids:
                seed += 1
                text = korean(seed, 8 if key == "short" and name == "in/b" else 40)
                file.write(json.dumps({"id": key, "text": text}, ensure_ascii=False) + "\n")
    declared = tmp_path / "same.yaml"
    declared.write_text(
        """name: same
language: ko
sources:
  docs: {use: jsonl, id: id, paths: [in]}
  more: {use: jsonl, id: id, paths: [more/c.jsonl]}
stages:
  rules: {use: rules, packs: [gopher], keep: "word_count >= 20"}
""",
        "utf-8",
    )
    return declared


def test_documents_of_one_id_are_counted_across_files_and_sources(declared: Path) -> None:
    run = winnow.run(declared, folder=declared.parent / "out", local=True, progress=QUIET)
    found = run.accounting["shared_ids"]
    assert {name: found[name] for name in ("documents", "ids", "kept_documents", "kept_ids")} == {
        "documents": 9,  # same 3, far 2, short 2, 7 and "7"
        "ids": 4,
        "kept_documents": 7,
        "kept_ids": 3,
    }
    assert set(found["examples"]) == {identity("same"), identity("far"), identity("7")}


def test_it_is_said_in_run_report_card_and_why(declared: Path) -> None:
    folder = declared.parent
    done = command("run", "same.yaml", "--local", "--folder", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    words = "9 documents have only 4 ids between them; 7 of them are kept"
    assert f"warning: {words}" in done.stdout and f"winnow why {folder}/out " in done.stdout
    assert words in command("inspect", "out", cwd=folder).stdout
    report = command("report", "out", cwd=folder).stdout.strip()
    assert words in Path(report).read_text("utf-8")
    assert command("publish", "out", "--to", "card", cwd=folder).returncode == 0
    card = (folder / "card" / "README.md").read_text("utf-8")
    assert "**Ids.** 7 of the documents have only 3 ids between them" in card
    listed = command("why", "out", identity("same"), cwd=folder).stdout
    assert listed.startswith("3 records, found by its URL or id:") and "source more" in listed
    second = command("why", "out", identity("same"), "--number", "2", cwd=folder).stdout
    assert second.count("source docs") == 1 and "kept, multiplicity 1" in second


def test_a_selection_counts_what_it_keeps(declared: Path) -> None:
    folder = declared.parent
    command("run", "same.yaml", "--local", "--folder", "out", cwd=folder)
    done = command("select", "out", "--set", "stages.rules.keep=word_count >= 2", "--name", "all", cwd=folder)
    assert "9 documents have only 4 ids between them; 9 of them are kept" in done.stdout, done.stderr
    done = command("select", "out", "--set", "stages.rules.keep=word_count < 20", "--name", "few", cwd=folder)
    assert "9 documents have only 4 ids between them; at most one of each is kept" in done.stdout, done.stderr
    assert open_run(f"{folder}/out@few").accounting["shared_ids"]["kept_documents"] == 0


def test_ids_that_are_one_each_are_not_spoken_of(recipe: Path) -> None:
    run = winnow.run(recipe, folder=recipe.parent / "out", local=True, progress=QUIET)
    assert "shared_ids" not in run.accounting


def test_buckets_change_nothing(declared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = winnow.run(declared, folder=declared.parent / "one", local=True, progress=QUIET)
    monkeypatch.setattr(shared_ids, "BUCKET", 2)
    pieces = winnow.run(declared, folder=declared.parent / "many", local=True, progress=QUIET)
    assert pieces.accounting["shared_ids"] == whole.accounting["shared_ids"]
