"""Snapshot after snapshot on a real cluster: nothing twice, nothing skipped, whatever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from winnow.pipelines.execute import RunError
from winnow.pipelines.finished import open_run
from winnow.pipelines.jobs import turns
from winnow.pipelines.jobs.server import JobsServer, Seen
from winnow.pipelines.jobs.snapshots import Listing
from winnow.pipelines.jobs.state import Attempt, Begun, Record, State
from winnow.pipelines.jobs.submit import Sending
from winnow.pipelines.jobs.turns import parse_every
from winnow.pipelines.jobs.watch import Orders, Row, Watch
from winnow.pipelines.spec import load_pipeline
from winnow.stages.stage import StageError

HERE = Path(__file__).parent

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Ended = Callable[..., Seen]
Korean = Callable[..., str]

FIRST, SECOND, THIRD = "CC-MAIN-2026-35", "CC-MAIN-2026-39", "CC-MAIN-2026-43"


def _module(path: Path, name: str) -> Any:
    """A module of the tests, which are no package."""
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


mirror = _module(HERE / "mirror.py", "crawl_mirror")
crawl_mimic = _module(HERE.parents[1] / "stages" / "commoncrawl" / "mimic.py", "crawl_mimic")
crawl_server = _module(HERE.parents[1] / "stages" / "commoncrawl" / "server.py", "crawl_server")

DECLARATION = """name: ko
language: ko
sources:
  crawl: {{use: commoncrawl, via: wet, snapshot: "2026..", endpoint: "{url}", fetch: {{backoff: 0.05, attempts: 3}}}}
stages:
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 5"}}
  dedup: {{use: minhash, keep: representative}}
"""


@pytest.fixture
def site(tmp_path: Path, korean: Korean) -> Iterator[Any]:
    """A crawl of two snapshots on a web server. The second has half of the first's texts again."""
    texts = [korean(seed) for seed in range(30)]
    of = {
        FIRST: [(f"https://a.example/{n}", text) for n, text in enumerate(texts[:20])],
        SECOND: [(f"https://b.example/{n}", text) for n, text in enumerate(texts[10:])],
    }
    mirror.write_mirror(tmp_path / "crawl", of)
    with crawl_server.CrawlServer(tmp_path / "crawl") as server:
        yield server


@pytest.fixture
def declared(tmp_path: Path, site: Any) -> Path:
    """A declaration of that crawl in a folder of its own."""
    path = tmp_path / "ko.yaml"
    path.write_text(DECLARATION.format(url=site.url), "utf-8")
    return path


Looking = Callable[..., Watch]


@pytest.fixture
def looking(declared: Path, server: JobsServer) -> Looking:
    """Makes a watch. `command` takes the place of Python in its jobs: `true` succeeds at once, `false` fails."""

    def make(command: str = "true", wanted: str | None = None, **orders: Any) -> Watch:
        sets = orders.pop("sets", [])
        pipeline = load_pipeline(declared, sets)
        base = str(declared.parent / "runs" / "ko")
        told = Orders(pipeline, base, sending=Sending(python=command), **orders)
        return Watch(told, Listing(pipeline, wanted), State(f"{base}/watch"), server)

    return make


def states(rows: list[Row]) -> dict[str, str]:
    return {row.snapshot: row.state for row in rows}


def of_snapshot(server: JobsServer, watch: Watch) -> list[str]:
    """Ids of the jobs of one watch, in order of attempt."""
    return sorted(j.id for j in server.jobs().values() if j.metadata.get("folder", "").startswith(watch.orders.base))


def last_id(rows: list[Row], snapshot: str) -> str:
    record = next(row.record for row in rows if row.snapshot == snapshot)
    assert record is not None
    return record.last.id


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
    indexed: Path, cluster: str, winnow_command: Command, ended: Ended, server: JobsServer, korean: Korean
) -> None:
    def look() -> tuple[int, dict[str, dict[str, Any]]]:
        done = winnow_command("watch", "ko.yaml", "--once", "--json", "--address", cluster, cwd=indexed.parent)
        assert not done.stderr, done.stderr
        return done.returncode, {row["snapshot"]: row for row in map(json.loads, done.stdout.splitlines())}

    code, rows = look()
    first = rows[FIRST]["record"]["attempts"][0]["id"]
    assert code == 0 and rows[SECOND] == {"snapshot": SECOND, "state": "waiting", "note": f"for {FIRST}"}
    assert ended(first).state == "SUCCEEDED", server.logs(first)
    code, rows = look()
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
from winnow.pipelines.jobs.state import Attempt, Begun, Record, State

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
    words = ["watch", "ko.yaml", "--once", "--python", "true", "--address", cluster]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=declared.parent, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    watch = looking()
    assert len(of_snapshot(server, watch)) == jobs
    kept = watch.state.records().get(FIRST)
    assert kept is None if (at, after) == ("intended", False) else kept is not None and kept.last.state == "intended"

    rows = watch.look()
    (job,) = of_snapshot(server, watch)
    assert last_id(rows, FIRST) == job and job.endswith("-1")
    ended(job)
    assert states(watch.look())[FIRST] == "succeeded"
    assert len(of_snapshot(server, watch)) == 2  # and the second snapshot's


def test_failed_jobs_are_tried_again_and_then_wait_for_somebody(
    looking: Looking, server: JobsServer, ended: Ended, declared: Path, cluster: str, winnow_command: Command
) -> None:
    watch = looking("false", attempts=2)
    rows = watch.look()
    for attempt in (1, 2):
        job = last_id(rows, FIRST)
        assert job.endswith(f"-{attempt}") and ended(job).state == "FAILED"
        rows = watch.look()
    assert states(rows) == {FIRST: "failed", SECOND: "waiting"}
    assert "exit code 1" in rows[0].note and f"--again {FIRST}" in rows[0].note
    assert states(watch.look()) == states(rows) and len(of_snapshot(server, watch)) == 2

    words = ("watch", "ko.yaml", "--once", "--python", "true", "--attempts", "2", "--address", cluster)
    assert winnow_command(*words, cwd=declared.parent).returncode == 3
    with pytest.raises(RunError, match=rf"expected a snapshot whose last job failed or was stopped \({FIRST}\)"):
        watch.look([SECOND])
    assert winnow_command(*words, "--again", FIRST, cwd=declared.parent).returncode == 0
    third = watch.state.records()[FIRST].last
    assert third.number == 3 and ended(third.id).state == "SUCCEEDED"
    rows = looking("true").look()
    assert states(rows)[FIRST] == "succeeded"
    ended(last_id(rows, SECOND))


def test_a_job_that_its_server_does_not_know_any_more_is_submitted_as_the_next_attempt(
    looking: Looking, server: JobsServer, ended: Ended
) -> None:
    watch = looking()
    lost = last_id(watch.look(), FIRST)
    ended(lost)
    assert server.client.delete_job(lost)
    rows = watch.look()
    record = rows[0].record
    assert record is not None and [a.state for a in record.attempts] == ["lost", "submitted"]
    assert "does not know the job any more" in record.attempts[0].cause and record.last.id == lost[:-1] + "2"
    ended(record.last.id)


def test_a_job_that_somebody_stopped_stays_stopped(
    looking: Looking, server: JobsServer, ended: Ended, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    watch = looking(str(slow))
    job = last_id(watch.look(), FIRST)
    assert server.client.stop_job(job) and ended(job).state == "STOPPED"
    rows = watch.look()
    assert states(rows) == {FIRST: "stopped", SECOND: "waiting"} and rows[0].person
    assert len(of_snapshot(server, watch)) == 1
    job = last_id(looking().look([FIRST]), FIRST)
    assert job.endswith("-2") and ended(job).state == "SUCCEEDED"


def test_an_attempt_on_another_server_is_asked_for_there(looking: Looking, server: JobsServer, ended: Ended) -> None:
    watch = looking(wanted=FIRST)
    job = last_id(watch.look(), FIRST)
    ended(job)
    record = watch.state.records()[FIRST]
    alias = server.address.replace("127.0.0.1", "localhost")
    watch.state.write(record.changed(address=alias))
    assert states(watch.look())[FIRST] == "succeeded"
    watch.state.write(record.changed(address="http://127.0.0.1:9", id="winnow-of-another-cluster-1"))
    (row,) = watch.look()
    assert row.record is not None and [a.state for a in row.record.attempts] == ["lost", "submitted"]
    ended(row.record.last.id)


def test_what_a_snapshot_compares_with_is_fixed_when_its_first_job_is_submitted(
    looking: Looking, server: JobsServer, ended: Ended, declared: Path, korean: Korean
) -> None:
    own = 'stages.dedup.known=["/data/books"]'
    watch = looking(sets=[own])
    assert watch.listing.assignments(FIRST, ["/x"])[1] == 'stages.dedup.known=["/data/books", "/x"]'
    ended(last_id(watch.look(), FIRST))
    rows = looking("false", sets=[own]).look()
    ended(last_id(rows, SECOND))
    # A snapshot that turns up late goes next, and the second's next attempt compares with what its first did.
    mirror.list_snapshots(declared.parent / "crawl", ["CC-MAIN-2026-37", FIRST, SECOND])
    rows = watch.look()
    assert states(rows) == {FIRST: "succeeded", "CC-MAIN-2026-37": "pending", SECOND: "waiting"}
    late, second = rows[1].record, watch.state.records()[SECOND]
    assert late is not None and late.known == second.known == (f"{watch.orders.base}/known/{FIRST}",)
    ended(late.last.id)
    ended(last_id(watch.look(), SECOND))
    assert watch.state.records()[SECOND].known == second.known


def test_without_an_index_no_snapshot_waits_for_another(looking: Looking, ended: Ended, declared: Path) -> None:
    mirror.list_snapshots(declared.parent / "crawl", [FIRST, SECOND, THIRD])
    watch = looking(sets=["stages.dedup=null"], together=2)
    rows = watch.look()
    assert [row.state != "waiting" for row in rows] == [True, True, False]
    assert all(row.record is None or row.record.remember is None for row in rows)
    for snapshot in (FIRST, SECOND):
        ended(last_id(rows, snapshot))
    ended(last_id(watch.look(), THIRD))


def test_latest_means_every_snapshot_from_the_first_look_on(looking: Looking, ended: Ended, declared: Path) -> None:
    watch = looking(wanted="latest")
    rows = watch.look()
    assert [row.snapshot for row in rows] == [SECOND]
    ended(last_id(rows, SECOND))
    mirror.list_snapshots(declared.parent / "crawl", [FIRST, SECOND, THIRD, "CC-MAIN-2026-47"])
    rows = looking(wanted="latest").look()
    assert states(rows) == {SECOND: "succeeded", THIRD: "pending", "CC-MAIN-2026-47": "waiting"}
    ended(last_id(rows, THIRD))
    assert [row.snapshot for row in looking(wanted="2027..").look()] == [SECOND, THIRD]  # none yet
    with pytest.raises(StageError, match="no snapshot '2027'"):
        looking(wanted="2027").look()


def test_a_signal_ends_the_waiting_and_leaves_the_job_at_work(
    declared: Path, cluster: str, server: JobsServer, looking: Looking, ended: Ended
) -> None:
    line = [sys.executable, "-m", "winnow.pipelines.cli", "watch", "ko.yaml", "--address", cluster, "--python", "true"]
    with subprocess.Popen(line, cwd=declared.parent, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert "snapshot" in watching.stdout.readline()
        other = subprocess.run([*line, "--once"], cwd=declared.parent, capture_output=True, text=True)
        assert other.returncode == 1 and "another watch is at work on this state" in other.stderr
        watching.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert watching.wait(10) == 0 and time.monotonic() - began < 5
    record = looking().state.records()[FIRST]
    assert record.last.state == "submitted" and ended(record.last.id).state == "SUCCEEDED"


def test_waiting_ends_when_everything_is_done(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SOON", 0.2)
    with turns.Stop() as stop:
        assert states(turns.until_done(looking(), stop)) == {FIRST: "succeeded", SECOND: "succeeded"}


def test_a_watch_outlives_a_site_that_is_away_for_a_while(
    looking: Looking, site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(turns, "SOON", 0.2)
    shown: list[dict[str, str]] = []

    def show(rows: list[Row]) -> None:
        shown.append(states(rows))
        if len(shown) == 1:
            site.plan(crawl_server.status(404, path="collinfo.json", first=2))
        if set(shown[-1].values()) == {"succeeded"}:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with turns.Stop() as stop:
        turns.keep_looking(looking(), 0.2, stop, show)
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


def test_the_state_may_lie_in_object_storage(s3: None) -> None:
    import fsspec

    fsspec.filesystem("s3").mkdir("bucket")
    state = State("s3://bucket/runs/ko/watch")
    with state.locked():
        assert state.begun() is None and state.records() == {}
        state.begin(Begun(name="ko", base="s3://bucket/runs/ko"))
        attempt = Attempt(number=1, id="winnow-ko-1", address="http://head:8265", intended=1.5)
        kept = [
            Record(snapshot=name, folder=f"s3://bucket/runs/ko/{name}", remember=None, known=(), attempts=(attempt,))
            for name in (FIRST, SECOND)
        ]
        for record in kept:
            state.write(record)
        state.write(kept[0].changed(state="lost", cause="gone"))
    assert State(state.store.root).begun() == Begun(name="ko", base="s3://bucket/runs/ko")
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
    (Path(watch.state.store.root) / "snapshots").mkdir(parents=True)
    (Path(watch.state.store.root) / "snapshots" / f"{FIRST}.json").write_text('{"snapshot": 1}')
    with pytest.raises(RunError, match=r"is not the state of a watch \(snapshot: "):
        watch.state.records()
