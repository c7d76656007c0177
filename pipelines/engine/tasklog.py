"""One line per task: what it did, where, how long and with which rows; to its worker's log, and into the run's folder.

A line is a JSON object of logger `winnow`: `task`, what it was about (`partition`, `source`, `level`, `stage`, `bucket`),
`started` (UTC), `wall` (s), `seconds` per stage, `rows` per stage (in, kept, dropped, failed), `fetched` (bytes of input, requests, retries),
`host`, `pid`, `attempt` (from 0) and `error` (null unless it failed). Lines say when and where, so no result and no
fingerprint ever depends on one.
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
    """Carries out `task(plan, *call)`; returns its result and its line, which is also logged. What the task raises goes
    through."""
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
    if isinstance(result, Mapping):
        entry["seconds"] = {name: round(spent, 4) for name, spent in result.get("seconds", {}).items()}
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
