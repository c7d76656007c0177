"""A pool of Ray actors that carries out the tasks of one level: models are loaded once per actor and stay.

The pool starts with `least` actors, starts another one at a time while tasks wait, up to `most`, and ends those above
`least` that have been idle. An actor that cannot be placed costs nothing but its place in the queue, which is also what
tells an autoscaler to start a machine.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.execute import Call
from winnow.pipelines.engine.own_ray import first_ended
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.resources import Bounds
from winnow.pipelines.engine.tasklog import Entry, log_to_stderr, perform
from winnow.stages.kernels import ensure_compiled

IDLE_SECONDS = 2.0
"""An actor above `least` that had nothing to do for so long is ended."""

Outcome = tuple[Call, int, tuple[Any, Entry] | None, Exception | None]
"""A call, which attempt at it this was (from 0), and what came of it: result and line, or an error of Ray's."""


class Worker:
    """What runs in an actor. State: the plan; models are kept by the modules that load them, as long as the process."""

    def __init__(self, held: Sequence[Any]) -> None:
        self.plan: Plan = import_module("ray").get(held[0])
        log_to_stderr()
        ensure_compiled()

    def ready(self) -> None:
        """Returns as soon as the actor runs."""

    def run(self, task: Callable[..., Any], attempt: int, *call: Any) -> tuple[Any, Entry]:
        """Carries out one task."""
        return perform(self.plan, task, call, attempt)


@dataclass(eq=False)
class _Actor:
    """One actor. `doing`: the number of its call; None while it starts or has nothing to do."""

    handle: Any
    doing: int | None = None
    idle_since: float = 0.0


class Pool:
    """State: the actors, and which of them does what. `look` is called while nothing ends, `check`
    more often, `sized` when the size changes."""

    def __init__(
        self,
        ray: Any,
        plan: Any,
        options: Mapping[str, Any],
        bounds: Bounds,
        retries: int,
        look_seconds: float,
        look: Callable[[], None],
        sized: Callable[[int], None] | None = None,
        check: Callable[[], None] = lambda: None,  # for a Ray that somebody else looks after
    ) -> None:
        self.ray, self.plan, self.bounds, self.retries = ray, plan, bounds, retries
        self.look_seconds, self.look, self.sized, self.check = look_seconds, look, sized, check
        self.kind = ray.remote(**options, max_restarts=retries, max_task_retries=0)(Worker)
        self.actors: list[_Actor] = []
        self.expected: dict[Any, _Actor] = {}
        self.idle: list[_Actor] = []
        self.fruitless = 0  # starts that failed since the last one that did not

    def run(self, task: Callable[..., Any], calls: Sequence[Call]) -> Iterator[Outcome]:
        """Carries out every call; what an actor that died was doing is done again, so a call may have several outcomes.
        Who takes them raises when one has failed too often."""
        waiting = deque(range(len(calls)))
        attempts = [0] * len(calls)
        left = len(calls)
        for _ in range(min(self.bounds.least, left)):
            self._begin()
        while left:
            while waiting and self.idle:
                actor = self.idle.pop()
                actor.doing = waiting.popleft()
                doing = actor.handle.run.options(name=task.__name__)
                self.expected[doing.remote(task, attempts[actor.doing], *calls[actor.doing])] = actor
            self._resize(len(waiting))
            seconds = IDLE_SECONDS if len(self.actors) > self.bounds.least and not waiting else self.look_seconds
            ended = first_ended(self.ray, list(self.expected), seconds, self.check)
            if not ended:
                self.look()
            for reference in ended:
                actor = self.expected.pop(reference)
                number, actor.doing = actor.doing, None
                if number is None:
                    self._started(actor, reference)
                    continue
                try:
                    done = self.ray.get(reference)
                except self.ray.exceptions.RayTaskError as error:
                    yield calls[number], attempts[number], None, error
                    left -= 1
                    self._rest(actor)
                except self.ray.exceptions.RayError as error:
                    attempt, attempts[number] = attempts[number], attempts[number] + 1
                    waiting.appendleft(number)
                    self._await(actor)  # Ray restarts it, here or on another machine
                    yield calls[number], attempt, None, error
                else:
                    left -= 1
                    self._rest(actor)
                    yield calls[number], attempts[number], done, None

    def _resize(self, waiting: int) -> None:
        """Start an actor while calls wait and none is starting; end those that nothing waits for."""
        starting = [actor for actor in self.expected.values() if actor.doing is None]
        if waiting > len(starting) and len(self.actors) < self.bounds.most and not starting:
            self._begin()
        surplus = len(self.actors) - self.bounds.least
        if waiting or surplus <= 0:
            return
        long = time.monotonic() - IDLE_SECONDS
        for actor in [*starting, *(a for a in self.idle if a.idle_since <= long)][:surplus]:
            self._end(actor)

    def _begin(self) -> None:
        actor = _Actor(self.kind.remote([self.plan]))  # in a list: so it is fetched anew after a restart
        self.actors.append(actor)
        self._await(actor)
        self._size()

    def _await(self, actor: _Actor) -> None:
        """Expect an actor to come up. Of all its methods this one may be repeated: it waits out a restart."""
        self.expected[actor.handle.ready.options(max_task_retries=-1).remote()] = actor

    def _started(self, actor: _Actor, reference: Any) -> None:
        try:
            self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            self._end(actor)
            self.fruitless += 1
            if self.fruitless > self.retries:
                said = next(iter(str(error).strip().splitlines()), "")
                raise RunError(
                    f"no actor could be started in {self.fruitless} attempts ({type(error).__name__}: {said}); "
                    "run with --local to see why"
                ) from error
        else:
            self.fruitless = 0
            self._rest(actor)

    def _rest(self, actor: _Actor) -> None:
        actor.idle_since = time.monotonic()
        self.idle.append(actor)

    def _end(self, actor: _Actor) -> None:
        self.ray.kill(actor.handle, no_restart=True)
        self.actors.remove(actor)
        self.idle = [other for other in self.idle if other is not actor]
        self.expected = {reference: other for reference, other in self.expected.items() if other is not actor}
        self._size()

    def _size(self) -> None:
        if self.sized:
            self.sized(len(self.actors))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for actor in list(self.actors):
            self._end(actor)
