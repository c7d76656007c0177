"""The child's side of `sandbox.py`. Every child starts with it, so it imports nothing that takes time."""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import IO, Any, cast

LENGTH = struct.Struct("<I")
"""Of the pickle that follows it."""

OUT_OF_MEMORY = "out of memory"


def child(parent: int) -> None:
    """The child's side: reads the work, then items, until its input ends."""
    _die_with(parent)
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not run into the frames
    factory, options, mebibytes = _receive(source)
    try:
        function = _load(factory)(**dict(options))
    except Exception as error:
        _send(sink, None, _describe(error))
        return
    limit = mebibytes << 20
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    _send(sink, None, None)
    while (item := _receive(source)) is not None:
        value, problem = None, None
        try:
            value = function(*item)
        except Exception as error:
            problem = _describe(error)
        _send(sink, value, problem)


def _load(factory: str) -> Callable[..., Callable[..., Any]]:
    module, _, name = factory.partition(":")
    return cast(Callable[..., Callable[..., Any]], getattr(importlib.import_module(module), name))


def _describe(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    message = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _die_with(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, linux/prctl.h
        if os.getppid() != parent:
            os._exit(1)


def _receive(source: IO[bytes]) -> Any:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return pickle.loads(source.read(LENGTH.unpack(head)[0]))


def _send(sink: IO[bytes], value: Any, error: str | None) -> None:
    data = memoryview(framed((value, error, time.process_time())))
    while data:
        data = data[sink.write(data) :]


def framed(value: Any) -> bytes:
    """What travels through a pipe: a length and a pickle."""
    data = pickle.dumps(value, protocol=5)
    return LENGTH.pack(len(data)) + data
