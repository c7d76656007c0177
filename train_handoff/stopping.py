"""How a training process is asked to stop, and how two runs are kept out of one folder."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TextIO

from winnow.train_handoff.config import TrainError

STOP_FILE = "WINNOW_TRAIN_STOP_FILE"
"""Environment variable: the file whose existence asks the workers to stop."""

LOCK = "lock"


class StopRequest:
    """Whether this process should finish its step, save and end: on SIGTERM, when the launcher asks through its file,
    or when the parent has gone (a killed launcher must not leave a run behind that nobody watches)."""

    def __init__(self) -> None:
        self._asked = False
        self._parent = os.getppid()
        name = os.environ.get(STOP_FILE)
        self._file = Path(name) if name else None
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def __bool__(self) -> bool:
        if not self._asked:
            self._asked = os.getppid() != self._parent or (self._file is not None and self._file.exists())
        return self._asked


def lock(out: Path, patience: float = 60.0) -> TextIO:
    """Holds `out`, made where it is missing, for this process until the returned file is closed or the process ends; the
    file names its pid.

    Waits `patience` seconds for a run that is still saving, then raises TrainError; so it does where it cannot write.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise TrainError(
            f"{out}: cannot be written to ({error.strerror}); choose another folder with train.out=..."
        ) from error
    end, other = time.monotonic() + patience, ""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if not other:
                file.seek(0)
                other = f"{out}: another training run (process {file.read().strip() or 'unknown'}) writes there"
                print(f"{other}; waiting up to {patience:.0f} s for its end", file=sys.stderr, flush=True)
            if time.monotonic() > end:
                raise TrainError(f"{other}; stop it first or choose another folder") from error
            time.sleep(0.2)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
