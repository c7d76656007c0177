"""Every command of the README works as written (the two make commands are what runs this test, so they are parsed only)."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.S)
SHELL = [line for kind, block in BLOCKS if kind == "sh" for line in block.strip().splitlines()]
WINNOW = [line for line in SHELL if line.startswith("winnow ")]
MAKE = [line for line in SHELL if line.startswith("make ")]


def test_the_declaration_shown_is_the_one_that_ships() -> None:
    shown = next(block for kind, block in BLOCKS if kind == "yaml")
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "pipelines" / "ko.yaml").read_text("utf-8"))


@pytest.mark.parametrize("line", MAKE)
def test_make_knows_every_target_shown(line: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*shlex.split(line), "--dry-run", f"VENV={tmp_path}/venv"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 or "no finished run" in done.stderr, done.stderr


def test_every_winnow_command_runs(sample_run: Path) -> None:
    """In order, in a folder where the sample is curated already; `run` without Ray, for time."""
    url = pl.read_ndjson(sample_run / "runs" / "sample" / "truth.jsonl", infer_schema_length=None).get_column("url")[0]
    for line in WINNOW:
        words = shlex.split(line)[1:]
        if words[0] == "run":
            words.append("--local")
        words = [url if w.startswith("https://news.example.kr") else w for w in words]
        words = [str(ROOT / w) if w.startswith("pipelines/") else w for w in words]
        if words[0] == "train":
            words += ["--set", "train.steps=2", "--set", "train.sequence_length=64"]
        done = subprocess.run(
            [sys.executable, "-m", "winnow.pipelines.cli", *words],
            cwd=sample_run,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_python_shown_runs(sample_run: Path) -> None:
    shown = next(block for kind, block in BLOCKS if kind == "python").replace(
        '"pipelines/ko.yaml"', repr(str(ROOT / "pipelines/ko.yaml"))
    )
    code = shown.replace("run.documents()", "print(run.documents().collect().height)").replace(
        "winnow.run(", "winnow.run(local=True, path="
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=sample_run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
