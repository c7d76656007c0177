"""A run whose inputs and folder are on object storage, over real HTTP, is the run that it is on a disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.table import open_run

pytest.importorskip("s3fs", reason="needs the s3 extra")


def test_object_storage_gives_the_same_digests(recipe: Path, s3: None) -> None:
    bucket = "s3://winnow-test"
    fsspec.filesystem("s3").mkdir("winnow-test")
    quiet = Progress(quiet=True)
    on_disk = winnow.run(recipe, folder=recipe.parent / "run", local=True, progress=quiet)
    fs = fsspec.filesystem("s3")
    fs.put(f"{recipe.parent}/in/", f"{bucket}/in/", recursive=True)
    sets = [f'sources.docs.paths=["{bucket}/in/*.jsonl"]']
    remote = winnow.run(recipe, sets, folder=f"{bucket}/run", local=True, progress=quiet)
    assert remote.accounting["digest"] == on_disk.accounting["digest"]
    manifests = []
    for run in (on_disk, remote):
        with fsspec.open(f"{run.shards}/manifest.json", "rb") as file:
            manifests.append(json.load(file))
    assert manifests[0] == manifests[1]
    again = winnow.run(recipe, sets, folder=f"{bucket}/run", local=True, progress=quiet)
    assert again.did_nothing
    command = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(recipe), "--set", *sets]
    done = subprocess.run(
        [*command, "--folder", f"{bucket}/on-ray", "--workers", "2"], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    on_ray = open_run(f"{bucket}/on-ray").documents().collect()  # its files share a partition there
    assert on_ray.sort("id").equals(on_disk.documents().collect().sort("id"))
    documents = open_run(f"{bucket}/run").documents().collect()
    assert documents.equals(on_disk.documents().collect())
    edit = ["stages.rules.keep=word_count >= 20 and unique_words >= quantile(0.5)"]
    chosen = [
        reselect(open_run(folder), edit, name="half", progress=quiet) for folder in (on_disk.folder, f"{bucket}/run")
    ]
    assert chosen[0].run.accounting["digest"] == chosen[1].run.accounting["digest"]
    assert open_run(f"{bucket}/run@half").documents().collect().equals(chosen[0].run.documents().collect())
