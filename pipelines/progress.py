"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

PAUSE = 5.0
"""Seconds between plain lines."""


class Watcher(Protocol):
    """Who else is told how far a run is."""

    def step(self, title: str, total: int, there: int, wave: tuple[int, int] | None) -> None:
        """A step begins: `total` tasks of which `there` were done before, and the wave and the last one, if it is one."""
        ...

    def ended(self) -> None:
        """A task of the step ended."""
        ...


class Progress:
    """Shows what runs. State: rows read and kept so far, and the bar."""

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self.read = self.kept = 0
        self.started = time.monotonic()
        self.bar: Bar | None = None
        self.watcher: Watcher | None = None

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        if not self.quiet:
            self.console.print(f"note: {sentence}", highlight=False, soft_wrap=True, markup=False)

    def __enter__(self) -> Progress:
        if self.console.is_terminal and not self.quiet:
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def rows(self, accounts: dict[str, Any]) -> None:
        """Rows read and kept by one task: stage -> [in, kept], sources first, the last stage before documents last."""
        if accounts:
            ends = list(accounts.values())
            self.read += ends[0][0]
            self.kept += ends[-1][1]

    def track(
        self,
        title: str,
        results: Iterable[Any],
        total: int,
        there: int = 0,
        wave: tuple[int, int] | None = None,
    ) -> Iterator[Any]:
        """Yields the results, showing how far the step is. `there`: what of the step was done before, for the watcher."""
        if not total:
            return
        if self.watcher:
            self.watcher.step(title, there + total, there, wave)
        began = last = time.monotonic()
        task = self.bar.add_task(title, total=total, rate="") if self.bar else None
        for done, result in enumerate(results, 1):
            yield result
            if self.watcher:
                self.watcher.ended()
            if self.bar and task is not None:
                self.bar.update(task, completed=done, rate=self._rate())
            elif not self.quiet and (done == total or time.monotonic() - last >= PAUSE):
                last = time.monotonic()
                left = (last - began) / done * (total - done)
                eta = f", {left:.0f} s left" if done < total else f", {last - began:.1f} s"
                self.console.print(f"{title}: {done}/{total} {self._rate()}{eta}", highlight=False, soft_wrap=True)
        if self.bar and task is not None:
            self.bar.remove_task(task)

    def _rate(self) -> str:
        if not self.read:
            return ""
        seconds = max(time.monotonic() - self.started, 1e-9)
        return f"{self.read:,} records, {self.read / seconds:,.0f}/s, {self.kept / self.read:.1%} extracted"
