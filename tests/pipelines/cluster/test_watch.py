"""Snapshot after snapshot on a real cluster: nothing twice, nothing skipped, whatever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crawl_mimic
import crawl_server
import pytest
from crawl_mirror import list_snapshots
from watched import FIRST, SECOND, THIRD, last_id, of_snapshot, states

from winnow.pipelines.cluster import watch as polling
from winnow.pipelines.cluster.server import JobsServer, JobStatus
from winnow.pipelines.cluster.snapshots import Listing
from winnow.pipelines.cluster.state import Attempt, Record, State, WatchStart
from winnow.pipelines.cluster.watch import Row, Watch, parse_every
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.results.table import open_run
from winnow.stages.base import StageError

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Ended = Callable[..., JobStatus]
Looking = Callable[..., Watch]
Korean = Callable[..., str]

INDEXED = """name: ko
language: ko
sources:
  crawl: {{use: commoncrawl, snapshot: "2026..", endpoint: "{url}", audit: 5, fetch: {{backoff: 0.05}}}}
stages:
  extract: {{use: extract}}
  language: {{use: langid}}
  dedup: {{use: minhash, keep: representative}}
"""


@pytest.fixture
def indexed(tmp_path: Path, korean: Korean) -> Iterator[Path]:
    """A declaration of a crawl with a columnar index: 20 Korean pages among others in each snapshot, 10 of them in both."""

    def saved(host: str, seed: int) -> Any:
        text = "".join(f"<p>{part}.</p>" for part in korean(seed).split(".") if part.strip())
        body = f"<!doctype html><html><head><title>{seed}</title></head><body><article>{text}</article></body></html>"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8"
        return crawl_mimic.Saved(f"https://{host}/{seed}", head, body.encode(), "kor", korean=True)

    others = crawl_mimic.written_pages(korean=0, other=30)
    of = {
        FIRST: [*others, *(saved("a.example", seed) for seed in range(20))],
        SECOND: [*others, *(saved("b.example", seed) for seed in range(10, 30))],
    }
    crawl_mimic.build(tmp_path / "crawl", of, files=2)
    path = tmp_path / "ko.yaml"
    with crawl_server.CrawlServer(tmp_path / "crawl") as server:
        server.plan(crawl_server.status(503, every=9))
        path.write_text(INDEXED.format(url=server.url), "utf-8")
        yield path


def test_two_snapshots_one_after_the_other_keep_what_both_have_once(
    indexed: Path,
    cluster: str,
    winnow_command: Command,
    winnow_process: Command,
    ended: Ended,
    server: JobsServer,
) -> None:
    def look(command: Command) -> tuple[int, dict[str, dict[str, Any]]]:
        done = command("watch", "ko.yaml", "--once", "--json", "--address", cluster, cwd=indexed.parent)
        assert not done.stderr, done.stderr
        return done.returncode, {row["snapshot"]: row for row in map(json.loads, done.stdout.splitlines())}

    code, rows = look(winnow_process)
    first = rows[FIRST]["record"]["attempts"][0]["id"]
    assert code == 0 and rows[SECOND] == {"snapshot": SECOND, "state": "waiting", "note": f"for {FIRST}"}
    assert ended(first).state == "SUCCEEDED", server.logs(first)
    code, rows = look(winnow_command)
    assert code == 0 and rows[FIRST]["state"] == "succeeded"
    base = indexed.parent / "runs" / "ko"
    record = rows[SECOND]["record"]
    assert record["known"] == [f"{base}/known/{FIRST}"]
    second = record["attempts"][0]["id"]
    assert ended(second).state == "SUCCEEDED", server.logs(second)
    words = ("watch", "ko.yaml", "--once", "--wait", "--address", cluster)
    assert winnow_command(*words, cwd=indexed.parent).stdout.count("succeeded") == 2

    kept = [open_run(base / name).documents().select("url", "text").collect() for name in (FIRST, SECOND)]
    assert sorted(kept[0]["url"]) == sorted(f"https://a.example/{seed}" for seed in range(20))
    assert sorted(kept[1]["url"]) == sorted(f"https://b.example/{seed}" for seed in range(20, 30))
    assert (base / "known" / SECOND / "manifest.json").is_file()


KILLED = """
import os, signal, sys
from winnow.pipelines.cluster.state import Attempt, WatchStart, Record, State

kept = State.write

def write(self, record):
    if record.last.state == {at!r}:
        if {after}:
            kept(self, record)
        os.kill(os.getpid(), signal.SIGKILL)
    kept(self, record)

State.write = write
from winnow.pipelines.cli import main
main()
"""


@pytest.mark.parametrize(
    ("at", "after", "jobs"), [("submitted", False, 1), ("intended", True, 0), ("intended", False, 0)]
)
def test_a_watch_that_is_killed_around_a_submission_neither_doubles_nor_skips_it(
    declared: Path, cluster: str, looking: Looking, server: JobsServer, ended: Ended, at: str, after: bool, jobs: int
) -> None:
    code = KILLED.format(at=at, after=after)
    words = ["watch", "ko.yaml", "--once", "--python", "true", "--snapshots", FIRST, "--address", cluster]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=declared.parent, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    watch = looking(wanted=FIRST)
    assert len(of_snapshot(server, watch)) == jobs
    kept = watch.state.records().get(FIRST)
    assert kept is None if (at, after) == ("intended", False) else kept is not None and kept.last.state == "intended"

    rows = watch.poll()
    (job,) = of_snapshot(server, watch)
    assert last_id(rows, FIRST) == job and job.endswith("-1")
    ended(job)
    assert states(watch.poll()) == {FIRST: "succeeded"}
    assert of_snapshot(server, watch) == [job]


def test_a_signal_ends_the_waiting_and_leaves_the_job_at_work(
    declared: Path, cluster: str, winnow_command: Command, looking: Looking, ended: Ended
) -> None:
    words = ["watch", "ko.yaml", "--address", cluster, "--python", "true"]
    line = [sys.executable, "-m", "winnow.pipelines.cli", *words]
    with subprocess.Popen(line, cwd=declared.parent, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert "snapshot" in watching.stdout.readline()
        other = winnow_command(*words, "--once", cwd=declared.parent)
        assert other.returncode == 1 and "another watch is at work on this state" in other.stderr
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(300) == 0, "a look every day is what it waits for"
    record = looking().state.records()[FIRST]
    assert record.last.state == "submitted" and ended(record.last.id).state == "SUCCEEDED"


def test_waiting_ends_when_everything_is_done_or_nothing_answers_any_more(
    looking: Looking, site: Any, declared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(polling, "BUSY_SECONDS", 0.2)
    away = crawl_server.status(404, path="collinfo.json", every=2)
    site.plan(away)
    with polling.stop_event() as stop:
        *_, last = polling.polls(looking(), stop)
        assert states(last) == {FIRST: "succeeded", SECOND: "succeeded"}
        said = capsys.readouterr().err.splitlines()
        assert said and all("collinfo.json" in line and line.endswith("looking again later") for line in said)

        list_snapshots(declared.parent / "crawl", [FIRST, SECOND, THIRD])
        monkeypatch.setattr(polling, "FAILED_POLLS", 1)
        away.matched = 0
        with pytest.raises(StageError, match=r"collinfo\.json"):
            list(polling.polls(looking(), stop))


def test_a_watch_outlives_a_site_that_is_away_for_a_while(
    looking: Looking, site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(polling, "BUSY_SECONDS", 0.2)
    shown: list[dict[str, str]] = []

    def show(rows: list[Row]) -> None:
        shown.append(states(rows))
        if len(shown) == 1:
            site.plan(crawl_server.status(404, path="collinfo.json", first=2))
        if set(shown[-1].values()) == {"succeeded"}:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with polling.stop_event() as stop:
        for rows in polling.polls(looking(), stop, 0.2):
            show(rows)
    assert signal.getsignal(signal.SIGTERM) is before
    assert shown[0] == {FIRST: "pending", SECOND: "waiting"} and shown[-1] == {FIRST: "succeeded", SECOND: "succeeded"}
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("collinfo.json" in line and line.endswith("looking again later") for line in said)


def test_what_cannot_be_asked_changes_nothing(
    declared: Path, site: Any, cluster: str, winnow_command: Command, looking: Looking
) -> None:
    folder = declared.parent
    done = winnow_command("watch", "ko.yaml", "--once", "--address", "http://127.0.0.1:9", cwd=folder)
    assert done.returncode == 1 and done.stderr.startswith("error: http://127.0.0.1:9: no jobs server answers there")
    assert done.stderr.count("\n") == 1 and not (folder / "runs").exists()
    site.plan(crawl_server.status(404, path="collinfo.json"))
    done = winnow_command("watch", "ko.yaml", "--once", "--address", cluster, cwd=folder)
    assert done.returncode == 1 and "collinfo.json" in done.stderr
    assert not looking().state.records()


def test_storage_that_is_away_is_one_sentence(
    looking: Looking, s3: None, winnow_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    watch = looking()
    words = ("watch", "ko.yaml", "--once", "--folder", "s3://away/runs/ko", "--address", watch.server.address)
    done = winnow_command(*words, cwd=Path(watch.options.pipeline.path).parent)
    assert done.returncode == 1 and done.stderr.startswith("error: a server cannot be reached: "), done.stderr
    assert done.stderr.count("\n") == 1


def test_the_state_may_lie_in_object_storage(s3: None) -> None:
    import fsspec

    fsspec.filesystem("s3").makedirs("bucket", exist_ok=True)
    state = State("s3://bucket/runs/ko/watch")
    with state.locked():
        assert state.started() is None and state.records() == {}
        state.start(WatchStart(name="ko", base="s3://bucket/runs/ko"))
        attempt = Attempt(number=1, id="winnow-ko-1", address="http://head:8265", intended=1.5)
        kept = [
            Record(snapshot=name, folder=f"s3://bucket/runs/ko/{name}", remember=None, known=(), attempts=(attempt,))
            for name in (FIRST, SECOND)
        ]
        for record in kept:
            state.write(record)
        state.write(kept[0].changed(state="lost", cause="gone"))
    assert State(state.store.root).started() == WatchStart(name="ko", base="s3://bucket/runs/ko")
    assert state.records() == {FIRST: kept[0].changed(state="lost", cause="gone"), SECOND: kept[1]}


def test_what_cannot_be_watched_is_refused(recipe: Path, declared: Path, looking: Looking) -> None:
    with pytest.raises(RunError, match="no source comes in snapshots"):
        Listing(load_pipeline(recipe))
    twice = ["sources.other={use: commoncrawl, via: wet, snapshot: '2026'}"]
    with pytest.raises(RunError, match="crawl, other all come in snapshots"):
        Listing(load_pipeline(declared, twice))
    with pytest.raises(RunError, match="dedup, again each keep an index"):
        Listing(load_pipeline(declared, ["stages.again={use: minhash, bands: 4}"]))
    with pytest.raises(RunError, match="--every 6x: expected a time such as 30m"):
        parse_every("6x")
    assert (parse_every("90s"), parse_every("1.5h")) == (90, 5400)
    watch = looking(wanted="2026-43")
    watch.state.store.write_json(f"snapshots/{FIRST}.json", {"snapshot": 1})
    with pytest.raises(RunError, match=r"is not the state of a watch \(snapshot: "):
        watch.state.records()
