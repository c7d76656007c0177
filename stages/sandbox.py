"""A persistent child process that works through items under a time and a memory limit.

An item that hangs (in C code too), overflows the C stack, exhausts memory or kills the process is one failed item
with its cause; the child is started again and goes on with the next. An item that takes down a used child is tried
once more in a fresh one, so that its fate does not depend on what came before it. The child is a fresh interpreter, not a fork:
the parent may hold threads and locks. It dies with its parent (Linux: `PR_SET_PDEATHSIG`; everywhere: end of input).

Both pipes carry frames: four bytes of length, then a pickle. Items travel ahead of their results, bounded by the
pipe's size, so the child never waits for the parent between two items.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import selectors
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from winnow.stages.base import StageError
from winnow.stages.sandbox_child import LENGTH, OUT_OF_MEMORY, framed

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from winnow.stages.sandbox_child import child; child(int(sys.argv[2]))"
)
_PIPE_BYTES = 1 << 20
_START_SECONDS = 180.0
_STARTS = 3  # deaths in a row that no item can be blamed for
_WALL_FACTOR = 4.0  # wall time allowed per second of the limit while the child gets no processor


@dataclass(frozen=True, slots=True)
class Work:
    """What the child runs: `factory` is "module:name", called once with `options`; what it returns is called as
    `function(*item)` per item. `seconds` of processor time per item; `mebibytes` of address space."""

    factory: str
    options: tuple[tuple[str, Any], ...] = ()
    seconds: float = 10.0
    mebibytes: int = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item's result, or why there is none."""

    value: Any
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Lost:
    """Why a child is gone, and whether a fresh one might finish the same item."""

    cause: str
    again: bool


class Guard:
    """A child process for one `Work`. Not shared between threads: `guard()` gives each thread its own."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()
        self._done = 0  # items that this child has finished
        self._cpu = 0.0  # its processor seconds when it finished the last
        self._began = 0.0  # when it can have begun the next

    def map(self, items: Iterable[tuple[Any, ...]]) -> Iterator[Outcome]:
        """One outcome per item, in order. Raises StageError where the child cannot even start."""
        source = iter(items)
        waiting: deque[bytes] = deque()  # frames sent or being sent, oldest first: the child is at waiting[0]
        try:
            yield from self._work_through(source, waiting)
        finally:
            if waiting:  # abandoned half-way: answers still under way must not meet the next items
                self.close()

    def _work_through(self, source: Iterator[tuple[Any, ...]], waiting: deque[bytes]) -> Iterator[Outcome]:
        sent = 0  # how many of them have left completely
        offset = 0  # bytes of waiting[sent] that have left
        exhausted = False
        idle_deaths = 0
        while True:
            if not exhausted and len(waiting) == sent:
                item = next(source, None)
                if item is None:
                    exhausted = True
                else:
                    waiting.append(framed(item))
            if not waiting:
                return
            process = self._running()
            frame = waiting[sent] if sent < len(waiting) else None
            results, offset, lost = self._exchange(process, frame, offset)
            if frame is not None and offset == len(frame):
                sent, offset = sent + 1, 0
                if sent == 1:
                    self._began = time.monotonic()
            for value, error, cpu in results:
                if error == OUT_OF_MEMORY and self._done:
                    lost = _Lost(error, again=True)
                    break
                waiting.popleft()
                sent, idle_deaths = sent - 1, 0
                self._done, self._cpu = self._done + 1, cpu
                yield Outcome(value, error)
                self._began = time.monotonic()
                if error == OUT_OF_MEMORY:
                    lost = _Lost(error, again=True)
                    break
            if lost is None:
                continue
            # Only a fresh process is proof against its item: an older one may have been worn out by others, and
            # whether an item fails must not depend on them.
            again = lost.again and self._done > 0
            self.close()
            if not again and sent == 0 and offset == 0:
                idle_deaths += 1
                if idle_deaths == _STARTS:
                    raise StageError(f"the worker for {self.work.factory} keeps dying: {lost.cause}")
            elif not again:
                waiting.popleft()
                yield Outcome(None, lost.cause)
            sent = offset = 0

    def close(self) -> None:
        """Ends the child, if any. The guard may be used again."""
        process, self._process = self._process, None
        self._received.clear()
        self._done = 0
        if process is not None:
            _end(process)

    def _exchange(
        self, process: subprocess.Popen[bytes], frame: bytes | None, offset: int
    ) -> tuple[list[tuple[Any, str | None, float]], int, _Lost | None]:
        """Sends what fits, or waits for results; says where the child is lost."""
        stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        deadline = self._began + self.work.seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if frame is not None:
                selector.register(stdin, selectors.EVENT_WRITE)
            while True:
                ready = selector.select(max(0.0, deadline - time.monotonic()) + 0.01)
                if not ready:
                    if self._spent(process):
                        return [], offset, _Lost(f"timeout after {self.work.seconds:g} s", again=False)
                    deadline = time.monotonic() + max(0.05, self.work.seconds / 4)
                    continue
                names = {key.fileobj for key, _ in ready}
                if stdin in names and frame is not None:
                    with contextlib.suppress(BlockingIOError, BrokenPipeError):
                        offset += os.write(stdin.fileno(), memoryview(frame)[offset : offset + _PIPE_BYTES])
                if stdout in names:
                    data = os.read(stdout.fileno(), _PIPE_BYTES)
                    if not data:
                        return [], offset, _Lost(_cause(process), again=True)
                    self._received += data
                    return list(_frames(self._received)), offset, None
                return [], offset, None

    def _spent(self, process: subprocess.Popen[bytes]) -> bool:
        if time.monotonic() - self._began >= _WALL_FACTOR * self.work.seconds:
            return True
        used = _cpu_seconds(process.pid)
        return used is None or used - self._cpu >= 0.95 * self.work.seconds

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process  # dead or not: what it had in hand is settled where its output ends
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
        self._process = process
        weakref.finalize(self, _end, process)
        stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        _widen(stdin.fileno())
        _widen(stdout.fileno())
        with contextlib.suppress(BrokenPipeError):
            stdin.write(framed((self.work.factory, self.work.options, self.work.mebibytes)))
        error = self._greeting(process)
        if error is not None:
            self.close()
            raise StageError(f"the worker for {self.work.factory} does not start: {error}")
        os.set_blocking(stdin.fileno(), False)
        self._began = time.monotonic()
        return process

    def _greeting(self, process: subprocess.Popen[bytes]) -> str | None:
        stdout = cast(IO[bytes], process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while selector.select(_START_SECONDS):
                data = os.read(stdout.fileno(), _PIPE_BYTES)
                if not data:
                    return _cause(process)
                self._received += data
                for _, error, cpu in _frames(self._received):
                    self._cpu = cpu
                    return error
        return f"no answer in {_START_SECONDS:g} s"


_LOCAL = threading.local()
_ALIVE: weakref.WeakSet[Guard] = weakref.WeakSet()


def guard(work: Work) -> Guard:
    """This thread's guard for this work, made on first use, kept between partitions and closed at exit."""
    kept: dict[tuple[int, Work], Guard] = _LOCAL.__dict__.setdefault("guards", {})
    key = (os.getpid(), work)
    if key not in kept:
        kept[key] = Guard(work)
        _ALIVE.add(kept[key])
    return kept[key]


@atexit.register
def close_all() -> None:
    """Ends the children of all guards of this process."""
    for kept in list(_ALIVE):
        kept.close()


def _frames(received: bytearray) -> Iterator[tuple[Any, str | None, float]]:
    """Takes every complete frame off the front."""
    while len(received) >= LENGTH.size:
        end = LENGTH.size + LENGTH.unpack_from(received)[0]
        if len(received) < end:
            return
        data = bytes(memoryview(received)[LENGTH.size : end])
        del received[:end]
        yield pickle.loads(data)


def _cause(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    return f"worker killed by signal {-code}" if code < 0 else f"worker ended with code {code}"


def _cpu_seconds(pid: int) -> float | None:
    """Processor seconds of a process; None where /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # proc_pid_stat(5): utime and stime are fields 14 and 15
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _widen(descriptor: int) -> None:
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
