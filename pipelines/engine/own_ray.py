"""The Ray that a run started on its own machine: noticed when it dies, and ended with the run or by the next one.

Without its gcs_server Ray ends the driver after a minute, without an error that says so, and what a killed driver leaves
behind lives about as long. What belongs to a Ray is known by its session folder, which its processes keep logs in.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.store import Store

NOTE = "ray.json"
"""In the folder of a run, as long as its Ray runs: the host, the driver's process and Ray's session folder."""

NEEDED = ("gcs_server", "raylet")
"""Processes without which no task is carried out."""

SESSION = "--session-dir="
"""Of the gcs_server's command line."""

LOOK_SECONDS, START_SECONDS = 0.1, 1.0
"""Ray begins to write about the end of such a process after some tenths of a second, and after 5 s while it starts."""

UNHEARD_SECONDS = 30.0
"""The driver is ended where it has not stopped by itself so long after that: it may wait for an answer of Ray's. While
Ray starts, it does."""

LATE = "Timed out waiting for file"
"""What a raylet logs before it ends itself because its agents have not started within 15 s, which no setting changes
(https://github.com/ray-project/ray/issues/65983): the machine is very busy, and another start may do."""

WAIT_SECONDS = 0.5
END_SECONDS = 10.0


class OwnRay:
    """Looks after a Ray from before `ray.init`, which is not heard of for a minute where one of its processes dies.

    State: the processes that are needed, why no task can be carried out any more, and the thread that looks after them.
    `session`: Ray's session folder, None while it is not known. `failed` is told why, where the driver has to be ended
    on the spot. `late`: Ray did not start, for no other reason than that the machine is busy.
    """

    def __init__(self, store: Store, failed: Callable[[str], None]) -> None:
        self.store, self.failed = store, failed
        self.session: str | None = None
        self.psutil = import_module("psutil")  # comes with Ray
        self.others = {p.pid for p in self.psutil.Process().children()}  # of an earlier Ray of this process, too
        self.needed: dict[str, Any] = {}
        self.started = self.late = False
        self.sentence: str | None = None
        self.standard_error: int | None = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="winnow-own-ray", daemon=True)
        self.thread.start()

    def note(self, session: str) -> None:
        """Ray has started. Leaves word for the next run in the folder, should this one be killed."""
        self.session, self.started = session, True
        self.store.write_json(NOTE, {"host": socket.gethostname(), "pid": os.getpid(), "session": session})

    def check(self) -> None:
        """Raises RunError where Ray has died."""
        if self.sentence is not None:
            raise RunError(self.sentence)

    def close(self, shutdown: Callable[[], None]) -> None:
        """Ends Ray, and everything that it left."""
        if self.sentence is None:
            self.stopped.set()
            self.thread.join()
        shutdown()
        self.stopped.set()
        self.thread.join()
        if self.standard_error is not None:
            os.dup2(self.standard_error, 2)
            os.close(self.standard_error)
        if self.session is not None:
            end_session(self.session)
        self.store.remove(NOTE)

    def _watch(self) -> None:
        opened: list[int] = []  # where the system can wake us it does, at once
        while not self.stopped.is_set():
            if len(self.needed) < len(NEEDED):
                found = self._found()
                for process in found if hasattr(os, "pidfd_open") else []:
                    with suppress(ProcessLookupError):
                        opened.append(os.pidfd_open(process.pid))
            for name, process in self.needed.items():
                if self._gone(process):
                    self._died(name, process.pid)
                    return
            select.select(opened, [], [], LOOK_SECONDS if len(self.needed) == len(NEEDED) else START_SECONDS)

    def _found(self) -> list[Any]:
        """Needed processes that have come up since the last look. One that has ended keeps its name until Ray asks."""
        found = []
        for process in self.psutil.Process().children():
            try:
                name = process.name()
                if process.pid in self.others or name not in NEEDED or name in self.needed:
                    continue
                self.needed[name] = process
                found.append(process)
                words = process.cmdline()
            except self.psutil.NoSuchProcess:  # or one that has ended
                continue
            folder = next((word.partition("=")[2] for word in words if word.startswith(SESSION)), None)
            self.session = self.session or folder
        return found

    def _gone(self, process: Any) -> bool:
        try:
            return bool(process.status() == self.psutil.STATUS_ZOMBIE)
        except self.psutil.NoSuchProcess:
            return True

    def _died(self, name: str, pid: int) -> None:
        self.standard_error = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what Ray's C++ writes about it is in its log files, too
        how = _how(pid, self.session)
        self.sentence = (
            f"Ray on this machine died: its process {name} ({pid}) {how}; run again: it goes on where it stopped"
        )
        self.late = not self.started and self.session is not None and _late(self.session)
        if self.late:  # `ray.init` gives up by itself
            return
        if not self.started or not self.stopped.wait(UNHEARD_SECONDS):
            try:
                if self.session is not None:
                    end_session(self.session)
                self.store.sweep()
                self.store.remove(NOTE)
                os.dup2(self.standard_error, 2)
                self.failed(self.sentence)
            finally:
                os.write(self.standard_error, f"error: {self.sentence}\n".encode())
                os._exit(1)


def _late(session: str) -> bool:
    logs = [Path(session, "logs", f"raylet.{end}") for end in ("out", "err")]
    return any(LATE in path.read_text("utf-8", "replace") for path in logs if path.is_file())


def _how(pid: int, session: str | None) -> str:
    """How a child of this process ended, which stays as it is for Ray to ask."""
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) if hasattr(os, "waitid") else None
    except ChildProcessError:  # Ray has asked
        ended = None
    if ended is None or (ended.si_code != os.CLD_EXITED and ended.si_status == signal.SIGKILL):
        return "was killed, by the system if memory ran short (then use fewer --workers), or by someone"
    code = "exit code" if ended.si_code == os.CLD_EXITED else "signal"
    return f"ended by itself ({code} {ended.si_status}); {session}/logs tells why"


def first_ended(ray: Any, references: Sequence[Any], seconds: float, check: Callable[[], None]) -> list[Any]:
    """The first task that ends within some time, if one does; `check` is called while none does."""
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        ended, _ = ray.wait(references, num_returns=1, timeout=min(max(left, 0), WAIT_SECONDS))
        check()
        if ended or left <= WAIT_SECONDS:
            return list(ended)


def end_left(store: Store) -> None:
    """Ends what a killed run of this folder left of its Ray on this machine. Only the holder of the run's lock calls this."""
    said = store.read_json(NOTE, hint=True)
    if said is None or said["host"] != socket.gethostname():
        return
    import_module("ray")  # psutil is found in it
    if not store.local and import_module("psutil").pid_exists(said["pid"]):
        return  # no lock says that it has ended
    end_session(said["session"])
    store.remove(NOTE)


def end_session(session: str) -> None:
    """Ends the processes of a Ray, but for drivers."""
    psutil = import_module("psutil")
    until = time.monotonic() + END_SECONDS
    while (there := list(_of_session(psutil, session))) and time.monotonic() < until:
        for process in there:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(there, timeout=1)


def _of_session(psutil: Any, session: str) -> Iterator[Any]:
    """Processes that write into the folder of a session. A person who looks into it reads."""
    for process in psutil.process_iter():
        if process.pid == os.getpid():  # it begins logs of what it starts
            continue
        try:
            opened = process.open_files()
        except (psutil.Error, OSError):  # it has ended, or is another user's
            continue
        written = [o.path for o in opened if o.path.startswith(f"{session}/") and getattr(o, "mode", "w") != "r"]
        if written and not any("/python-core-driver-" in path for path in written):
            yield process


@contextmanager
def swept(store: Store) -> Iterator[None]:
    """No part that was not finished, with texts in it, is left: by a killed run before this one, or by this one.
    What is left of the Ray of a killed run might still write some."""
    end_left(store)
    store.sweep()
    try:
        yield
    finally:
        store.sweep()
