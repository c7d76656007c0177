"""Which snapshot is due, and which attempt of it, whatever comes late, fails, is lost or removed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crawl_mirror import list_snapshots
from watched import FIRST, SECOND, THIRD, last_id, of_snapshot, states

from winnow.pipelines.cluster.server import JobsServer, JobStatus
from winnow.pipelines.cluster.snapshots import Listing
from winnow.pipelines.cluster.watch import Watch
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.store import Store
from winnow.stages.base import StageError

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Ended = Callable[..., JobStatus]
Looking = Callable[..., Watch]


def test_failed_jobs_are_tried_again_and_then_wait_for_somebody(
    looking: Looking, server: JobsServer, ended: Ended, declared: Path, cluster: str, winnow_command: Command
) -> None:
    watch = looking("false", attempts=2)
    rows = watch.poll()
    for attempt in (1, 2):
        job = last_id(rows, FIRST)
        assert job.endswith(f"-{attempt}") and ended(job).state == "FAILED"
        rows = watch.poll()
    assert states(rows) == {FIRST: "failed", SECOND: "waiting"}
    assert "exit code 1" in rows[0].note and f"--again {FIRST}" in rows[0].note
    assert states(watch.poll()) == states(rows) and len(of_snapshot(server, watch)) == 2

    words = ("watch", "ko.yaml", "--once", "--python", "true", "--attempts", "2", "--address", cluster)
    assert winnow_command(*words, cwd=declared.parent).returncode == 3
    with pytest.raises(RunError, match=rf"expected a snapshot whose last job failed or was stopped \({FIRST}\)"):
        watch.poll([SECOND])
    assert winnow_command(*words, "--again", FIRST, cwd=declared.parent).returncode == 0
    third = watch.state.records()[FIRST].last
    assert third.number == 3 and ended(third.id).state == "SUCCEEDED"
    assert states(watch.poll())[FIRST] == "succeeded"


def test_a_job_that_its_server_does_not_know_any_more_is_submitted_as_the_next_attempt(
    looking: Looking, server: JobsServer, ended: Ended
) -> None:
    watch = looking()
    lost = last_id(watch.poll(), FIRST)
    ended(lost)
    assert server.client.delete_job(lost)
    rows = watch.poll()
    record = rows[0].record
    assert record is not None and [a.state for a in record.attempts] == ["lost", "submitted"]
    assert "does not know the job any more" in record.attempts[0].cause and record.last.id == lost[:-1] + "2"


def test_a_job_that_somebody_stopped_stays_stopped(
    looking: Looking, server: JobsServer, ended: Ended, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    watch = looking(str(slow))
    job = last_id(watch.poll(), FIRST)
    assert server.client.stop_job(job) and ended(job).state == "STOPPED"
    rows = watch.poll()
    assert states(rows) == {FIRST: "stopped", SECOND: "waiting"} and rows[0].person
    assert len(of_snapshot(server, watch)) == 1
    job = last_id(looking().poll([FIRST]), FIRST)
    assert job.endswith("-2") and ended(job).state == "SUCCEEDED"


def test_an_attempt_on_another_server_is_asked_for_there(looking: Looking, server: JobsServer, ended: Ended) -> None:
    watch = looking(wanted=FIRST)
    job = last_id(watch.poll(), FIRST)
    ended(job)
    record = watch.state.records()[FIRST]
    alias = server.address.replace("127.0.0.1", "localhost")
    watch.state.write(record.changed(address=alias))
    assert states(watch.poll())[FIRST] == "succeeded"


def test_a_snapshot_that_turns_up_late_waits_for_what_has_begun_and_compares_with_it(
    looking: Looking, ended: Ended, declared: Path
) -> None:
    own = 'stages.dedup.known=["/data/books"]'
    watch = looking(sets=[own])
    assert watch.listing.assignments(FIRST, ["/x"])[1] == 'stages.dedup.known=["/data/books", "/x"]'
    ended(last_id(watch.poll(), FIRST))
    rows = looking("false", sets=[own]).poll()
    ended(last_id(rows, SECOND))
    late = "CC-MAIN-2026-37"
    list_snapshots(declared.parent / "crawl", [late, FIRST, SECOND])
    (_, second, third) = sorted(watch.poll(), key=lambda row: (row.snapshot == late, row.snapshot))
    assert second.record is not None and second.busy and second.record.last.number == 2
    assert (third.state, third.note) == ("waiting", f"for {SECOND}")
    ended(second.record.last.id)
    ended(last_id(watch.poll(), late))
    known = [f"{watch.options.base}/known/{name}" for name in (FIRST, SECOND)]
    records = watch.state.records()
    assert records[SECOND].known == tuple(known[:1]) and records[late].known == tuple(known)
    Path(watch.state.store.root, "snapshots", f"{SECOND}.json").unlink()
    watch.poll()
    assert watch.state.records()[SECOND].known == tuple(known[:1])


def test_jobs_of_a_state_that_was_removed_stand_for_nothing(looking: Looking, server: JobsServer, ended: Ended) -> None:
    watch = looking(wanted=FIRST, attempts=1)
    before = last_id(watch.poll(), FIRST)
    ended(before)
    shutil.rmtree(watch.options.base)
    (row,) = watch.poll()
    assert row.busy and last_id([row], FIRST) == before[:-1] + "2"
    ended(last_id([row], FIRST))
    assert states(watch.poll()) == {FIRST: "succeeded"} and len(of_snapshot(server, watch)) == 2


def test_another_attempt_that_somebody_asked_for_is_not_forgotten_while_it_must_wait(
    looking: Looking, ended: Ended, declared: Path
) -> None:
    slow = declared.parent / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 3\n")
    slow.chmod(0o755)
    alone: dict[str, Any] = {"sets": ["stages.dedup=null"], "together": 1, "attempts": 1}
    ended(last_id(looking("false", **alone).poll(), FIRST))
    # The look that asks is the first to see that the job failed; the second snapshot takes the one place then.
    watch = looking(str(slow), **alone)
    watch.poll()
    rows = watch.poll([FIRST])
    assert states(rows)[FIRST] == "waiting" and rows[1].busy, rows
    ended(last_id(rows, SECOND))
    assert last_id(looking(**alone).poll(), FIRST).endswith("-2")


def test_a_run_of_a_cluster_that_cannot_be_asked_is_at_work_while_its_driver_writes(
    looking: Looking, ended: Ended
) -> None:
    watch = looking(wanted=FIRST)
    ended(last_id(watch.poll(), FIRST))
    record = watch.state.records()[FIRST].changed(address="http://127.0.0.1:9", id="winnow-of-another-cluster-1")
    store = Store(record.folder)
    said = {"state": "running", "host": "another-machine", "pid": 1}
    for state in ("intended", "submitted"):
        watch.state.write(record.changed(state=state))
        store.write_json("progress.json", said | {"heartbeat": time.time()})
        (row,) = watch.poll()
        assert (
            row.busy and row.record is not None and row.record.last.state == "submitted" and row.record.last.number == 1
        )
    store.write_json("progress.json", said | {"heartbeat": time.time() - 3600})
    (row,) = watch.poll()
    assert row.record is not None and [a.state for a in row.record.attempts] == ["lost", "submitted"]


def test_a_snapshot_is_never_compared_with_itself(looking: Looking) -> None:
    base = looking().options.base
    for place in (f"{base}/known/*", "runs/ko/known", f"{base}/known/{FIRST}"):
        with contextlib.chdir(Path(base).parents[1]):
            watch = looking(sets=[f'stages.dedup.known=["{place}"]'])
            with pytest.raises(RunError, match="is made from the snapshot itself"):
                watch.poll()
        assert not watch.state.records()
    Listing(watch.options.pipeline).check_known(f"{base}/known/{SECOND}")


def test_without_an_index_no_snapshot_waits_for_another(looking: Looking, ended: Ended, declared: Path) -> None:
    list_snapshots(declared.parent / "crawl", [FIRST, SECOND, THIRD])
    watch = looking(sets=["stages.dedup=null"], together=2)
    rows = watch.poll()
    assert [row.state != "waiting" for row in rows] == [True, True, False]
    assert all(row.record is None or row.record.remember is None for row in rows)
    for snapshot in (FIRST, SECOND):
        ended(last_id(rows, snapshot))
    assert states(watch.poll())[THIRD] != "waiting"


def test_latest_means_every_snapshot_from_the_first_look_on(looking: Looking, ended: Ended, declared: Path) -> None:
    watch = looking(wanted="latest")
    rows = watch.poll()
    assert [row.snapshot for row in rows] == [SECOND]
    ended(last_id(rows, SECOND))
    list_snapshots(declared.parent / "crawl", [FIRST, SECOND, THIRD, "CC-MAIN-2026-47"])
    rows = looking(wanted="latest").poll()
    assert states(rows) == {SECOND: "succeeded", THIRD: "pending", "CC-MAIN-2026-47": "waiting"}
    assert [row.snapshot for row in looking(wanted="2027..").poll()] == [SECOND, THIRD]  # none yet
    list_snapshots(declared.parent / "crawl", [FIRST, THIRD, "CC-MAIN-2026-47"])
    assert looking(wanted="latest").listing.wanted(SECOND) == [THIRD, "CC-MAIN-2026-47"]  # its own is gone
    with pytest.raises(StageError, match="no snapshot '2027'"):
        looking(wanted="2027").poll()
