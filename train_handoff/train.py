"""One training process. torchrun starts `python -m winnow.train_handoff.train CONFIG.json` once per device.

Read it from `train` down: processes, plan, model, optimizer, checkpoint, then the loop.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
from rich.console import Console
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Optimizer

from winnow.train_handoff.checkpoint import Checkpointer
from winnow.train_handoff.config import OptimizerConfig, TrainConfig, TrainError, parse_config
from winnow.train_handoff.data import Loader, StepBatch, micro_batch
from winnow.train_handoff.export import export
from winnow.train_handoff.metrics import MetricsLog, StepMetrics, peak_flops
from winnow.train_handoff.model import Trainee, build, flops_per_token
from winnow.train_handoff.plan import Plan, make_plan
from winnow.train_handoff.preflight import preflight
from winnow.train_handoff.pretrained import read_json
from winnow.train_handoff.resume import check_resume, newest_checkpoint, training_state
from winnow.train_handoff.schedule import rate
from winnow.train_handoff.stopping import STOP_FILE, StopRequest, lock

DECLARATION = "train.json"
"""In the training folder: what the run there was last started with."""


@dataclass(frozen=True, slots=True)
class Process:
    """This process among all: gloo on CPU, nccl for GPU tensors (and gloo for the counts that stay on the CPU)."""

    rank: int
    world: int
    device: torch.device
    mesh: DeviceMesh


def train(config: TrainConfig, stop: StopRequest) -> None:
    """Trains to the plan's end, or until asked to stop; goes on from the newest checkpoint in `config.out`."""
    out = Path(config.out)
    if STOP_FILE not in os.environ and os.environ["LOCAL_RANK"] == "0":  # else the launcher has asked
        preflight(config, int(os.environ["WORLD_SIZE"]))
    plan = make_plan(config)
    process = join(config)
    held = lock(out) if process.rank == 0 else None
    if held is not None:
        partial = out / f".{DECLARATION}.partial"
        partial.write_text(config.model_dump_json(exclude_unset=True, indent=1), encoding="utf-8")
        partial.replace(out / DECLARATION)
    dist.barrier()
    console = Console(quiet=process.rank != 0)

    bf16 = in_bf16(config, process.device)
    trainee = build(config, plan, process.mesh, process.device, bf16)
    optimizer = adamw(trainee, config.optimizer)
    checkpoints = Checkpointer(out, trainee, optimizer, config.keep_last, config.async_checkpoint)

    start = 0
    if (found := newest_checkpoint(out)) is not None:
        changed = check_resume(config, plan, found, process.world)
        checkpoints.restore(found)
        start = found.step
        console.print(f"resuming after step {start} of {plan.steps} from {found.path}", soft_wrap=True)
        for change in changed:
            console.print(f"changed since that checkpoint: {change}", soft_wrap=True)

    loader = Loader(
        plan,
        process.rank,
        process.world,
        micro_batch(plan.batch, process.world, config.batch.micro),
        config.mask_documents,
    )
    log = MetricsLog(out, start, plan.steps, console) if process.rank == 0 else None
    window = Window(config, plan, process, trainee, log)

    done = start
    stopped = False
    for step in range(start, plan.steps):
        began = time.perf_counter()
        batch = loader.step(step)
        waited = time.perf_counter() - began
        # One small sum over the processes carries both the loss's divisor and the wish to stop, so that all agree.
        valid, stopping = agree(batch.valid, int(bool(stop)))
        lr = rate(plan.curves, step)
        loss, norm = optimize(trainee, optimizer, batch, lr, valid, config.optimizer.clip, process.device)
        done = step + 1
        window.add(done, batch, loss, norm, lr, waited)

        stopped = stopping > 0
        saving = done % config.checkpoint_every == 0 or done == plan.steps or stopped
        if saving or done % config.log_every == 0:
            window.flush()
        if saving:
            checkpoints.save(done, training_state(config, plan, done, process.world))
            window.restart()
        checkpoints.poll()
        if stopped:
            break

    loader.close()
    checkpoints.finish()
    if stopped and done < plan.steps:
        console.print(f"stopped after step {done} of {plan.steps}; saved, the same command goes on", soft_wrap=True)
    else:
        if config.export:
            folder = export(trainee, plan.shards[0], out, torch.bfloat16 if bf16 else torch.float32, config.model)
            console.print(f"exported the model of step {done} to {folder}", soft_wrap=True)
        console.print(f"done: {done} steps, {done * plan.batch * plan.length:,} tokens", soft_wrap=True)
    if log is not None:
        log.close()
    dist.barrier()
    dist.destroy_process_group()
    if held is not None:
        held.close()


def join(config: TrainConfig) -> Process:
    """Joins the other processes that torchrun started. Raises TrainError for a device that is not there."""
    on_gpu = trains_on_gpu(config)
    world = int(os.environ["WORLD_SIZE"])
    if config.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
    if on_gpu:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
    else:
        device = torch.device("cpu")
        dist.init_process_group("gloo")
    mesh = init_device_mesh(device.type, (world,), mesh_dim_names=("data",))
    return Process(dist.get_rank(), world, device, mesh)


def trains_on_gpu(config: TrainConfig) -> bool:
    """Where `config.device` and `config.attention` train on this machine. Raises TrainError where they cannot."""
    on_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    if on_gpu and not torch.cuda.is_available():
        raise TrainError("device is 'cuda', but torch sees no GPU; use device=cpu or auto")
    if not on_gpu and config.attention == "flex_attention":
        raise TrainError("attention is 'flex_attention', which trains on GPUs only; use sdpa on a CPU")
    return on_gpu


def in_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether the model computes in bfloat16 there."""
    return config.dtype == "bf16" or (config.dtype == "auto" and device.type == "cuda")


def adamw(trainee: Trainee, settings: OptimizerConfig) -> AdamW:
    """AdamW with weight decay on the matrices alone: not on norms, biases and embeddings (tied heads included)."""
    named = dict(trainee.named_parameters())
    decayed = [p for name, p in named.items() if p.ndim > 1 and "embed" not in name]
    others = [p for name, p in named.items() if p.ndim <= 1 or "embed" in name]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, betas=(settings.beta1, settings.beta2), eps=settings.eps)


def agree(*counts: int) -> list[int]:
    """Sums of the counts over all processes, on the CPU so that no GPU is waited for."""
    total = torch.tensor(counts, dtype=torch.int64)
    dist.all_reduce(total)
    return [int(count) for count in total.tolist()]


def optimize(
    trainee: Trainee, optimizer: Optimizer, batch: StepBatch, lr: float, valid: int, clip: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """One step. Returns this process's share of the mean loss and the global gradient norm before clipping, on the
    device. Each micro batch reduces its gradients at once: unsharded gradients of a large model would not fit."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    total = torch.zeros((), device=device)
    for micro in batch.micros:
        on_device = micro.to(device)
        loss = cast(Tensor, trainee(on_device.inputs, on_device.labels, on_device.positions)) / max(1, valid)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    norm = nn.utils.clip_grad_norm_(trainee.parameters(), clip)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total, norm


UNWRITABLE = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES])
"""Errors of the system that are about the disk, not about this program."""


class Window:
    """Steps not logged yet. Their losses stay on the device until `flush`, the only point that waits for it."""

    def __init__(
        self, config: TrainConfig, plan: Plan, process: Process, trainee: Trainee, log: MetricsLog | None
    ) -> None:
        self._plan, self._process, self._log = plan, process, log
        self._flops = flops_per_token(trainee, config.sequence_length)
        on_gpu = process.device.type == "cuda"
        self._peak = peak_flops(torch.cuda.get_device_name(process.device)) if on_gpu else None
        self._rows: list[tuple[int, int, float, float]] = []
        self._figures: list[Tensor] = []
        self._since = time.perf_counter()

    def add(self, done: int, batch: StepBatch, loss: Tensor, norm: Tensor, lr: float, waited: float) -> None:
        """A finished step: `done` counts it, `loss` is this process's share, `waited` the loader's seconds."""
        self._rows.append((done, batch.epoch, lr, waited))
        self._figures += [loss, norm]

    def flush(self) -> None:
        """Sums the losses over the processes and logs every step. Raises TrainError if one is not finite."""
        if not self._rows:
            return
        figures = torch.stack(self._figures).reshape(-1, 2)
        losses = figures[:, 0].contiguous()
        dist.all_reduce(losses)
        norms = figures[:, 1].tolist()
        now = time.perf_counter()
        seconds = (now - self._since) / len(self._rows)
        batch_tokens = self._plan.batch * self._plan.length
        speed = batch_tokens / seconds
        used = None if self._peak is None else speed * self._flops / (self._peak * self._process.world)
        rows = [
            StepMetrics(
                step=done,
                phase=self._plan.phases[self._plan.position(done - 1).phase].name,
                epoch=epoch,
                loss=loss,
                lr=lr,
                grad_norm=norm,
                tokens=done * batch_tokens,
                seconds=seconds,
                tokens_per_second=speed,
                loader_seconds=waited,
                mfu=used,
            )
            for (done, epoch, lr, waited), loss, norm in zip(self._rows, losses.tolist(), norms, strict=True)
        ]
        bad = next((row for row in rows if not math.isfinite(row.loss) or not math.isfinite(row.grad_norm)), None)
        if bad is not None:
            raise TrainError(
                f"step {bad.step}: loss {bad.loss}, gradient norm {bad.grad_norm}: training diverged; nothing was saved "
                "after the last checkpoint, so lower lr.peak or lengthen lr.warmup and run again"
            )
        if self._log is not None:
            self._log.write(rows)
        self._rows, self._figures = [], []
        self.restart()

    def restart(self) -> None:
        """Starts the clock again, so that saving does not count as training."""
        self._since = time.perf_counter()


def main(arguments: list[str]) -> int:
    """`CONFIG.json` -> exit code: 0 finished or stopped and saved, 2 refused with one sentence."""
    try:
        if len(arguments) != 1 or not {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= set(os.environ):
            raise TrainError("expected torchrun --nproc-per-node=N -m winnow.train_handoff.train CONFIG.json")
        train(parse_config(read_json(Path(arguments[0])), f"{arguments[0]}: train"), StopRequest())
    except TrainError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # the others have nothing else to say
            print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = f"{error.filename}: " if error.filename else ""
        what = (error.strerror or "cannot be written").lower()
        print(
            f"error: {place}{what}; run again when it can be written: it goes on from the last checkpoint",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
