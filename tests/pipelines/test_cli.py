"""The command line itself: what it costs to ask for help, and that each reading command reaches its room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect

from ..needs import needs
from .in_process import command

HEAVY = ("polars", "pyarrow", "numpy", "ray", "torch", "tokenizers", "huggingface_hub", "jinja2")


@pytest.fixture
def folder(recipe: Path) -> Path:
    """A folder with runs/small and its provisional selection `looser`."""
    quiet = Progress(quiet=True)
    root = recipe.parent / "runs" / "small"
    keep = "stages.rules.keep=mean_word_length"
    run = winnow.run(recipe, [f"{keep} >= 3.05"], folder=root, local=True, progress=quiet)
    reselect(run, [f"{keep} >= 2.9"], name="looser", progress=quiet)
    return recipe.parent


def test_the_commands_are_named_without_importing_what_they_need() -> None:
    code = f"import sys, winnow.pipelines.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_report_and_compare_write_a_page(folder: Path) -> None:
    done = command("report", "runs/small", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_text("utf-8").startswith("<!")
    done = command("compare", "runs/small", "runs/small@looser", "--out", "both.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "small@looser" in (folder / "both.html").read_text("utf-8")
    assert command("compare", "runs/small", cwd=folder).returncode == 1


def test_publish_writes_what_was_kept(folder: Path) -> None:
    done = command("publish", "runs/small", "--to", "out", "--licence", "cc-by-4.0", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "README.md").is_file()


def test_training_on_a_selection_without_shards_says_what_to_run(folder: Path) -> None:
    needs("torch")
    done = command("train", "runs/small@looser", cwd=folder)
    assert done.returncode == 1
    assert "no shards yet: winnow run" in done.stderr and "--selection looser" in done.stderr


def test_plan_shows_what_a_selection_lacks(folder: Path) -> None:
    done = command("plan", "runs/small", "--selection", "looser", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "shards" in done.stdout
