"""Saves and restores weights, optimizer, position and random state; a checkpoint appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save, save
from torch.optim import Optimizer

from winnow.train_handoff.config import TrainError
from winnow.train_handoff.model import Trainee
from winnow.train_handoff.resume import FOLDER, STATE, Checkpoint, checkpoint_name, complete_checkpoints


@dataclass(slots=True)
class Checkpointer:
    """The checkpoints of one run, used by every process alike.

    Everything is written below a hidden name and renamed when all processes are done, so what a kill leaves behind is
    never taken for a checkpoint. With `in_background` (its own gloo group) the write overlaps with training, one at a
    time. The newest `keep` stay.
    """

    out: Path
    trainee: Trainee
    optimizer: Optimizer
    keep: int
    in_background: bool
    _group: dist.ProcessGroup | None = field(init=False)
    _pending: tuple[int, Future[Any]] | None = field(default=None, init=False)
    _saved: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        self._group = dist.new_group(backend="gloo") if self.in_background else None
        if dist.get_rank() == 0:
            folder = self.out / FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.partial"):
                shutil.rmtree(leftover)
        dist.barrier()

    def restore(self, found: Checkpoint) -> None:
        """Loads `found` in place. Any number of processes can load what any other number saved; the random state is
        restored where the numbers are equal. The optimizer's settings stay as declared."""
        declared = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        model, optimizer = get_state_dict(self.trainee, self.optimizer)
        load({"model": model, "optimizer": optimizer}, checkpoint_id=str(found.path))
        set_state_dict(self.trainee, self.optimizer, model_state_dict=model, optim_state_dict=optimizer)
        for group, settings in zip(self.optimizer.param_groups, declared, strict=True):
            group.update(settings)
        if found.state["world"] == dist.get_world_size():
            random = torch.load(found.path / _random_name(), weights_only=True)
            torch.set_rng_state(random["cpu"])
            if "cuda" in random and torch.cuda.is_available():
                torch.cuda.set_rng_state(random["cuda"])
        self._saved = found.step

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Saves the state after `step` steps; nothing happens if that step is saved already. Raises TrainError where it
        cannot be written."""
        self.finish()
        if step == self._saved:
            return
        folder = self._partial(step)
        random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            random["cuda"] = torch.cuda.get_rng_state()
        model, optimizer = get_state_dict(self.trainee, self.optimizer)
        content = {"model": model, "optimizer": optimizer}
        with self._written(step):
            if dist.get_rank() == 0:
                folder.mkdir()
                (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
            dist.barrier()
            torch.save(random, folder / _random_name())
            if self._group is None:
                save(content, checkpoint_id=str(folder))
                self._publish(step)
            else:
                saving = async_save(content, checkpoint_id=str(folder), process_group=self._group)
                self._pending = step, cast("Future[Any]", saving)

    def poll(self) -> None:
        """Publishes a background save that is done."""
        if self._pending is not None and self._pending[1].done():
            self.finish()

    def finish(self) -> None:
        """Waits for the background save, if there is one, and publishes it."""
        if self._pending is not None:
            step, saving = self._pending
            self._pending = None
            with self._written(step):
                saving.result()
                self._publish(step)

    @contextmanager
    def _written(self, step: int) -> Iterator[None]:
        """Says of a full disk, or of whatever else stops a save, which checkpoint it is about and what to do."""
        try:
            yield
        except (OSError, RuntimeError, CheckpointException) as error:
            # torch raises a RuntimeError of its own where its zip file cannot be written.
            raise TrainError(
                f"{self.out / FOLDER}: the checkpoint of step {step} could not be saved ({_cause(error)}); mend that or make "
                "room, then run again: it goes on from the last checkpoint"
            ) from error

    def _publish(self, step: int) -> None:
        self._saved = step
        # The coordinator's save returns after every process has written, so rank 0 alone may rename.
        if dist.get_rank() == 0:
            self._partial(step).rename(self.out / FOLDER / checkpoint_name(step))
            for old in complete_checkpoints(self.out)[: -self.keep]:
                shutil.rmtree(old)

    def _partial(self, step: int) -> Path:
        return self.out / FOLDER / f".{checkpoint_name(step)}.partial"


def _cause(error: BaseException) -> str:
    """Why, in one line: of the system's error where there is one, else of what torch says first."""
    failures = list(error.failures.values()) if isinstance(error, CheckpointException) else []
    for raised in (error, *(wrapped[0] for wrapped in failures)):
        at: BaseException | None = raised
        while at is not None:
            if isinstance(at, OSError) and at.strerror:
                return at.strerror.lower()
            at = at.__cause__ or at.__context__
    said = str(failures[0][0] if failures else error).strip() or type(error).__name__
    return said.splitlines()[0]


def _random_name() -> str:
    return f"random-{dist.get_rank()}.pt"
