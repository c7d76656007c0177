"""Which checkpoint a run goes on from, and whether it may. Torch-free: the launcher asks before it starts anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow.train_handoff.config import TrainConfig, TrainError
from winnow.train_handoff.plan import Plan
from winnow.train_handoff.pretrained import read_json

FOLDER = "checkpoints"
STATE = "state.json"
COMPLETE = ".metadata"  # torch.distributed.checkpoint writes it last
_PREFIX = "step-"

_FREE = {"out", "shards", "phases", "steps", "tokens", "model", "sequence_length", "batch", "seed", "mask_documents"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint: `step` steps were done. `state` is its state.json."""

    path: Path
    step: int
    state: dict[str, Any]


def checkpoint_name(step: int) -> str:
    """Folder name of the checkpoint after `step` steps."""
    return f"{_PREFIX}{step:08d}"


def complete_checkpoints(out: Path) -> list[Path]:
    """The complete checkpoints of a training folder, oldest first."""
    return sorted(
        path for path in (out / FOLDER).glob(f"{_PREFIX}*") if (path / COMPLETE).is_file() and (path / STATE).is_file()
    )


def newest_checkpoint(out: Path) -> Checkpoint | None:
    """The newest complete checkpoint, or None."""
    paths = complete_checkpoints(out)
    if not paths:
        return None
    state = read_json(paths[-1] / STATE)
    return Checkpoint(paths[-1], int(state["step"]), state)


def training_state(config: TrainConfig, plan: Plan, step: int, world: int) -> dict[str, Any]:
    """What state.json holds: the position in the order, and what the position means."""
    at = plan.position(step)
    return {
        "version": 1,
        "step": step,
        "phase": at.phase,
        "sample": at.sample,
        "digests": [shards.digest for shards in plan.shards],
        "plan": plan.identity(),
        "config": json.loads(config.model_dump_json()),
        "config_digest": config.digest(),
        "world": world,
    }


def check_resume(config: TrainConfig, plan: Plan, found: Checkpoint) -> list[str]:
    """The settings that changed and may, as `lr.peak: 0.001 -> 0.002`.

    Raises TrainError where going on would not be the same run: other shards, model, seed, batch, sequence length or
    phases already begun, or a checkpoint past the run's end. Lengthening the current phase is allowed.
    """
    remedy = f"set it back, or train into another folder than {found.path.parent.parent} with train.out=..."
    where = f"cannot resume from {found.path.name}"
    saved, now = found.state["config"], json.loads(config.model_dump_json())
    for key in ("model", "mask_documents"):
        for name, old, new in _differences(saved[key], now[key], key):
            raise TrainError(f"{where}: {name} was {old}, now {new}; {remedy}")
    before, after = found.state["plan"], plan.identity()
    for key, name in (("length", "sequence_length"), ("batch", "the global batch"), ("seed", "seed")):
        if before[key] != after[key]:
            raise TrainError(f"{where}: {name} was {before[key]}, now {after[key]}; {remedy}")
    for number, old in enumerate(before["phases"][: found.state["phase"] + 1]):
        if number >= len(after["phases"]):
            raise TrainError(f"{where}: it is in phase '{old['name']}', which is no longer declared; {remedy}")
        new = after["phases"][number]
        if old["data"] != new["data"]:
            raise TrainError(
                f"{where}: the shards of phase '{old['name']}' changed (digest {_short(old['data'])}, "
                f"now {_short(new['data'])}); {remedy}"
            )
        if old["parts"] != new["parts"]:
            raise TrainError(f"{where}: the weights of phase '{old['name']}' changed; {remedy}")
        if number < found.state["phase"] and old["steps"] != new["steps"]:
            raise TrainError(
                f"{where}: phase '{old['name']}', already over, had {old['steps']} steps, now {new['steps']}; {remedy}"
            )
    if found.step > plan.steps:
        raise TrainError(f"{where}: it is past the run's end at step {plan.steps}; {remedy}")
    changed = [
        f"{name}: {old} -> {new}"
        for key in now
        if key not in _FREE
        for name, old, new in _differences(saved.get(key), now[key], key)
    ]
    if found.step < plan.steps and found.state["plan"]["phases"] != after["phases"]:
        total = sum(phase["steps"] for phase in before["phases"])
        changed.append(f"steps of the run: {total} -> {plan.steps}")
    return changed


def _differences(old: Any, new: Any, name: str) -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in sorted({*old, *new})
            for difference in _differences(old.get(key), new.get(key), f"{name}.{key}")
        ]
    return [] if old == new else [(name, old, new)]


def _short(digests: list[str]) -> str:
    return ", ".join(digest[:12] for digest in digests)
