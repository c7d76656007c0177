"""Where tasks run: in this process one by one, in its threads, or on Ray (`on_ray.py`)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
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
        """Calls `task(table, *call)` for every call, with the plan without its partitions. `light`: not worth starting workers for. `resources`: what each takes
        of a machine, and whether actors carry them out."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Local:
    """The calling process, one task after the other: the same plan under a debugger. `took` is given each task's line."""

    def __init__(self, plan: Plan, took: Callable[[Entry], None] = ignored) -> None:
        self.table, self.took = plan.table, took

    def run(
        self, task: Callable[..., Any], calls: Sequence[Call], light: bool = False, resources: Resources = ORDINARY
    ) -> Iterator[Any]:
        for call in calls:
            try:
                result, entry = perform(self.table, task, unwrapped(call))
            except Exception as error:
                self.took(described(task, unwrapped(call), 0, error))
                raise
            self.took(entry)
            yield result

    def __enter__(self) -> Local:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None


class Threads:
    """The calling process, with a thread per CPU: for work that reads signals alone, which lets Python's lock go."""

    def __init__(self, plan: Plan, workers: int | None = None) -> None:
        self.table, self.workers = plan.table, workers or os.cpu_count() or 1

    def run(
        self, task: Callable[..., Any], calls: Sequence[Call], light: bool = False, resources: Resources = ORDINARY
    ) -> Iterator[Any]:
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque[Future[Any]] = deque()
            try:
                for call in calls:
                    ahead.append(pool.submit(task, self.table, *unwrapped(call)))
                    if len(ahead) > AHEAD * self.workers:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None
