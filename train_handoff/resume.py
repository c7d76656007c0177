"""Which checkpoint a run goes on from, and whether it may. Torch-free: the launcher asks before it starts anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from winnow.train_handoff.config import TrainConfig, TrainError
from winnow.train_handoff.plan import Plan
from winnow.train_handoff.pretrained import read_json

FOLDER = "checkpoints"
STATE = "state.json"
COMPLETE = ".metadata"  # torch.distributed.checkpoint writes it last
_PREFIX = "step-"

VERSION = 2

Policy = Literal["refused", "reported", "free", "planned"]
ON_RESUME: dict[str, Policy] = {
    **dict.fromkeys(
        (
            "seed", "mask_documents", "model.checkpoint", "model.revision", "model.shape", "model.layers", "model.hidden",
            "model.heads", "model.kv_heads", "model.head_dim", "model.ffn", "model.tie_embeddings", "model.rope_theta",
            "model.norm_eps", "model.init_std",
        ),
        "refused",
    ),
    **dict.fromkeys(
        (
            "batch.micro", "optimizer.beta1", "optimizer.beta2", "optimizer.eps", "optimizer.weight_decay",
            "optimizer.clip", "device", "threads", "dtype", "attention", "activation_checkpointing", "compile",
            "loss_chunk", "deterministic",
        ),
        "reported",
    ),
    **dict.fromkeys(
        (
            "out", "model.trust_tokenizer", "checkpoint_every", "keep_last", "async_checkpoint", "log_every", "export",
        ),
        "free",
    ),
    **dict.fromkeys(
        (
            "shards", "steps", "tokens", "sequence_length", "batch.sequences", "batch.tokens", "processes",
            "lr.shape", "lr.peak", "lr.final", "lr.warmup", "lr.decay", "phases.name", "phases.steps", "phases.tokens",
            "phases.data.shards", "phases.data.weight", "phases.lr.shape", "phases.lr.peak", "phases.lr.final",
            "phases.lr.warmup", "phases.lr.decay",
        ),
        "planned",
    ),
}  # fmt: skip
"""What a change of each setting means to a run that goes on: refused; reported, where the steps to come are computed
otherwise; free, where no step is; planned, where the plan that comes of it is compared: what is trained already must be
the same, what is to come is reported."""


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
    """The newest complete checkpoint, or None. Raises TrainError where another version wrote it."""
    paths = complete_checkpoints(out)
    if not paths:
        return None
    state = read_json(paths[-1] / STATE)
    if state.get("version") != VERSION:
        raise TrainError(
            f"{paths[-1] / STATE}: expected version {VERSION}, found {state.get('version')}: another version of winnow wrote "
            "it; finish with that one, or train into another folder with train.out=..."
        )
    return Checkpoint(paths[-1], int(state["step"]), state)


def training_state(config: TrainConfig, plan: Plan, step: int, world: int) -> dict[str, Any]:
    """What state.json holds: the position in the order, and what the position means."""
    at = plan.position(step)
    return {
        "version": VERSION,
        "step": step,
        "phase": at.phase,
        "sample": at.sample,
        "digests": [shards.digest for shards in plan.shards],
        "plan": plan.identity(),
        "config": json.loads(config.model_dump_json()),
        "world": world,
    }


def check_resume(config: TrainConfig, plan: Plan, found: Checkpoint, world: int) -> list[str]:
    """What changed and may, as `optimizer.clip: 1.0 -> 0.5`; ON_RESUME says what may.

    Raises TrainError where going on would not be the same run: another model, seed, batch, sequence length or mask, and
    phases already begun with other data, or shorter than what is done of them.
    """
    remedy = f"set it back, or train into another folder than {found.path.parent.parent} with train.out=..."
    where = f"cannot resume from {found.path.name}"
    changed: list[str] = []
    for name, old, new in _differences(found.state["config"], json.loads(config.model_dump_json())):
        policy = ON_RESUME.get(name, "planned" if name == "phases" else "refused")
        if policy == "refused":
            raise TrainError(f"{where}: {name} was {old}, now {new}; {remedy}")
        if policy == "reported":
            changed.append(f"{name}: {old} -> {new}")
    before, after = found.state["plan"], plan.identity()
    for key, name in (("length", "sequence_length"), ("batch", "the global batch")):
        if before[key] != after[key]:
            raise TrainError(f"{where}: {name} was {before[key]}, now {after[key]}; {remedy}")
    for number, (old, new) in enumerate(zip_longest(before["phases"], after["phases"])):
        name = f"phase '{(old or new)['name']}'"
        if number <= found.state["phase"]:
            done = None if number < found.state["phase"] else found.state["sample"] // before["batch"]
            if (refusal := _begun(old, new, done)) is not None:
                raise TrainError(f"{where}: {name}{refusal}; {remedy}")
        if old is None or new is None:
            changed.append(f"{name}: {'added' if old is None else 'removed'}")
        else:
            changed += [f"{name}: {key}: {_shown(a)} -> {_shown(b)}" for key, a, b in _differences(old, new)]
    if found.state["world"] != world:
        changed.append(f"processes: {found.state['world']} -> {world}")
    return changed


def _begun(old: dict[str, Any], new: dict[str, Any] | None, done: int | None) -> str | None:
    """What makes a phase that has begun another one; `done` counts its steps so far, None where it is over."""
    if new is None:
        return " has begun, and is no longer declared"
    for key in ("data", "weights"):
        if old[key] != new[key]:
            return f" has begun; its {key} were {_shown(old[key])}, now {_shown(new[key])}"
    if done is None and old["steps"] != new["steps"]:
        return f", already over, had {old['steps']} steps, now {new['steps']}"
    if done is not None and new["steps"] < done:
        return f": {done} of its steps are done, and now it has {new['steps']}"
    return None


def _differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in {**old, **new}
            for difference in _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if old == new else [(name, old, new)]


def _shown(value: Any) -> str:
    """A list of digests is told by their beginnings."""
    return ", ".join(str(item)[:12] for item in value) if isinstance(value, list) else str(value)
