"""When the next request to a host may be sent: one rate for the whole run, and one pause for all threads when the host
asks for it."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from winnow.stages.commoncrawl.fetcher import FetchError

BATCH = 8
"""Slots that a worker process takes at a time at most, and half a second's at most: it loses those that it does not
use, and the others wait for them."""

STALE = 1.0
"""Seconds after which a slot is no longer used: late ones would come as a burst."""

REACHED_SECONDS = 60.0
"""Seconds to look for the run's shared slots when the process that keeps them has died."""


class RequestSlots:
    """A row of points in time, so and so many a second, each given to one request. State: the next free one. In a
    process of its own (a Ray actor) it is the whole run's."""

    def __init__(self) -> None:
        self.next, self.lock = 0.0, threading.Lock()

    def take(self, count: int, rate: float) -> float:
        """Seconds from now to the first of `count` slots that are `1 / rate` apart and now the caller's."""
        with self.lock:
            now = time.monotonic()
            first = max(now, self.next)
            self.next = first + count / rate
            return first - now

    def hold(self, seconds: float) -> None:
        """No slot before that."""
        with self.lock:
            self.next = max(self.next, time.monotonic() + seconds)


class Stopped(Exception):
    """Whoever waited is not wanted any more."""


class RateLimiter:
    """One host as this process sees it. State: how long all threads hold off, and slots reserved."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.own = RequestSlots()
        self.held_until = 0.0
        self.reserved: deque[float] = deque()
        self.lock, self.holding = threading.Lock(), threading.Lock()
        self.shared: tuple[Any, Any] | None = None
        self.gates: dict[int, threading.BoundedSemaphore] = {}

    def gate(self, connections: int) -> threading.BoundedSemaphore:
        """Lets so many in at a time: one for all fetchers of this process that want as many."""
        with self.holding:
            return self.gates.setdefault(connections, threading.BoundedSemaphore(connections))

    def wait(self, rate: float, stop: threading.Event) -> None:
        """Returns when the next request may be sent; `rate` a second at most, 0 for no limit. Raises Stopped."""
        while True:
            _sleep_until(self.held_until, stop)
            if rate > 0:
                _sleep_until(self._slot(rate), stop)
            if self.held_until <= time.monotonic():
                return

    def hold(self, seconds: float, rate: float) -> None:
        """All threads of this process wait so long before they send anything; and with a rate, new slots of the run."""
        with self.holding:
            self.held_until = max(self.held_until, time.monotonic() + seconds)
        if rate > 0:
            self.own.hold(seconds)
            with self.lock:
                self.reserved.clear()
                if self.shared is not None and _attached() is not None:
                    self.shared[1].hold.remote(seconds)

    def _slot(self, rate: float) -> float:
        ray = _attached()
        if ray is None:
            return time.monotonic() + self.own.take(1, rate)
        with self.lock:
            while self.reserved and self.reserved[0] < time.monotonic() - STALE:
                self.reserved.popleft()
            if not self.reserved:
                count = max(1, min(BATCH, int(rate / 2)))
                wait = self._of_the_run(ray, count, rate)  # from when the answer comes: asking may take a while
                first = time.monotonic() + wait
                self.reserved.extend(first + n / rate for n in range(count))
            return self.reserved.popleft()

    def _of_the_run(self, ray: Any, count: int, rate: float) -> float:
        """Slots from the actor. It lives in the process that first asked; where that has died, the next one makes it."""
        deadline = time.monotonic() + REACHED_SECONDS
        while True:
            try:
                # A future, not ray.get: Ray lends the CPU of a task that waits in that to another task.
                seconds = self._actor(ray).take.remote(count, rate).future().result(REACHED_SECONDS)
                return float(seconds)
            except (ray.exceptions.RayActorError, FutureTimeout, ValueError) as error:
                self.shared = None
                if time.monotonic() > deadline:
                    raise FetchError(
                        f"{self.host}: the run's shared rate limit cannot be reached for {REACHED_SECONDS:.0f} s: "
                        f"{str(error).splitlines()[0]}"
                    ) from error
                time.sleep(0.1)  # a dead actor keeps its name for a moment

    def _actor(self, ray: Any) -> Any:
        context = ray.get_runtime_context()
        session = (context.get_node_id(), context.get_job_id())
        if self.shared is None or self.shared[0] != session:
            options = {
                "name": f"winnow-rate-limit-{self.host}",
                "get_if_exists": True,
                "num_cpus": 0,
                "max_restarts": 0,
            }
            self.shared = (session, ray.remote(RequestSlots).options(**options).remote())
        return self.shared[1]


_limiters: dict[str, RateLimiter] = {}
_lock = threading.Lock()


def limiter_of(host: str) -> RateLimiter:
    """The one of this process: fetchers of one host share it."""
    with _lock:
        return _limiters.setdefault(host, RateLimiter(host))


def _attached() -> Any | None:
    """Ray, where this process belongs to a run on it (driver or worker)."""
    ray = sys.modules.get("ray")
    return ray if ray is not None and ray.is_initialized() else None


def _sleep_until(moment: float, stop: threading.Event) -> None:
    while (left := moment - time.monotonic()) > 0:
        if stop.wait(left):
            raise Stopped
    if stop.is_set():
        raise Stopped
