"""Every command of the README works as written (the two make commands are what runs this test, so they are parsed only)."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import polars as pl
import pytest
import yaml

from winnow.pipelines.finished import open_run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.S)
SHELL = [line for kind, block in BLOCKS if kind == "sh" for line in block.replace("\\\n", " ").strip().splitlines()]
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


def test_a_pack_is_fitted_for_a_language_without_one(tmp_path: Path, data: Path) -> None:
    """The command as it is written, and the declaration that uses what it makes."""
    (tmp_path / "sentences").mkdir()
    with tarfile.open(data / "lid-lingua/language-testdata/sentences.tar.gz") as archive:
        for code in ("tr", "en"):
            member = next(m for m in archive.getmembers() if PurePosixPath(m.name).name == f"{code}.txt")
            found = archive.extractfile(member)
            assert found is not None
            (tmp_path / "sentences" / f"{code}.txt").write_bytes(found.read())
    line = next(line for line in WINNOW if " fit language " in line)
    cli = [sys.executable, "-m", "winnow.pipelines.cli"]
    done = subprocess.run([*cli, *shlex.split(line)[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "sentences" / "tr.txt").read_text("utf-8").splitlines()
    rows = [{"text": "\n".join(lines[n : n + 12])} for n in range(0, len(lines), 12)]
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    shown = next(block for kind, block in BLOCKS if kind == "yaml" and "tr.yaml" in block)
    (tmp_path / "turkish.yaml").write_text(shown, "utf-8")
    done = subprocess.run([*cli, "run", "turkish.yaml", "--local"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert open_run(tmp_path / "runs" / "tr").accounting["kept"] >= 0.8 * len(rows)


def test_every_winnow_command_runs(sample_run: Path) -> None:
    """In order, in a folder where the sample is curated already; `run` without Ray, for time."""
    url = pl.read_ndjson(sample_run / "runs" / "sample" / "truth.jsonl", infer_schema_length=None).get_column("url")[0]
    for line in (line for line in WINNOW if " fit language " not in line):
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
