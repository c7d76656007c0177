"""Where tasks run: in this process, one by one or in threads, or on Ray (`on_ray.py`)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.resources import ORDINARY, Resources
from winnow.pipelines.engine.tasklog import Entry, described, perform

AHEAD = 4
"""Tasks handed out per place to run one: enough to keep it busy, few enough to stop soon after a failure."""

Call = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """An argument that many calls have in common: on a cluster it is sent once."""

    value: Any


def unwrapped(call: Call) -> Call:
    """The arguments themselves."""
    return tuple(a.value if isinstance(a, Shared) else a for a in call)


def ignored(said: object) -> None:
    """For who does not want the lines of tasks, or last words."""


class Executor(Protocol):
    """Runs tasks of `winnow.pipelines.engine.worker`; yields each result as it comes, in any order."""

    def run(
        self, task: Callable[..., Any], calls: Sequence[Call], light: bool = False, resources: Resources = ORDINARY
    ) -> Iterator[Any]:
        """Calls `task(table, *call)` for every call, with the plan without its partitions. `light`: not worth starting
        workers for. `resources`: what each takes of a machine, and whether actors carry them out."""
        ...


class Local:
    """The calling process. One task after the other, so that a debugger sees it all; or several `threads` (None: as many as
    there are CPUs), for work that reads signals alone, which lets Python's lock go. `took` is given each task's line."""

    def __init__(self, plan: Plan, took: Callable[[Entry], None] = ignored, threads: int | None = 1) -> None:
        self.table, self.took, self.threads = plan.table, took, threads or os.cpu_count() or 1

    def run(
        self, task: Callable[..., Any], calls: Sequence[Call], light: bool = False, resources: Resources = ORDINARY
    ) -> Iterator[Any]:
        def one(call: Call) -> tuple[Any, Entry]:
            try:
                return perform(self.table, task, unwrapped(call))
            except Exception as error:
                self.took(described(task, unwrapped(call), 0, error))
                raise

        for result, entry in map(one, calls) if self.threads == 1 else self._ahead(one, calls):
            self.took(entry)
            yield result

    def _ahead(self, one: Callable[[Call], tuple[Any, Entry]], calls: Sequence[Call]) -> Iterator[tuple[Any, Entry]]:
        with ThreadPoolExecutor(self.threads) as pool:
            ahead: deque[Future[tuple[Any, Entry]]] = deque()
            try:
                for call in calls:
                    ahead.append(pool.submit(one, call))
                    if len(ahead) > AHEAD * self.threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()
