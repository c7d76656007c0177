"""Looking again and again: until nothing is left to do, or until somebody stops it."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

from winnow.pipelines.cluster.watch import Row, Watch
from winnow.pipelines.engine.execute import RunError
from winnow.pipelines.engine.ledger import unreachable
from winnow.stages.stage import StageError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

SOON = 20.0
"""Seconds between looks while jobs are at work. Only the jobs server is asked so often."""

PATIENT = 15
"""Looks in a row that may fail while others wait for the end."""


class Stop:
    """SIGTERM and SIGINT end the waiting, never a look: jobs go on, and what was submitted is recorded. State: whether one
    came, and what the signals did before. A second signal does what it did before."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.before[number] = signal.signal(number, self._came)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> bool:
        """Whether a signal came before the time was over."""
        return self.event.wait(seconds)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.event.set()
        signal.signal(number, self.before[number])


def until_done(watch: Watch, stop: Stop, again: Sequence[str] = ()) -> list[Row]:
    """Look until no job is at work and none is due. Returns the last look's rows. What the first look or PATIENT later
    ones in a row cannot do is raised."""
    rows = watch.look(again)
    failed = 0
    while any(row.busy for row in rows) and not stop.wait(SOON):
        try:
            rows, failed = watch.look(), 0
        except _passing() as error:
            failed += 1
            if failed == PATIENT:
                raise
            _say(error)
    return rows


def keep_looking(
    watch: Watch, every: float, stop: Stop, show: Callable[[list[Row]], None], again: Sequence[str] = ()
) -> None:
    """Look until a signal comes; show every change. The first look raises what it cannot do; later ones say it on stderr
    and are tried again, since a server may be away for a while."""
    rows = watch.look(again)
    show(rows)
    while not stop.wait(min(SOON, every) if any(row.busy for row in rows) else every):
        try:
            new = watch.look()
        except _passing() as error:
            _say(error)
            continue
        if new != rows:
            show(new)
        rows = new


def _passing() -> tuple[type[Exception], ...]:
    """Errors that another look may not meet."""
    return (RunError, StageError, OSError, *unreachable())


def _say(error: Exception) -> None:
    print(f"error: {error}; looking again later", file=sys.stderr, flush=True)


def parse_every(text: str) -> float:
    """Seconds of a time such as 90s, 30m, 6h or 1d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None or not float(found[1]):
        raise RunError(f"--every {text}: expected a time such as 30m, 6h or 1d")
    return float(found[1]) * UNITS[found[2]]
