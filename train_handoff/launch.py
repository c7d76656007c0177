"""Starts training: checks everything that can be checked without torch, then runs torchrun and waits.

    python -m winnow.train_handoff.launch CONFIG.yaml --set steps=20

CONFIG.yaml holds the keys of TrainConfig, at the top or below `train:`. Exit codes: 0 finished, or stopped on request
with a checkpoint saved; 2 refused, with one sentence; else what a training process died of. SIGTERM and Ctrl-C end
the step, save and exit 0; a second one does not wait.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import yaml

from winnow.train_handoff.config import TrainConfig, TrainError, parse_config, with_values
from winnow.train_handoff.preflight import preflight
from winnow.train_handoff.stopping import STOP_FILE, lock

GRACE_SECONDS = 600
"""How long workers may take to finish a step and save when torchrun itself is told to end."""


def launch(config: TrainConfig, *, processes: int | None = None) -> int:
    """Trains as declared and returns the exit code. Raises TrainError for what can be refused before starting.

    `processes` overrides `config.processes`; the default is one per visible GPU, or one on a machine without.
    """
    missing = [name for name in ("torch", "transformers", "safetensors") if find_spec(name) is None]
    if missing:
        raise TrainError(f"training needs {', '.join(missing)}, not installed here: pip install 'winnow[train]'")
    on_gpu, visible = _devices(config)
    if not on_gpu and config.attention == "flex_attention":
        raise TrainError("attention is 'flex_attention', which trains on GPUs only; use sdpa on a CPU")
    count = processes or config.processes or max(1, visible)
    if on_gpu and count > visible:
        raise TrainError(f"processes is {count}, but there are {visible} visible GPUs")
    preflight(config, count)
    lock(Path(config.out)).close()  # whoever trains there is not disturbed; the first process then holds it itself
    with TemporaryDirectory(prefix="winnow-train-") as scratch:
        declaration, stop_file = Path(scratch) / "train.json", Path(scratch) / "stop"
        # Without defaults: a model with a checkpoint refuses those of a shape.
        declaration.write_text(config.model_dump_json(exclude_unset=True), encoding="utf-8")
        command = [
            sys.executable, "-m", "winnow.train_handoff.agent",
            "--standalone", f"--nproc-per-node={count}", f"--shutdown-timeout={GRACE_SECONDS}",
            "-m", "winnow.train_handoff.train", str(declaration),
        ]  # fmt: skip
        environment = _environment(config, count, on_gpu) | {STOP_FILE: str(stop_file)}
        # A session of its own: Ctrl-C reaches this process alone, which then asks the workers through the stop file.
        agent = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_end_with_parent())
        with _asking_to_stop(stop_file, agent):
            return agent.wait()


def _devices(config: TrainConfig) -> tuple[bool, int]:
    """Whether to train on GPUs, and how many are visible. Importing torch takes seconds, so drivers are looked for
    first."""
    drivers = [Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd")]
    if config.device == "cpu" or not any(driver.exists() for driver in drivers):
        if config.device == "cuda":
            raise TrainError("device is 'cuda', but this machine has no GPU driver; use device=cpu or auto")
        return False, 0
    import torch

    visible = torch.cuda.device_count()
    if config.device == "cuda" and not visible:
        raise TrainError("device is 'cuda', but torch sees no GPU; use device=cpu or auto")
    return visible > 0, visible


def _environment(config: TrainConfig, count: int, on_gpu: bool) -> dict[str, str]:
    environment = dict(os.environ)
    if config.threads is not None:
        environment["OMP_NUM_THREADS"] = str(config.threads)
    elif count > 1 and not on_gpu:
        environment.setdefault("OMP_NUM_THREADS", "1")
    if config.deterministic:
        environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return environment


def _end_with_parent() -> Callable[[], None] | None:
    """What makes the kernel send torchrun SIGTERM when this process dies, however it dies (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)

    def arrange() -> None:
        prctl(set_death_signal, signal.SIGTERM)

    return arrange


@contextmanager
def _asking_to_stop(stop_file: Path, agent: subprocess.Popen[bytes]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; its owner then decides about signals
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop_file.exists():
            agent.kill()
            return
        stop_file.touch()
        print("stopping: the step is finished and saved first", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_declaration(path: Path) -> dict[str, Any]:
    """The training keys of a YAML file, its `train:` section if it has one. Raises TrainError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise TrainError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if isinstance(values, dict) and isinstance(values.get("train"), dict):
        values = values["train"]
    if not isinstance(values, dict):
        raise TrainError(f"{path}: expected a mapping of training settings")
    return values


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="winnow.train_handoff.launch", description="Train on token shards.")
    parser.add_argument("config", type=Path, help="YAML file with the training settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--processes", type=int, help="processes on this machine (default: one per GPU, 1 on CPU)")
    given = parser.parse_args(arguments)
    try:
        values = with_values(read_declaration(given.config), given.set)
        return launch(parse_config(values), processes=given.processes)
    except TrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
