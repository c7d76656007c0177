"""Loader figures: order, reader, whole batches, all against a raw memory map of the same ids, and its share of a step.

python tests/bench/bench_loader.py [--tokens 16777216] [--length 4096] [--step]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.tokenize.shard import COLUMNS, TokenizerIdentity, manifest_of
from winnow.tokenize.writer import write_bytes, write_manifest, write_shard
from winnow.train_handoff.config import TrainConfig, parse_config
from winnow.train_handoff.plan import Plan, make_plan

VOCABULARY = 32_000
DOCUMENT = 700  # mean tokens; lengths are exponential, as in web text


def dataset(folder: Path, tokens: int) -> None:
    """Random ids in documents, in the shard format; and the same ids as raw uint32 in raw.bin."""
    rng = np.random.default_rng(0)
    lengths = rng.exponential(DOCUMENT, 2 * tokens // DOCUMENT).astype(np.int64) + 1
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), tokens))]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    ids = rng.integers(0, VOCABULARY, int(offsets[-1]), dtype=np.uint32)
    rows = pa.RecordBatch.from_arrays(
        [
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids), type=COLUMNS.field(0).type),
            pa.array([str(i) for i in range(len(lengths))], pa.string()),
            pa.nulls(len(lengths), pa.float32()),
            pa.array(np.zeros(len(lengths), np.uint16)),
        ],
        schema=COLUMNS,
    )
    content = b"{}"
    identity = TokenizerIdentity(
        name="random", sha256=hashlib.sha256(content).hexdigest(), vocab_size=VOCABULARY, eos=0
    )
    write_bytes(str(folder), identity.file, content)
    write_manifest(
        str(folder), manifest_of(identity, [write_shard(str(folder), "shard-00000.arrow", identity, [rows])])
    )
    ids.tofile(folder / "raw.bin")


def per_second(work: Callable[[int], object], seconds: float = 1.0) -> float:
    """Calls of `work(0)`, `work(1)`, ... per second, after a warm-up."""
    for i in range(20):
        work(i)
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        for _ in range(10):
            work(count)
            count += 1
    return count / spent


def declared(folder: Path, length: int) -> TrainConfig:
    return parse_config(
        {
            "shards": str(folder),
            "out": str(folder / "out"),
            "device": "cpu",
            "sequence_length": length,
            "steps": 100_000,
            "batch": {"sequences": 8, "micro": 2},
            "loss_chunk": 512,
        }
    )


def loading(plan: Plan, folder: Path, length: int) -> float:
    """Prints what each layer reaches; returns the seconds that a step's batch takes."""
    from winnow.train_handoff.data import Loader, sample

    shards, blocks = plan.shards[0], plan.orders[0].blocks
    raw = np.memmap(folder / "raw.bin", np.uint32, "r")
    order = [plan.block(0, g).block for g in range(blocks)]

    def memory_map(i: int) -> object:
        first = order[i % blocks] * length
        return raw[first : first + length + 1].astype(np.int64)

    loader = Loader(plan, 0, 1, 8, mask_documents=True)
    layers: dict[str, Callable[[int], object]] = {
        "order: sample -> block": lambda i: plan.block(0, i),
        "raw memory map -> int64": memory_map,
        "reader -> int64": lambda i: shards.block(order[i % blocks], length).astype(np.int64),
        "order + reader -> int64": lambda i: shards.block(plan.block(0, i).block, length).astype(np.int64),
        "sample, no masking": lambda i: sample(shards, plan.block(0, i), length, mask_documents=False, prefixes=False),
        "sample, documents masked": lambda i: sample(
            shards, plan.block(0, i), length, mask_documents=True, prefixes=False
        ),
    }
    rates = {name: per_second(work) for name, work in layers.items()}
    base = rates["raw memory map -> int64"]
    for name, rate in rates.items():
        print(f"{name:28} {rate:12,.0f} blocks/s {rate * length / 1e6:10,.0f} Mtok/s {rate / base:8.2f}x raw")
    steps = per_second(loader.read)
    loader.close()
    print(f"{'whole batches of 8':28} {steps * 8:12,.0f} blocks/s {steps * 8 * length / 1e6:10,.0f} Mtok/s")
    return 1 / steps


def training(plan: Plan, config: TrainConfig, folder: Path) -> float:
    """Seconds of one optimizer step of the default model on one CPU process, loader not counted."""
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    from winnow.train_handoff.data import Loader
    from winnow.train_handoff.model import build
    from winnow.train_handoff.train import adamw, optimize

    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=0, world_size=1)
    cpu = torch.device("cpu")
    trainee = build(config, plan, init_device_mesh("cpu", (1,)), cpu, bf16=False)
    optimizer = adamw(trainee, config.optimizer)
    loader = Loader(plan, 0, 1, config.batch.micro, mask_documents=True)
    spent = []
    for step in range(3):
        batch = loader.read(step)
        began = time.perf_counter()
        optimize(trainee, optimizer, batch, 1e-4, batch.valid, 1.0, cpu)
        spent.append(time.perf_counter() - began)
    loader.close()
    dist.destroy_process_group()
    return min(spent)


def main() -> None:
    """Prints figures and ratios measured in this one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=16 * 2**20)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--step", action="store_true", help="also time a training step on the CPU")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset(folder, given.tokens)
        config = declared(folder, given.length)
        began = time.perf_counter()
        plan = make_plan(config)
        first = plan.blocks(90_000, 0, 1)
        print(
            f"plan and the blocks of step 90,000 (resume): {(time.perf_counter() - began) * 1e3:.1f} ms, {len(first)} blocks"
        )
        load = loading(plan, folder, given.length)
        # What an 8B model on one H100 trains per second (torchtitan, compiled): the loader's share of that step.
        anchor = 8 * given.length / 6667
        print(
            f"loader share of a step of an 8B model on one H100 (6,667 tok/s): {load / anchor:.4%}, hidden by reading ahead"
        )
        if given.step:
            step = training(plan, config, folder)
            print(
                f"loader share of a step here (5M model, CPU): {load * 1e3:.2f} ms of {step * 1e3:,.0f} ms = {load / step:.3%}"
            )


if __name__ == "__main__":
    main()
