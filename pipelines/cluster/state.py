"""The state of a watch: one small JSON file per snapshot, each replaced whole, in a folder on any storage."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.store import Store

M = TypeVar("M", bound=BaseModel)

RECORDS = "snapshots"


class Attempt(BaseModel):
    """One job for a snapshot. `intended` is written before the job is submitted, everything else after. Times are seconds
    since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    id: str
    address: str
    state: Literal["intended", "submitted", "succeeded", "failed", "stopped", "lost"] = "intended"
    intended: float
    started: float | None = None
    ended: float | None = None
    cause: str = ""


class Record(BaseModel):
    """One snapshot. `known`: the duplicate indexes that all its attempts compare with, fixed with the first. `again`: the
    number of the attempt after which a person asked for another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot: str
    folder: str
    remember: str | None
    known: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    again: int = 0

    @property
    def last(self) -> Attempt:
        """The attempt that counts."""
        return self.attempts[-1]

    def changed(self, **facts: object) -> Record:
        """The same with other facts of its last attempt."""
        return self.model_copy(update={"attempts": (*self.attempts[:-1], self.last.model_copy(update=facts))})


class WatchStart(BaseModel):
    """What a watch fixes at its first poll. `since`: the snapshot that `latest` meant then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    base: str
    since: str | None = None


class State:
    """The folder. State: its store."""

    def __init__(self, root: str) -> None:
        self.store = Store(root, "put back what it was, or remove it: its job may then be submitted again")

    def started(self) -> WatchStart | None:
        """What the first poll fixed, None before it."""
        found = self.store.read_json("watch.json")
        return None if found is None else _read(WatchStart, found, self.store.path("watch.json"))

    def start(self, start: WatchStart) -> None:
        """Fix it."""
        self.store.write_json("watch.json", start.model_dump())

    def records(self) -> dict[str, Record]:
        """Every snapshot that a job was intended for, by name."""
        found = {}
        for path in sorted(self.store.fs.glob(self.store.path(f"{RECORDS}/*.json"))):
            name = f"{RECORDS}/{path.rpartition('/')[2]}"
            record = _read(Record, self.store.read_json(name), path)
            found[record.snapshot] = record
        return found

    def write(self, record: Record) -> None:
        """Replace what is kept of a snapshot."""
        self.store.write_json(f"{RECORDS}/{record.snapshot}.json", record.model_dump())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One watch at a time, where the folder is a local one; object storage has no lock."""
        if not self.store.local:
            yield
            return
        self.store.fs.makedirs(self.store.path(""), exist_ok=True)
        with Path(self.store.path(".lock")).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{self.store.root}: another watch is at work on this state; stop it first, or choose another --state"
                ) from None
            yield


def _read(model: type[M], found: object, path: str) -> M:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise RunError(
            f"{path}: is not the state of a watch ({where}: {first['msg']}); another version of winnow made it, or another program"
        ) from None
