"""One line per task: what it did, where, how long and with which rows; to its worker's log, and into the run's folder.

A line is a JSON object of logger `winnow`: `task`, what it was about (`partition`, `source`, `level`, `stage`, `bucket`),
`started` (UTC), `wall` (s), `seconds` per stage, `rows` per stage (in, kept, dropped, failed), `fetched` (bytes of input, requests, retries),
`host`, `pid`, `attempt` (from 0) and `error` (null unless it failed). Lines say when and where, so no result and no
fingerprint ever depends on one.

The same lines are counted for Prometheus, through Ray's metrics (`ray_winnow_...`); a task that ran twice counts once.
"""

from __future__ import annotations

import inspect
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.store import Store
from winnow.stages.commoncrawl.fetcher import PROCESS
from winnow.stages.reading.files import public

LOGGER = logging.getLogger("winnow")
LOGGER.addHandler(logging.NullHandler())  # or Python itself would print what fails, for which a run has its own words

Entry = dict[str, Any]
Task = Callable[..., Any]

CHUNK_LINES, CHUNK_SECONDS = 1000, 60.0
"""A chunk of the log is written after so many lines, or so long after the chunk before."""

ABOUT = ("level", "stage", "bucket")


def perform(plan: Plan, task: Task, call: tuple[Any, ...], attempt: int = 0) -> tuple[Any, Entry]:
    """Carries out `task(plan, *call)`; returns its result and its line, which is also logged. A result that is a mapping is
    given `wall` and, unless it says itself, `seconds` by stage. What the task raises goes through."""
    entry = described(task, call, attempt)
    begun, traffic = time.perf_counter(), PROCESS.figures()
    try:
        result = task(plan, *call)
    except BaseException as error:
        entry |= {
            "wall": round(time.perf_counter() - begun, 4),
            "error": public(f"{type(error).__name__}: {first_line(error)}"),
        }
        LOGGER.error("%s", orjson.dumps(entry).decode())
        raise
    entry["wall"] = round(time.perf_counter() - begun, 4)
    if isinstance(result, dict):
        result.setdefault("seconds", {entry["stage"]: entry["wall"]} if "stage" in entry else {})
        result["wall"] = entry["wall"]
        entry["seconds"] = {name: round(spent, 4) for name, spent in result["seconds"].items()}
        entry["rows"] = _rows({**result.get("ingested", {}), **result.get("stages", {})})
        if result.get("ingested"):
            entry["fetched"] = _fetched(next(given for given in call if isinstance(given, Partition)), traffic)
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info("%s", orjson.dumps(entry).decode())
    return result, entry


def described(
    task: Task, call: tuple[Any, ...], attempt: int, error: BaseException | None = None, here: bool = True
) -> Entry:
    """The line of a task that has done nothing yet, or of one that failed. `here`: in this process, which else is none of
    its business."""
    entry: Entry = {"task": task.__name__, **names(task, call)}
    where = {"host": socket.gethostname() if here else None, "pid": os.getpid() if here else None}
    done = {"wall": 0.0, "seconds": {}, "rows": {}, "fetched": {}}
    said = None if error is None else public(f"{type(error).__name__}: {first_line(error)}")
    return entry | {"started": _now()} | done | where | {"attempt": attempt, "error": said}


def names(task: Task, call: tuple[Any, ...]) -> dict[str, Any]:
    """What a call of a task is about."""
    about: dict[str, Any] = {}
    for name, value in zip(list(inspect.signature(task).parameters)[1:], call, strict=False):
        if isinstance(value, Partition):
            about |= {"partition": value.key, "source": value.source}
        elif name in ABOUT:
            about[name] = value
    return about


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), "it does not say why")


def log_to_stderr() -> None:
    """Has the lines of this process written to its standard error, which Ray keeps as the worker's log file."""
    if not any(isinstance(handler, logging.StreamHandler) for handler in LOGGER.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False


class TaskLog:
    """Collects lines into `tasks/<start of the driver>-<n>.jsonl` of a run's folder, a file per chunk, since object stores
    cannot append. State: the lines of the open chunk. A folder that cannot take them costs the lines, not the run."""

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self.store, self.say = store, say
        self.start = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self.lines: list[bytes] = []
        self.chunk = 0
        self.written = time.monotonic()
        self.broken = False

    def add(self, entry: Entry) -> None:
        """Another line."""
        self.lines.append(orjson.dumps(entry))
        if len(self.lines) >= CHUNK_LINES or time.monotonic() - self.written >= CHUNK_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the open chunk, if it has lines."""
        if self.lines and not self.broken:
            text = b"\n".join([*self.lines, b""]).decode("utf-8")
            try:
                self.store.write_text(f"tasks/{self.start}-{self.chunk:05d}.jsonl", text)
            except OSError as error:
                self.broken = True
                self.say(f"{self.store.path('tasks')}: the log of tasks cannot be written, so it ends here: {error}")
        self.lines = []
        self.chunk += 1
        self.written = time.monotonic()

    def __enter__(self) -> TaskLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flush()


def _fetched(partition: Partition, before: Mapping[str, int]) -> dict[str, int]:
    """Bytes of input that a partition took, and the requests for them where it came over HTTP."""
    over_http = {name: now - before[name] for name, now in PROCESS.figures().items() if now > before[name]}
    return {"bytes": sum(segment.end - segment.start for segment in partition.segments), **over_http}


def _rows(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Stage -> rows in, kept, dropped by any clause, and failed."""
    return {
        name: {
            "in": account["in"],
            "kept": account["kept"],
            "dropped": sum(account["dropped"].values()),
            "failed": account["failed"],
        }
        for name, account in stages.items()
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


OUTCOMES = ("kept", "dropped", "failed")
FETCHED = (
    ("bytes", "fetched_total", "Bytes that came"),
    ("requests", "total", "Requests that were sent, with those sent again,"),
    ("retries", "total", "Requests that were sent again"),
    ("failures", "total", "Requests that were given up"),
)
SECONDS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
"""Upper bounds of the histogram's buckets, in seconds."""


class RowCount:
    """Rows per stage from the lines of tasks, each stage counted once though several tasks tell of it. State: the kind of
    task that told of a stage first."""

    def __init__(self) -> None:
        self.teller: dict[str, str] = {}

    def new(self, entry: Entry) -> dict[str, dict[str, int]]:
        """Stage -> rows in, kept, dropped and failed that this line adds."""
        if entry["task"] == "account":  # what a guard looks at before the selection says the same
            return {}
        rows: dict[str, dict[str, int]] = entry["rows"]
        return {
            name: count for name, count in rows.items() if self.teller.setdefault(name, entry["task"]) == entry["task"]
        }


class Metrics:
    """The metrics of one run, made once Ray is there. State: Ray's counters, which live in this process."""

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Counter, Gauge, Histogram

        self.run = run
        self.rows = RowCount()
        self.rows_total = Counter("winnow_rows_total", "Rows that a stage decided.", ("run", "stage", "outcome"))
        self.fetched = {
            what: Counter(f"winnow_{what}_{ending}", f"{said} while input was read.", ("run", "source"))
            for what, ending, said in FETCHED
        }
        self.tasks_total = Counter("winnow_tasks_total", "Tasks that ended.", ("run", "task", "outcome"))
        self.stage_seconds = Counter("winnow_stage_seconds_total", "Worker seconds of a stage.", ("run", "stage"))
        self.task_seconds = Histogram("winnow_task_seconds", "Wall seconds of a task.", SECONDS, ("run", "task"))
        self.actors = Gauge("winnow_actors", "Actors at work or starting.", ("run",))

    def took(self, entry: Entry) -> None:
        """Counts what one task did."""
        task = {"run": self.run, "task": entry["task"]}
        self.tasks_total.inc(1, task | {"outcome": "failed" if entry["error"] else "done"})
        if entry["error"]:
            return
        self.task_seconds.observe(entry["wall"], task)
        for stage, seconds in entry["seconds"].items():
            if seconds > 0:
                self.stage_seconds.inc(seconds, {"run": self.run, "stage": stage})
        for what, count in entry["fetched"].items():
            if count:
                self.fetched[what].inc(count, {"run": self.run, "source": entry["source"]})
        for stage, count in self.rows.new(entry).items():
            for outcome in OUTCOMES:
                if count[outcome]:
                    self.rows_total.inc(count[outcome], {"run": self.run, "stage": stage, "outcome": outcome})

    def pool(self, actors: int) -> None:
        """How large the pool of actors is now."""
        self.actors.set(actors, {"run": self.run})
