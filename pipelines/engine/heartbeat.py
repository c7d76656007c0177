"""How far a run is, as `progress.json` in its folder: for `winnow status`, from wherever the folder can be read.

A thread of the driver writes it, so that it stays fresh while a long task runs, and the run never waits for it. Nothing
reads it but people.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from types import TracebackType
from typing import Any

from winnow.pipelines.engine.errors import sentence
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.tasklog import Entry, RowCount

NAME = "progress.json"

WRITE_SECONDS, BEAT_SECONDS = 2.0, 10.0
"""The file is written at most so often, and so often where nothing changes."""

STALE_SECONDS = 60.0
"""A heartbeat older than this means that the driver is gone."""


class Heartbeat:
    """State: what the file will say, the thread that writes it, and whether it is ours to write."""

    def __init__(self, store: Store, name: str, say: Callable[[str], None], order: Sequence[str] = ()) -> None:
        self.store, self.say = store, say
        now = time.time()
        self.said: dict[str, Any] = dict.fromkeys(("sentence", "job", "step", "level", "levels"))
        self.said |= {"name": name, "folder": store.root, "state": "planning", "started": now, "heartbeat": now}
        self.said |= {"host": socket.gethostname(), "pid": os.getpid(), "stages": [], "done": 0, "total": 0, "rows": {}}
        self.said |= {"step_started": now, "records": 0, "seconds_left": None, "records_per_second": None}
        self.said["order"] = list(order)  # of the sources and stages, which JSON would not keep
        self.rows = RowCount()
        self.there = 0
        self.ours = False
        self.changed = True
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._beat, name="winnow-heartbeat", daemon=True)

    def step(self, title: str, total: int, there: int, level: tuple[int, int] | None, stages: Sequence[str]) -> None:
        """A step of the run begins."""
        with self.lock:
            self.there = there
            self.said |= {"step": title, "done": there, "total": total, "step_started": time.time()}
            if level is not None:
                self.said |= {"stages": list(stages), "level": level[0], "levels": level[1] + 1}
            self.changed = True

    def ended(self) -> None:
        """A task of the step ended."""
        with self.lock:
            self.said["done"] += 1
            self.changed = True

    def took(self, entry: Entry) -> None:
        """Adds the rows of a finished task."""
        with self.lock:
            if self.said["job"] is None and entry["pid"] not in (None, os.getpid()):  # it ran elsewhere: on Ray
                self.said["job"] = _job()
            for stage, count in self.rows.new(entry).items():
                so_far = self.said["rows"].setdefault(stage, dict.fromkeys(count, 0))
                for outcome, rows in count.items():
                    so_far[outcome] += rows
            if entry["task"] == "measure" and entry["source"] in entry["rows"]:
                self.said["records"] += entry["rows"][entry["source"]]["in"]
                seconds = max(time.time() - self.said["step_started"], 1e-3)
                self.said["records_per_second"] = self.said["records"] / seconds
            self.changed = True

    @contextmanager
    def of_run(self) -> Iterator[None]:
        """While the run is carried out; then the file says how it ended."""
        with self.lock:
            self.ours = self.changed = True
            self.said["state"] = "running"
        self._write()
        try:
            yield
        except BaseException as error:
            self._end(*_ending(error))
            raise
        self._end("done", "finished")

    def found_done(self) -> None:
        """There was nothing to do; a driver that was killed at the very end may have left another word."""
        before = self.store.read_json(NAME, hint=True)
        if before is not None and before.get("state") != "done":
            self.ours = True
            self._end("done", "finished")

    def failed(self, why: str) -> None:
        """This process is ended on the spot."""
        self._end("failed", why)

    def __enter__(self) -> Heartbeat:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop.set()
        self.thread.join()
        if error is not None and self.ours and self.said["state"] == "planning":
            self._end(*_ending(error))

    def _beat(self) -> None:
        last = time.monotonic()
        while not self.stop.wait(WRITE_SECONDS):
            if not self.ours:
                self.ours = not another_runs(self.store.read_json(NAME, hint=True))
            if self.ours and (self.changed or time.monotonic() - last >= BEAT_SECONDS):
                last = time.monotonic()
                self._write()

    def _end(self, state: str, sentence: str) -> None:
        self.stop.set()
        if self.thread.is_alive():
            self.thread.join()
        with self.lock:
            self.said |= {"state": state, "sentence": sentence, "seconds_left": None}
        self._write()

    def _write(self) -> None:
        with self.lock:
            now = time.time()
            fresh = self.said["done"] - self.there
            if fresh > 0 and self.said["state"] == "running":
                each = (now - self.said["step_started"]) / fresh
                self.said["seconds_left"] = each * (self.said["total"] - self.said["done"])
            elif not fresh:
                self.said["seconds_left"] = None
            self.said["heartbeat"] = now
            self.changed = False
            said = deepcopy(self.said)
        try:
            self.store.write_json(NAME, said)
        except OSError as error:
            self.say(
                f"{self.store.path(NAME)}: cannot be written, so `winnow status` will not know of this run: {error}"
            )
            self.stop.set()


def another_runs(said: dict[str, Any] | None) -> bool:
    """Whether a file tells of a run of another process that is at work."""
    if said is None or said["state"] not in ("running", "planning") or is_stale(said):
        return False
    return (said["host"], said["pid"]) != (socket.gethostname(), os.getpid())


def is_stale(said: dict[str, Any]) -> bool:
    """Whether the driver that wrote this is gone: by its process, where that is on this machine, or by its heartbeat."""
    if said["host"] == socket.gethostname() and not _alive(said["pid"]):
        return True
    return bool(time.time() - said["heartbeat"] > STALE_SECONDS)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


STOPPED = "stopped from the keyboard; run again to continue"


def _ending(error: BaseException) -> tuple[str, str]:
    """How a run ended that a person or the system stopped, or that an error did, and the sentence about it."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped", STOPPED
    if isinstance(error, SystemExit):
        return "stopped", "stopped by a signal; run again to continue"
    return "failed", sentence(error)


def _job() -> str | None:
    """The id under which Ray knows this run: of the submitted job, or of the driver; None without Ray."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    metadata = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("metadata", {})
    return str(metadata.get("job_submission_id") or ray.get_runtime_context().get_job_id())
