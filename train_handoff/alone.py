"""Short runs one after the other in this process: the trainer's model, order, loss, optimizer and schedule, without torchrun
and without checkpoints. For models of a few million parameters, of which an experiment trains dozens: starting torchrun
takes longer than a good part of such a run.

    with alone(config) as process:
        trainee, losses = train_alone(config, make_plan(config), process, average=6, every=10)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from winnow.train_handoff.config import TrainConfig, TrainError
from winnow.train_handoff.data import Loader, micro_batch
from winnow.train_handoff.model import Trainee, build
from winnow.train_handoff.plan import Plan
from winnow.train_handoff.schedule import rate
from winnow.train_handoff.train import Process, adamw, in_bf16, optimize, trains_on_gpu


@contextmanager
def alone(config: TrainConfig) -> Iterator[Process]:
    """This process as the only one of its group, with the device, the threads and the determinism of `config`, while the
    block lasts. With a fixed number of threads (`threads`) the same run gives the same bits. Raises TrainError."""
    device = torch.device("cuda" if trains_on_gpu(config) else "cpu")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(config.threads or threads)
    torch.use_deterministic_algorithms(config.deterministic or deterministic, warn_only=True)
    if device.type == "cuda" and config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    try:
        yield Process(0, 1, device, init_device_mesh(device.type, (1,), mesh_dim_names=("data",)))
    finally:
        dist.destroy_process_group()
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        torch.set_num_threads(threads)


def train_alone(
    config: TrainConfig,
    plan: Plan,
    process: Process,
    average: int = 1,
    every: int = 1,
    look: Callable[[int, Trainee], None] | None = None,
) -> tuple[Trainee, npt.NDArray[np.float64]]:
    """Trains as `config` and its `plan` say and returns the model and the loss of each step, in nats per valid token. `look` is
    called with the steps that were taken and the model, before the first and after each; it must leave the model as it was.

    The weights are the mean of those after the last `average` points, `every` steps apart, the end being the last: at a
    constant learning rate the mean lies nearer the bottom than any of them. Raises TrainError where training diverges.
    """
    first = plan.steps - (average - 1) * every
    if first < 1:
        raise TrainError(f"{average} points {every} steps apart are averaged, but the run has {plan.steps} steps")
    trainee = build(config, plan, process.mesh, process.device, in_bf16(config, process.device))
    optimizer = adamw(trainee, config.optimizer)
    loader = Loader(plan, 0, 1, micro_batch(plan.batch, 1, config.batch.micro), config.mask_documents)
    sums: list[Tensor] = []
    losses: list[Tensor] = []
    try:
        if look is not None:
            look(0, trainee)
        for step in range(plan.steps):
            batch = loader.step(step)
            lr = rate(plan.curves, step)
            loss, _ = optimize(trainee, optimizer, batch, lr, batch.valid, config.optimizer.clip, process.device)
            losses.append(loss)
            if look is not None:
                look(step + 1, trainee)
            if average > 1 and step + 1 >= first and (step + 1 - first) % every == 0:
                now = _local(trainee)
                sums = [w.double() for w in now] if not sums else [s.add_(w) for s, w in zip(sums, now, strict=True)]
    finally:
        loader.close()
    if average > 1:
        for weight, total in zip(_local(trainee), sums, strict=True):
            weight.copy_(total / average)
    figures = torch.stack(losses).double().cpu().numpy()
    if not np.isfinite(figures).all():
        bad = int(np.flatnonzero(~np.isfinite(figures))[0])
        raise TrainError(f"step {bad + 1}: loss {figures[bad]}: training diverged; lower lr.peak or lengthen lr.warmup")
    return trainee, figures


def _local(trainee: Trainee) -> list[Tensor]:
    return [cast(DTensor, parameter.data).to_local() for parameter in trainee.parameters()]
