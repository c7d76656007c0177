"""Where tasks run: on Ray (this machine, or the cluster that RAY_ADDRESS names), or one by one in this process."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from winnow.pipelines.plan import Plan

RETRIES = 3
"""How often a task is started again after its worker died. A task that raises is not retried: it would raise again."""

CONNECT_SECONDS = 10

AHEAD = 4
"""Tasks handed to Ray per CPU at a time: enough to keep it busy, few enough to stop soon after a failure."""

ONE_THREAD = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class RunError(Exception):
    """A run that cannot go on: one sentence with the figures."""


@dataclass(frozen=True, slots=True)
class Shared:
    """An argument that many calls have in common: on a cluster it is sent once."""

    value: Any


def _unwrapped(call: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.value if isinstance(a, Shared) else a for a in call)


class Executor(Protocol):
    """Runs tasks of `winnow.pipelines.work`; yields each result as it comes, in any order."""

    def run(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]], light: bool = False) -> Iterator[Any]:
        """Calls `task(plan, *call)` for every call. `light`: not worth starting workers for."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Local:
    """The calling process, one task after the other: the same plan under a debugger."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def run(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]], light: bool = False) -> Iterator[Any]:
        for call in calls:
            yield task(self.plan, *_unwrapped(call))

    def __enter__(self) -> Local:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None


class Threads:
    """The calling process, with a thread per CPU: for work that reads signals alone, which lets Python's lock go."""

    def __init__(self, plan: Plan, workers: int | None = None) -> None:
        self.plan, self.workers = plan, workers or os.cpu_count() or 1

    def run(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]], light: bool = False) -> Iterator[Any]:
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque[Future[Any]] = deque()
            try:
                for call in calls:
                    ahead.append(pool.submit(task, self.plan, *_unwrapped(call)))
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


class OnRay:
    """Ray, started at the first task. State: the connection, and the plan in the object store."""

    def __init__(self, plan: Plan, workers: int | None) -> None:
        self.plan, self.workers, self.started = plan, workers, False
        self.reference: Any = None
        self.mine = False

    def run(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]], light: bool = False) -> Iterator[Any]:
        if not calls or (light and not self.started):
            yield from (task(self.plan, *_unwrapped(call)) for call in calls)
            return
        ray = self._start()
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(task)
        limit = max(2, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
        waiting = list(reversed(calls))
        running: dict[Any, tuple[Any, ...]] = {}
        sent: dict[int, Any] = {}  # of shared arguments, which live as long as `calls`

        def given(argument: Any) -> Any:
            if not isinstance(argument, Shared):
                return argument
            if id(argument) not in sent:
                sent[id(argument)] = ray.put(argument.value)
            return sent[id(argument)]

        try:
            while waiting or running:
                while waiting and len(running) < limit:
                    call = waiting.pop()
                    running[remote.remote(self.reference, *map(given, call))] = call
                done, _ = ray.wait(list(running), num_returns=1)
                for reference in done:
                    call = running.pop(reference)
                    yield _result(ray, reference, task.__name__, call)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def __enter__(self) -> OnRay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.mine:
            import ray

            ray.shutdown()

    def _start(self) -> Any:
        for name in ONE_THREAD:  # one task per CPU: its libraries must not start a pool each
            os.environ.setdefault(name, "1")
        import ray

        if self.started:
            return ray
        if not ray.is_initialized():
            self.mine = True
            address = os.environ.get("RAY_ADDRESS")
            options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
            if address is None:
                # Ray 2.60 asks for a token by default; a cluster of one process tree on this machine has none.
                os.environ.setdefault("RAY_AUTH_MODE", "disabled")
                options |= {"address": "local", "num_cpus": self.workers, "include_dashboard": False}
                options |= {"object_store_memory": 256 * 2**20}
            try:
                _reachable(address)
                ray.init(**options)
            except (OSError, RuntimeError, ValueError) as error:
                where = f"the cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
                raise RunError(f"cannot start {where}: {str(error).splitlines()[0]}") from error
        self.reference = ray.put(self.plan)
        self.started = True
        return ray


def _reachable(address: str | None) -> None:
    """Raises OSError at once where nobody listens at host:port; Ray itself would try for minutes."""
    host, colon, port = (address or "").rpartition("/")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _result(ray: Any, reference: Any, name: str, call: tuple[Any, ...]) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError) as error:
        raise RunError(
            f"task {name}{call} killed its worker {RETRIES + 1} times ({type(error).__name__}); "
            "run with --local to see where"
        ) from error
