"""Progress of a run: a live bar on a terminal, plain lines elsewhere. What tells how far it is comes first, so that a
narrow terminal cuts what matters least."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

from winnow.stages.kernels import KERNELS, compile_kernels, uncompiled

if TYPE_CHECKING:
    from winnow.pipelines.engine.heartbeat import Heartbeat

PAUSE = 5.0
"""Seconds between plain lines."""

BAR_WIDTH = 16


class Step:
    """State of one step: its tasks and how many are done, the records that it read and kept, when it began and when a
    task last ended."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.done = self.read = self.kept = 0
        self.began = self.last = time.monotonic()

    def took(self) -> None:
        """A task ended."""
        self.done += 1
        self.last = time.monotonic()

    def left(self) -> str:
        """The time that the rest will take if it goes on like this."""
        if not self.done:
            return "-:-- left"
        seconds = (self.last - self.began) / self.done * (self.total - self.done) - (time.monotonic() - self.last)
        minutes, seconds = divmod(round(max(seconds, 0)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"

    def figures(self) -> str:
        """What the step does, and the rate of the records that it read."""
        if not self.read:
            return self.title
        rate = self.read / max(self.last - self.began, 1e-9)
        return f"{self.title}, {self.read:,} records, {rate:,.0f}/s, {self.kept / self.read:.1%} extracted"


class StepColumn(ProgressColumn):
    """The time left and the figures of a step, on what is left of the line."""

    def render(self, task: Task) -> Text:
        step: Step = task.fields["step"]
        return Text(f"{step.left()}  {step.figures()}", no_wrap=True, overflow="ellipsis")


class Progress:
    """Shows what runs. State: the step and the bar."""

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self.bar: Bar | None = None
        self.step: Step | None = None
        self.watcher: Heartbeat | None = None  # is told, too

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        if not self.quiet:
            self.console.print(f"note: {sentence}", highlight=False, soft_wrap=True, markup=False)

    def __enter__(self) -> Progress:
        if self.console.is_terminal and not self.quiet:
            columns = (BarColumn(bar_width=BAR_WIDTH), MofNCompleteColumn(), StepColumn())
            self.bar = Bar(*columns, console=self.console, transient=True)
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def failed(self, why: str) -> None:
        """This process is ended on the spot: leaves the terminal as it was."""
        if self.watcher:
            self.watcher.failed(why)
        self.__exit__(None, None, None)

    def rows(self, accounts: dict[str, Any]) -> None:
        """Rows read and kept by one task: by stage, sources first, the last stage before documents last."""
        if accounts and self.step:
            ends = list(accounts.values())
            self.step.read += ends[0]["in"]
            self.step.kept += ends[-1]["kept"]

    def track(
        self,
        title: str,
        results: Iterable[Any],
        total: int,
        there: int = 0,
        level: tuple[int, int] | None = None,
        stages: Sequence[str] = (),
    ) -> Iterator[Any]:
        """Yields the results, showing how far the step is. For the watcher: what of it was done before, and of a step
        that measures its level and the stages."""
        if not total:
            return
        if self.watcher:
            self.watcher.step(title, there + total, there, level, stages)
        self.step = step = Step(title, total)
        task = self.bar.add_task(title, total=total, step=step) if self.bar else None
        printed = step.began
        for result in results:
            yield result
            step.took()
            if self.watcher:
                self.watcher.ended()
            if self.bar and task is not None:
                self.bar.update(task, completed=step.done, refresh=True)
            elif not self.quiet and (step.done == total or step.last - printed >= PAUSE):
                printed = step.last
                time_ = step.left() if step.done < total else f"{step.last - step.began:.1f} s"
                line = f"{step.done}/{total}, {time_}: {step.figures()}"
                self.console.print(line, highlight=False, soft_wrap=True, markup=False)
        if self.bar and task is not None:
            self.bar.remove_task(task)


def compile_shown(show: Progress) -> bool:
    """Compiles the kernels where need be and says so: it is no part of what stages take. Returns whether there was a need."""
    cold = uncompiled()
    if cold:
        show.say(f"compiling the kernels of {len(KERNELS)} files, once on this machine")
        for _ in show.track("compiling", compile_kernels(), len(KERNELS)):
            pass
    return cold
