"""Watching for snapshots: each is submitted once, in order, and followed until it succeeded.

An intent is written before a job is submitted, and the job's id follows from the intent. So a watch that dies between the
two finds, at its next poll, a job of that id on the server and adopts it, or none and submits it: never a second one,
never one too few.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from winnow.pipelines.cluster.server import WAITING, JobsServer, JobStatus
from winnow.pipelines.cluster.snapshots import Listing
from winnow.pipelines.cluster.state import Attempt, Record, State, WatchStart
from winnow.pipelines.cluster.submit import Job, SubmitOptions, send
from winnow.pipelines.engine.declaration import Pipeline, override_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.heartbeat import NAME, another_runs
from winnow.pipelines.engine.store import Store
from winnow.stages.base import StageError
from winnow.stages.reading.files import server_errors

ENDED = {"SUCCEEDED": "succeeded", "FAILED": "failed", "STOPPED": "stopped"}


@dataclass(frozen=True, slots=True)
class Row:
    """How a snapshot stands after a poll. `state`: waiting, pending, running, succeeded, failed or stopped."""

    snapshot: str
    state: str
    note: str = ""
    record: Record | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is at work on it."""
        return self.state in ("pending", "running")

    @property
    def person(self) -> bool:
        """Whether nothing more happens without somebody's help."""
        return self.state in ("failed", "stopped")


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch is to do. `base`: the folder of all runs, with the duplicate indexes in `known/`. `attempts`: jobs at
    most per snapshot, unless somebody asks for more. `together`: snapshots at a time, where none waits for another."""

    pipeline: Pipeline
    base: str
    attempts: int = 3
    together: int = 4
    submit: SubmitOptions = field(default_factory=SubmitOptions)


class Watch:
    """State: the connection, the kept state, and what the latest poll saw: the jobs of the server, those of others that were
    asked, the record of every snapshot that was begun, and the order of all."""

    def __init__(self, options: WatchOptions, listing: Listing, state: State, server: JobsServer) -> None:
        self.options, self.listing, self.state, self.server = options, listing, state, server
        self.jobs: dict[str, JobStatus] = {}
        self.elsewhere: dict[str, dict[str, JobStatus]] = {}
        self.records: dict[str, Record] = {}
        self.order: list[str] = []

    def poll(self, again: Sequence[str] = ()) -> list[Row]:
        """Follow what was submitted, submit what is due, in order. `again`: snapshots that get one more attempt.

        Raises RunError where the jobs server does not answer and StageError where the list of snapshots cannot be had;
        nothing is changed then.
        """
        self.jobs, self.elsewhere = self.server.jobs(), {}
        listed = self.listing.wanted(self._start().since)
        self.records = self.state.records()
        self.order = [*(s for s in sorted(self.records) if s not in listed), *listed]
        for record in [*self.records.values()]:
            self._follow(record)
        for granted in [self._granted(snapshot) for snapshot in again]:
            self._write(granted)  # it may not be due yet, and no later poll is told
        for snapshot in self.order:
            if self._due(snapshot):
                self._submit(snapshot)
        self.jobs = self.server.jobs()
        return [self._row(snapshot) for snapshot in self.order]

    def _write(self, record: Record) -> None:
        self.state.write(record)
        self.records[record.snapshot] = record

    def _start(self) -> WatchStart:
        """What the first poll fixed; this one, if there was none."""
        start = self.state.started()
        if start is None:
            name, base = self.options.pipeline.name, self.options.base
            start = WatchStart(name=name, base=base, since=self.listing.since())
            self.state.start(start)
        if start.since is None and (since := self.listing.since()) is not None:  # told of `latest` only now
            start = start.model_copy(update={"since": since})
            self.state.start(start)
        if (start.name, start.base) != (self.options.pipeline.name, self.options.base):
            raise RunError(
                f"{self.state.store.root}: is the state of a watch of '{start.name}' in {start.base}, not of "
                f"'{self.options.pipeline.name}' in {self.options.base}; choose another --state"
            )
        return start

    def _granted(self, snapshot: str) -> Record:
        record = self.records.get(snapshot)
        if record is None or record.last.state not in ("failed", "stopped", "lost"):
            ended = [name for name, r in self.records.items() if r.last.state in ("failed", "stopped", "lost")]
            raise RunError(
                f"--again {snapshot}: expected a snapshot whose last job failed or was stopped ({', '.join(ended) or 'none'})"
            )
        return record.model_copy(update={"again": record.last.number})

    def _follow(self, record: Record) -> None:
        """Keep what the servers know of its last job, where that is news."""
        if record.last.state not in ("intended", "submitted"):
            return
        job = self._job(record.last)
        if job is not None:
            news = record.changed(
                state=ENDED.get(job.state, "submitted"),
                started=job.started,
                ended=job.ended,
                cause=job.cause if job.state == "FAILED" else "",
            )
        elif self._runs_elsewhere(record):
            news = record.changed(state="submitted")
        elif record.last.state == "submitted":
            news = record.changed(state="lost", cause=f"{record.last.address} does not know the job any more")
        else:
            news = record
        if news != record:
            self._write(news)

    def _job(self, attempt: Attempt) -> JobStatus | None:
        """The job of an attempt. One that was submitted elsewhere is asked for there first: it may be at work."""
        if attempt.address != self.server.address:
            if attempt.address not in self.elsewhere:
                self.elsewhere[attempt.address] = _jobs_at(attempt.address)
            if (job := self.elsewhere[attempt.address].get(attempt.id)) is not None:
                return job
        return self.jobs.get(attempt.id)

    def _runs_elsewhere(self, record: Record) -> bool:
        """Whether its run is at work although no server that can be asked has the job: that of another cluster, whose
        driver still writes into the run's folder."""
        asked = record.last.state == "intended" and record.last.address == self.server.address
        return not asked and another_runs(Store(record.folder).read_json(NAME, hint=True))

    def _due(self, snapshot: str) -> bool:
        """In a chain what has begun comes before what has not, late ones too: neither would know of the other."""
        record = self.records.get(snapshot)
        if record is not None and not self._may_go_on(record):
            return False
        at_work = sum(r.last.state == "submitted" for r in self.records.values())
        if not self.listing.chained:
            return at_work < self.options.together
        begun = {name for name, r in self.records.items() if r.last.state != "succeeded"}
        before = self.order[: self.order.index(snapshot)]
        if record is None:
            return not begun and all(name in self.records for name in before)
        return not at_work and begun.isdisjoint(before)

    def _may_go_on(self, record: Record) -> bool:
        """Whether another job may be submitted for it: the intended one, or the next attempt."""
        last = record.last
        asked = record.again >= last.number
        return (
            last.state == "intended"
            or (last.state in ("failed", "lost") and (len(record.attempts) < self.options.attempts or asked))
            or (last.state == "stopped" and asked)
        )

    def _submit(self, snapshot: str) -> None:
        """Write the intent, submit, write that it was done."""
        record = self._intent(snapshot)
        if record.remember is not None:
            self.listing.check_known(record.remember)
        self._write(record)
        pipeline = override_pipeline(self.options.pipeline, self.listing.assignments(snapshot, record.known))
        send(pipeline, self._as_job(record.snapshot, record.last.number), self.server, self.options.submit)
        self._write(record.changed(state="submitted"))

    def _intent(self, snapshot: str) -> Record:
        record = self.records.get(snapshot)
        if record is not None and record.last.state == "intended":
            return record.changed(address=self.server.address)
        number = 1 if record is None else record.last.number + 1
        # A job of this id that has ended is of a state that somebody removed, and its run may be gone too.
        while (old := self.jobs.get(self._as_job(snapshot, number).id)) is not None and old.state not in WAITING:
            number += 1
        job = self._as_job(snapshot, number)
        attempt = Attempt(number=number, id=job.id, address=self.server.address, intended=time.time())
        if record is not None:
            return record.model_copy(update={"attempts": (*record.attempts, attempt)})
        begun = [self.records[s] for s in self.order if s in self.records]
        # What was compared with this snapshot came after it: its record was removed since.
        finished = [r for r in begun if r.last.state == "succeeded" and job.remember not in r.known]
        known = tuple(r.remember for r in finished if r.remember)
        return Record(snapshot=snapshot, folder=job.folder, remember=job.remember, known=known, attempts=(attempt,))

    def _as_job(self, snapshot: str, number: int) -> Job:
        base = self.options.base
        remember = f"{base}/known/{snapshot}" if self.listing.chained else None
        return Job(self.options.pipeline.name, f"{base}/{snapshot}", snapshot, number, remember)

    def _row(self, snapshot: str) -> Row:
        record = self.records.get(snapshot)
        if record is None:
            left = [s for s in self.order if s not in self.records or self.records[s].last.state != "succeeded"]
            first = next((s for s in left if s in self.records), left[0])  # which the others of a chain wait for
            return Row(snapshot, "waiting", f"for {first}" if self.listing.chained and first != snapshot else "")
        last = record.last
        if last.state == "submitted":
            job = self._job(last)
            pending = job is None or job.state == "PENDING"
            return Row(snapshot, "pending" if pending else "running", "", record)
        if last.state == "succeeded":
            return Row(snapshot, "succeeded", "", record)
        if self._may_go_on(record):
            return Row(snapshot, "waiting", f"for attempt {last.number + (last.state != 'intended')}", record)
        help_needed = f"then: --again {snapshot}"
        said = {"stopped": "somebody stopped it"}.get(last.state, last.cause)
        return Row(snapshot, "stopped" if last.state == "stopped" else "failed", f"{said}; {help_needed}", record)


def _jobs_at(address: str) -> dict[str, JobStatus]:
    """The jobs of a server that may be gone."""
    try:
        return JobsServer(address).jobs()
    except RunError:
        return {}


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

BUSY_SECONDS = 20.0
"""Seconds between polls while jobs are at work. Only the jobs server is asked so often."""

FAILED_POLLS = 15
"""Polls in a row that may fail while others wait for the end."""


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """Set by SIGTERM and SIGINT, which end the waiting, never a poll: jobs go on, and what was submitted is recorded. A
    second signal does what it did before."""
    event = threading.Event()
    before: dict[int, Any] = {}

    def came(number: int, frame: FrameType | None) -> None:
        event.set()
        signal.signal(number, before[number])

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, came)
    try:
        yield event
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)


def polls(
    watch: Watch, stop: threading.Event, every: float | None = None, again: Sequence[str] = ()
) -> Iterator[list[Row]]:
    """The rows of one poll after the other, until a signal comes or, without `every` (seconds), until no job is at work. The
    first poll raises what it cannot do; later ones say it on stderr and are tried again, since a server may be away for a
    while, but without `every` only FAILED_POLLS times in a row."""
    rows = watch.poll(again)
    yield rows
    passing: tuple[type[Exception], ...] = (RunError, StageError, OSError, *server_errors())
    failed = 0
    while (busy := any(row.busy for row in rows)) or every is not None:
        pause = BUSY_SECONDS if every is None else min(BUSY_SECONDS, every) if busy else every
        if stop.wait(pause):
            return
        try:
            rows = watch.poll()
        except passing as error:
            failed += 1
            if every is None and failed == FAILED_POLLS:
                raise
            print(f"error: {error}; looking again later", file=sys.stderr, flush=True)
        else:
            failed = 0
            yield rows


def parse_every(text: str) -> float:
    """Seconds of a time such as 90s, 30m, 6h or 1d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None or not float(found[1]):
        raise RunError(f"--every {text}: expected a time such as 30m, 6h or 1d")
    return float(found[1]) * UNITS[found[2]]
