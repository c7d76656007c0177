"""Runs as jobs of a real cluster: what travels, what is refused, what is shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.pipelines.api import run
from winnow.pipelines.cluster.bundle import bundle
from winnow.pipelines.cluster.server import JobsServer, JobStatus
from winnow.pipelines.cluster.submit import Job, SubmitOptions, check_folder, submit
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.results.table import Run, open_run

ROOT = Path(__file__).parents[3]

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Ended = Callable[..., JobStatus]

SMALL = """name: small
language: ko
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{paths}"]}}
stages:
  urls: {{use: urls, lists: [{{path: "{words}", kind: domains}}], keep: "true"}}
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 20"}}
"""


@pytest.fixture
def declared(recipe: Path) -> Path:
    """A declaration that names its input and a list of its own by relative paths."""
    (recipe.parent / "lists").mkdir()
    (recipe.parent / "lists" / "words.txt").write_text("bad.example\n", "utf-8")
    path = recipe.parent / "declared.yaml"
    path.write_text(SMALL.format(paths="in/*.jsonl", words="lists/words.txt"), "utf-8")
    return path


def ids(done: Run) -> list[str]:
    """What a run kept."""
    return sorted(done.documents().select("id").collect()["id"])


def test_a_submitted_run_is_the_run_of_this_machine(
    declared: Path,
    cluster: str,
    winnow_command: Command,
    winnow_process: Command,
    ended: Ended,
    server: JobsServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = declared.parent
    monkeypatch.chdir(folder)
    words = ("submit", str(declared), "--address", cluster, "--set", "stages.rules.keep=word_count >= 25")
    done = winnow_command(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    job = done.stdout.split(":")[0]
    assert re.fullmatch(r"winnow-small-[0-9a-f]{8}-1", job)
    again = winnow_command(*words, cwd=folder)
    if server.jobs()[job].state in ("PENDING", "RUNNING"):
        assert again.returncode == 1 and f"{job} is at work on this already" in again.stderr
    followed = winnow_process("logs", job, "--follow", "--address", cluster, cwd=folder)
    assert ended(job).state == "SUCCEEDED", server.logs(job)
    assert followed.returncode == 0 and "documents kept; selection" in followed.stdout
    assert followed.stderr == ""

    here = run(declared, ["stages.rules.keep=word_count >= 25"], folder=folder / "here", local=True)
    assert ids(open_run(folder / "runs" / "small")) == ids(here)

    listed = winnow_command("jobs", "--json", "--address", cluster, cwd=folder)
    found = {job["id"]: job for job in map(json.loads, listed.stdout.splitlines())}[job]
    assert (found["state"], found["folder"]) == ("succeeded", str(folder / "runs" / "small"))
    assert job in winnow_command("jobs", "--address", cluster, cwd=folder).stdout


def test_another_attempt_gets_another_id_and_the_server_refuses_a_second_job_of_one(
    declared: Path, server: JobsServer, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(declared.parent)
    pipeline = load_pipeline(declared, ["name=broken", "sources.docs.paths=[in/none.jsonl]"])
    first = submit(pipeline, Job("broken", str(declared.parent / "out")), server, SubmitOptions())
    seen = ended(first.id)
    assert seen.state == "FAILED" and seen.cause.startswith("error: sources.docs.paths: no file matches")
    second = submit(pipeline, Job("broken", str(declared.parent / "out")), server, SubmitOptions())
    assert (first.attempt, second.attempt) == (1, 2) and second.id == first.id[:-1] + "2"
    assert server.submit(first.id, "true", {}, {}) is False
    ended(second.id)


def test_the_code_of_this_checkout_travels_with_a_job(
    declared: Path, server: JobsServer, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(declared.parent)
    before = {path.name for path in ROOT.iterdir()}
    pipeline = load_pipeline(declared, ["stages.rules=null"])
    told = declared.parent / "told"
    python = declared.parent / "python"
    say = "import winnow.pipelines.cluster.entry as entry; print(entry.__file__)"
    python.write_text(f"#!/bin/sh\n{sys.executable} -c '{say}' > {told}\nexec {sys.executable} \"$@\"\n")
    python.chmod(0o755)
    job = submit(
        pipeline, Job("wheel", str(declared.parent / "out")), server, SubmitOptions("wheel", python=str(python))
    )
    assert ended(job.id).state == "SUCCEEDED", server.logs(job.id)
    assert "py_modules_files" in told.read_text() and ids(open_run(declared.parent / "out"))
    assert {path.name for path in ROOT.iterdir()} == before


def test_small_files_of_stages_travel_and_sources_do_not(declared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(declared.parent)
    pipeline = load_pipeline(declared, ["sources.docs.paths=['s3://bucket/in/*.jsonl']"])
    sent = bundle(pipeline, False, "http://head:8265")
    assert sent.files == {"lists/words.txt": declared.parent / "lists" / "words.txt"}
    told = yaml.safe_load(sent.declaration)
    assert told["stages"]["urls"]["lists"] == [{"path": "lists/words.txt", "kind": "domains"}]
    assert told | {"stages": {}} == pipeline.tree | {"stages": {}}

    elsewhere = load_pipeline(
        declared, ["sources.docs.paths=['s3://b/*.jsonl']", f"stages.urls.lists=[{declared.parent}/lists/words.txt]"]
    )
    monkeypatch.chdir(declared.parent / "in")
    sent = bundle(elsewhere, False, "http://head:8265")
    (name,) = sent.files
    assert re.fullmatch(r"files/[0-9a-f]{16}/words.txt", name)
    assert yaml.safe_load(sent.declaration)["stages"]["urls"]["lists"] == [name]

    monkeypatch.chdir(declared.parent)
    with pytest.raises(RunError, match=r"sources\.docs\.paths: '/.*/in/\*\.jsonl' is on this machine"):
        bundle(load_pipeline(declared), False, "http://head:8265")
    tree = yaml.safe_load(bundle(load_pipeline(declared), True, "http://head:8265").declaration)
    assert tree["sources"]["docs"]["paths"] == [f"{declared.parent}/in/*.jsonl"]
    assert tree["stages"]["urls"]["lists"][0]["path"] == f"{declared.parent}/lists/words.txt"
    assert not bundle(load_pipeline(declared), True, "http://head:8265").files

    with (declared.parent / "lists" / "words.txt").open("ab") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(RunError, match=r"words\.txt: the local files that the stages name have 68,157,4\d\d bytes"):
        bundle(pipeline, False, "http://head:8265")


def test_a_local_folder_is_for_a_server_on_this_machine(server: JobsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.here
    check_folder("/data/run", server, SubmitOptions())
    monkeypatch.setattr(server, "address", "http://203.0.113.7:8265")
    assert not server.here
    check_folder("s3://bucket/run", server, SubmitOptions())
    check_folder("/data/run", server, SubmitOptions(shared=True))
    with pytest.raises(RunError, match=r"--folder /data/run: is on this machine, and the jobs server at http://203"):
        check_folder("/data/run", server, SubmitOptions())


def test_a_job_on_another_machine_refuses_a_folder_of_this_one(declared: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "winnow.pipelines.cluster.entry",
        str(declared),
        "--folder",
        "x",
        "--only-on",
        "other",
    ]
    done = subprocess.run(line, capture_output=True, text=True, cwd=declared.parent)
    assert done.returncode == 1 and done.stderr.startswith("error: x: is on machine 'other', and this job runs on")


def test_the_address_of_the_command_line_comes_before_the_environment(
    head: Any, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", head.gcs)  # as in a job: the cluster itself, which knows its dashboard
    assert JobsServer().address == cluster
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    assert JobsServer(cluster).address == cluster
    assert JobsServer(cluster.removeprefix("http://")).address == cluster
    with pytest.raises(RunError, match=r"http://127\.0\.0\.1:9: no jobs server answers there"):
        JobsServer()
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", cluster.removeprefix("http://"))
    assert JobsServer().address == cluster
    assert "RAY_API_SERVER_ADDRESS" not in os.environ


def test_what_is_missing_is_said_in_one_sentence(cluster: str, tmp_path: Path, winnow_command: Command) -> None:
    done = winnow_command("jobs", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: no jobs server is named; give --address")
    for follow in ([], ["--follow"]):
        done = winnow_command("logs", "no-such-job", *follow, "--address", cluster, cwd=tmp_path)
        assert done.returncode == 1 and f"error: {cluster}: no job 'no-such-job' there; " in done.stderr
    code = "import sys; sys.modules['aiohttp'] = None; from winnow.pipelines.cli import main; main()"
    line = [sys.executable, "-c", code, "jobs", "--address", cluster]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "pip install 'winnow[cluster]'" in done.stderr
