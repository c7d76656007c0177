"""Tasks on Ray: on this machine, or on the cluster that RAY_ADDRESS names."""

from __future__ import annotations

import importlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from winnow.pipelines.engine.actors import Pool
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.execute import AHEAD, Call, Local, Shared, ignored
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.own_ray import OwnRay, first_ended
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.resources import ORDINARY, Machine, Resources, offered, refusal
from winnow.pipelines.engine.same_code import difference, on_each
from winnow.pipelines.engine.tasklog import Entry, Metrics, described, first_line, log_to_stderr, perform
from winnow.pipelines.own_ray_options import ENVIRONMENT, QUIET, STARTS, own_ray_options
from winnow.stages.kernels import ensure_compiled, uncompiled

RETRIES = 3
"""How often a task is started again after its worker died. A task that raises is not retried: it would raise again."""

OOM_RETRIES = "RAY_task_oom_retries"
"""The same, where Ray ended it because memory ran short."""

SLOW = "timed out during startup"
"""What Ray says where a raylet that is still there has not started within 30 s."""

CONNECT_SECONDS = 10
ANSWER_SECONDS = 20.0
"""How long whoever listens at RAY_ADDRESS may take to say a first word."""

LOOK_SECONDS = 10.0
"""While no task ends, the machines are counted so often."""

MACHINE_WAIT_SECONDS = 600.0
"""How long a run waits for a machine that can run its tasks, after the last such machine was lost."""

ONE_THREAD = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class OnRay:
    """Ray, started at the first task. State: the connection, the plan in the object store, the metrics.

    `asked`: what the stages that this run has to measure take of a machine. `took` is given each task's line, `say` what
    a person should know, `failed` why this process is ended on the spot.
    """

    def __init__(
        self,
        plan: Plan,
        workers: int | None,
        asked: Mapping[str, Resources] | None = None,
        took: Callable[[Entry], None] = ignored,
        say: Callable[[str], None] = print,
        failed: Callable[[str], None] = ignored,
    ) -> None:
        self.plan, self.workers, self.asked = plan, workers, asked or {}
        self.took, self.say, self.failed = took, say, failed
        self.started = self.mine = False
        self.own: OwnRay | None = None
        self.reference: Any = None
        self.metrics: Metrics | None = None
        self.cpus = 1.0  # of the largest machine
        self.address = os.environ.get("RAY_ADDRESS") or None
        self.where = f"the cluster at RAY_ADDRESS={self.address}" if self.address else "Ray on this machine"

    def run(
        self, task: Callable[..., Any], calls: Sequence[Call], light: bool = False, resources: Resources = ORDINARY
    ) -> Iterator[Any]:
        """Starts Ray where it does not run yet, before the first result is asked for: that is no part of what the tasks
        take."""
        if not calls or (light and not self.started):
            return Local(self.plan, self.took).run(task, calls)
        ray = self._start()
        wanted = self._capped(resources)
        sent: dict[int, Any] = {}  # of shared arguments, which live as long as `calls`

        def given(argument: Any) -> Any:
            if not isinstance(argument, Shared):
                return argument
            if id(argument) not in sent:
                sent[id(argument)] = ray.put(argument.value)
            return sent[id(argument)]

        ready = [tuple(map(given, call)) for call in calls]
        done = self._by_actors(ray, task, ready, wanted) if wanted.actors else self._by_tasks(ray, task, ready, wanted)
        return self._heard(done)

    def _heard(self, done: Iterator[tuple[Any, Entry]]) -> Iterator[Any]:
        for result, entry in done:
            self._told(entry)
            yield result

    def _by_tasks(self, ray: Any, task: Callable[..., Any], calls: Sequence[Call], wanted: Resources) -> Iterator[Any]:
        options = {"name": task.__name__, "max_retries": RETRIES, "retry_exceptions": False}
        remote = ray.remote(**options, **placing(wanted))(_carried_afar if self.address else _carried)
        limit, looked = _limit(ray, wanted), time.monotonic()
        waiting = list(reversed([(call, 0) for call in calls]))
        running: dict[Any, tuple[Call, int]] = {}
        watch = Watch(ray, wanted, self.where)
        try:
            while waiting or running:
                while waiting and len(running) < limit:
                    call, lost = waiting.pop()
                    running[remote.remote(self.reference, task, lost, *call)] = call, lost
                done = first_ended(ray, list(running), LOOK_SECONDS, self._check_alive)
                if not done:
                    watch.look()
                if time.monotonic() - looked >= LOOK_SECONDS:  # machines come and go
                    limit, looked = _limit(ray, wanted), time.monotonic()
                for reference in done:
                    call, lost = running.pop(reference)
                    try:
                        yield ray.get(reference)
                    except ray.exceptions.ObjectLostError as error:
                        # The task ended, and then its machine, before its result was fetched.
                        self._lost(task, call, lost, error)
                        waiting.append((call, lost + 1))
                    except ray.exceptions.RayError as error:
                        self._failed(task, call, RETRIES, error)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _by_actors(self, ray: Any, task: Callable[..., Any], calls: Sequence[Call], wanted: Resources) -> Iterator[Any]:
        assert wanted.actors is not None
        sized = self.metrics.pool if self.metrics else None
        watch = Watch(ray, wanted, self.where)
        pool = Pool(
            ray,
            self.reference,
            placing(wanted),
            wanted.actors,
            RETRIES,
            LOOK_SECONDS,
            watch.look,
            sized,
            self._check_alive,
        )
        with pool:
            for call, attempt, done, error in pool.run(task, calls):
                if error is None:
                    yield done
                elif isinstance(error, ray.exceptions.RayTaskError):
                    self._failed(task, call, attempt, error)
                else:
                    self._lost(task, call, attempt, error)

    def _told(self, entry: Entry) -> None:
        self.took(entry)
        if self.metrics:
            self.metrics.took(entry)

    def _lost(self, task: Callable[..., Any], call: Call, attempt: int, error: Exception) -> None:
        """Notes that a worker died over a task, which is started again. Raises RunError after the last attempt."""
        if attempt >= RETRIES:
            self._failed(task, call, attempt, error)
        self._told(described(task, call, attempt, error, here=False))

    def _failed(self, task: Callable[..., Any], call: Call, attempt: int, error: Any) -> None:
        """Raises what a task raised, or RunError where it had no chance to."""
        import ray

        raised = error.cause if isinstance(error, ray.exceptions.RayTaskError) else None
        self._told(described(task, call, attempt, raised or error, here=False))
        if raised is not None:
            raise raised from error
        about = ", ".join(
            a.key if isinstance(a, Partition) else str(a) for a in call if isinstance(a, (Partition, int, str))
        )
        if isinstance(error, ray.exceptions.RuntimeEnvSetupError):
            raise RunError(f"{self.where}: cannot prepare its workers: {first_line(error)}") from error
        then = (
            "if its machine ran short of memory, use fewer --workers or give its stages `memory:`; run with --local to see "
            "where it ends otherwise"
        )
        if isinstance(error, (ray.exceptions.LocalRayletDiedError, ray.exceptions.NodeDiedError)):
            then = "Ray itself ended there; run again: it goes on where it stopped"
        if isinstance(error, ray.exceptions.OutOfMemoryError):
            then = (
                "its machine ran out of memory: use fewer --workers, or give its stages `memory:` (such as 4GiB), so that fewer "
                "tasks run side by side; what else runs there counts, too"
            )
        raise RunError(
            f"task {task.__name__}({about}) lost its worker {RETRIES + 1} times ({type(error).__name__}); {then}"
        ) from error

    def __enter__(self) -> OnRay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.mine:
            import ray

            if self.own is None:
                ray.shutdown()
            else:
                self.own.close(ray.shutdown)
        if isinstance(error, Exception):  # whatever it says, this is why
            self._check_alive()

    def _check_alive(self) -> None:
        if self.own is not None:
            self.own.check()

    def _capped(self, wanted: Resources) -> Resources:
        """On this machine alone a task takes no more CPUs than there are."""
        return wanted if self.address else replace(wanted, cpus=min(wanted.cpus, self.cpus))

    def _start(self) -> Any:
        unset = [name for name in ONE_THREAD if name not in os.environ]
        for name in unset:  # one task per CPU: its libraries must not start a pool each
            os.environ[name] = "1"
        import ray

        if self.started:
            return ray
        if not ray.is_initialized():
            self.mine = True
            if self.address is None:
                options = own_ray_options(self.workers)
            else:  # workers there do not inherit this environment
                os.environ.setdefault(OOM_RETRIES, ENVIRONMENT[OOM_RETRIES])  # whose tasks they are says how often
                options = {**QUIET, "runtime_env": {"env_vars": dict.fromkeys(unset, "1")}}
            self._init(ray, options)
        self._check(ray)
        self.reference = ray.put(self.plan.table)
        self.metrics = Metrics(self.plan.pipeline.name)
        self.started = True
        return ray

    def _init(self, ray: Any, options: dict[str, Any]) -> None:
        for left in reversed(range(STARTS)):
            try:
                _reachable(self.address)
                self.own = OwnRay(self.plan.store, self.failed) if self.address is None else None
                context: Any = ray.init(**options)
            except Exception as error:  # Ray raises just that, too, where a machine is not there in time
                late = self.own is not None and (self.own.late or SLOW in str(error))
                if self.own is None or not late or not left:
                    raise RunError(f"cannot start {self.where}: {first_line(error)}") from error
                self.own.close(ray.shutdown)
                self.say("Ray did not start in time on this busy machine; starting it again")
                continue
            if self.own is not None:
                self.own.note(context.address_info["session_dir"])
            return

    def _check(self, ray: Any) -> None:
        """Raises RunError where this run's tasks cannot run here."""
        there = machines(ray)
        self.cpus = max((m.cpus for m in there), default=1.0)
        for stage, wanted in self.asked.items():
            if self._capped(wanted) != wanted:
                self.say(
                    f"stages.{stage}: {wanted.cpus:g} CPUs asked for, and this machine gives {self.cpus:g}: it takes those"
                )
        asked = {stage: self._capped(wanted) for stage, wanted in self.asked.items()}
        offering = f"any machine of {self.where}" if self.address else "this machine"
        sentence = refusal(asked, [*there, *_to_come(ray)], offering)
        if sentence is None and self.address:
            try:
                pipeline = self.plan.pipeline
                modules = {module for node in pipeline.nodes.values() for module in node.stage.modules()}
                modules |= {module for source in pipeline.sources.values() for module in source.modules()}
                sentence = difference(ray, self.where, modules)
            except ray.exceptions.RayError as error:
                raise RunError(f"{self.where}: cannot start a worker: {first_line(error)}") from error
        if sentence is not None:
            raise RunError(sentence)
        if self.address and self.asked:
            self._compile(ray)

    def _compile(self, ray: Any) -> None:
        """Has the machines of a cluster compile kernels that they lack, before any task: it is no part of what those take. One
        that comes later does it with its first task. Raises RunError."""
        try:
            cold = on_each(ray, uncompiled)
            if any(cold):
                self.say(f"compiling kernels on {sum(cold)} of {len(cold)} machines, once on each")
                on_each(ray, ensure_compiled)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            raise RunError(f"{self.where}: kernels cannot be compiled there: {first_line(cause)}") from error


class Watch:
    """Looks after tasks that do not end: whether there is a machine that could run them. State: since when there is none."""

    def __init__(self, ray: Any, wanted: Resources, where: str) -> None:
        self.ray, self.wanted, self.where = ray, wanted, where
        self.since: float | None = None

    def look(self) -> None:
        """Raises RunError where there has been no such machine for MACHINE_WAIT_SECONDS."""
        there = [*machines(self.ray), *_to_come(self.ray)]
        if any(m.fits(self.wanted) for m in there):
            self.since = None
            return
        self.since = self.since or time.monotonic()
        if time.monotonic() - self.since > MACHINE_WAIT_SECONDS:
            raise RunError(
                f"{self.where}: for {MACHINE_WAIT_SECONDS:.0f} s no machine has offered {self.wanted}, which a task needs: "
                f"{offered(there)}; run again when there is one"
            )


def machines(ray: Any) -> list[Machine]:
    """What each living machine of the cluster offers."""
    return [_machine(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _limit(ray: Any, wanted: Resources) -> int:
    """How many tasks to hand out at a time."""
    return max(2, AHEAD * sum(machine.fits(wanted) for machine in machines(ray)))


def placing(wanted: Resources) -> dict[str, Any]:
    """Ray's options for a task or an actor that takes so much. What has several CPUs may use as many threads."""
    options: dict[str, Any] = {"num_cpus": wanted.cpus}
    if wanted.gpus:
        options["num_gpus"] = wanted.gpus
    if wanted.memory:
        options["memory"] = wanted.memory
    if wanted.cpus >= 2:
        options["runtime_env"] = {"env_vars": dict.fromkeys(ONE_THREAD, str(int(wanted.cpus)))}
    return options


def _to_come(ray: Any) -> list[Machine]:
    """Machines that the cluster's autoscaler would start; Ray tells of them nowhere public."""
    if ray.util.client.ray.is_connected():  # through a proxy (ray://), which does not pass it on
        return []
    config = importlib.import_module("ray._private.state").state.get_cluster_config()
    return [_machine(group.resources) for group in config.node_group_configs if group.max_count] if config else []


def _machine(resources: Mapping[str, float]) -> Machine:
    return Machine(*(float(resources.get(name, 0)) for name in ("CPU", "GPU", "memory")))


def _carried(plan: Plan, task: Callable[..., Any], lost: int, *call: Any) -> tuple[Any, Entry]:
    """What a plain task runs on its worker. `lost`: how many tasks before this one did the same and lost the result."""
    log_to_stderr()
    worker = importlib.import_module("ray._private.worker").global_worker
    return perform(plan, task, call, lost + int(worker.core_worker.get_current_task_attempt_number()))


def _carried_afar(plan: Plan, task: Callable[..., Any], lost: int, *call: Any) -> tuple[Any, Entry]:
    """The same on a cluster, where a machine that came late compiles its kernels with its first task."""
    ensure_compiled()
    return _carried(plan, task, lost, *call)


def _reachable(address: str | None) -> None:
    """Raises OSError where nobody listens at host:port, or nobody who speaks HTTP/2, as Ray does; Ray itself would try for
    minutes without a word."""
    host, colon, port = (address or "").rpartition("/")[2].rpartition(":")
    if not (colon and port.isdigit()):
        return
    with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.sendall(
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
            )  # RFC 9113, 3.4
            answer = connection.recv(9)
        except TimeoutError:
            raise OSError(
                f"something there accepts connections and did not answer for {ANSWER_SECONDS:g} s; expected the head of a "
                "Ray cluster (host:6379), or ray://host:10001"
            ) from None
    if answer[3:4] != b"\4":  # its SETTINGS
        raise OSError("what answers there is not Ray; expected the head of a cluster (host:6379), or ray://host:10001")
