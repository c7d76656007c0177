"""The sharded model in one process: its loss and gradients are those of plain transformers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, PreTrainedModel

from winnow.train_handoff.checkpoint import Checkpointer
from winnow.train_handoff.config import TrainError, parse_config
from winnow.train_handoff.data import IGNORED, Loader, MicroBatch, micro_batch, sample
from winnow.train_handoff.export import export
from winnow.train_handoff.model import Trainee, build, flops_per_token
from winnow.train_handoff.plan import Plan, make_plan
from winnow.train_handoff.resume import check_resume, newest_checkpoint, training_state
from winnow.train_handoff.train import adamw

from .conftest import Corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceMesh]:
    rendezvous = tmp_path_factory.mktemp("gloo") / "store"
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("model") / "shards", 40, seed=5, shards=2, prefix=2)


def made(folder: Path, mesh: DeviceMesh, bf16: bool = False, **changes: Any) -> tuple[Trainee, Plan]:
    shape = {"layers": 2, "hidden": 64, "heads": 4, "kv_heads": 2} | changes.pop("model", {})
    values = {"shards": str(folder), "out": "-", "sequence_length": 64, "batch": {"sequences": 4}, "model": shape}
    config = parse_config(values | changes)
    plan = make_plan(config)
    return build(config, plan, mesh, CPU, bf16=bf16), plan


def batch_of(plan: Plan, mask_documents: bool = True) -> MicroBatch:
    loader = Loader(plan, rank=0, world=1, micro=4, mask_documents=mask_documents)
    batch = loader.step(0)
    loader.close()
    return batch.micros[0]


def loss_of(trainee: Trainee, batch: MicroBatch) -> torch.Tensor:
    loss: torch.Tensor = trainee(batch.inputs, batch.labels, batch.positions)
    return loss


def gradients(trainee: Trainee, batch: MicroBatch) -> dict[str, torch.Tensor]:
    trainee.zero_grad()
    loss_of(trainee, batch).backward()  # type: ignore[no-untyped-call]
    grads = {name: p.grad.full_tensor() for name, p in trainee.named_parameters() if p.grad is not None}  # type: ignore[attr-defined]
    assert len(grads) == len(dict(trainee.named_parameters()))
    return grads


def plain(trainee: Trainee, plan: Plan, tmp_path: Path) -> PreTrainedModel:
    """The same weights in an ordinary transformers model, by way of the export."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        export(trainee, plan.shards[0], tmp_path, torch.float32), dtype=torch.float32
    )
    return model


@pytest.mark.parametrize(("shape", "tied"), [("llama", True), ("qwen3", False)])
def test_packed_blocks_equal_documents_on_their_own(
    folder: Path, mesh: DeviceMesh, tmp_path: Path, shape: str, tied: bool
) -> None:
    trainee, plan = made(folder, mesh, model={"shape": shape, "tie_embeddings": tied}, loss_chunk=50)
    reference = plain(trainee, plan, tmp_path)
    expected, labels, pieces = torch.zeros(()), 0, 0
    for block in plan.blocks(0, 0, 1):
        shards, b = plan.shards[0], block.block
        tokens = torch.from_numpy(shards.block(b, 64).astype(np.int64))
        masked = torch.from_numpy(shards.masked(b, 64))
        cuts = sorted({0, 65, *(int(start) for start in shards.boundaries(b, 64))})
        for start, end in pairwise(cuts):
            document, prefix = tokens[start:end], masked[start:end]
            if len(document) < 2:
                continue
            logits = reference(input_ids=document[None, :-1], use_cache=False).logits[0]
            targets = document[1:].masked_fill(prefix[1:], IGNORED)
            expected = expected + cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
            labels += int((targets != IGNORED).sum())
            pieces += 1
    batch = batch_of(plan)
    assert pieces > 6 and int((batch.labels != IGNORED).sum()) == labels
    assert loss_of(trainee, batch).item() == pytest.approx(expected.item(), rel=1e-5)
    # Without masking the documents see each other.
    blind = batch_of(plan, mask_documents=False)
    assert abs(loss_of(trainee, blind).item() - expected.item()) > 1e-2


def test_gradients_are_those_of_the_plain_model(folder: Path, mesh: DeviceMesh, tmp_path: Path) -> None:
    trainee, plan = made(folder, mesh, model={"tie_embeddings": True}, loss_chunk=37)
    embedding = trainee.causal.get_submodule("model.embed_tokens")
    assert trainee.causal.get_submodule("lm_head").weight is embedding.weight
    batch = batch_of(plan, mask_documents=False)
    ours = gradients(trainee, batch)
    reference = plain(trainee, plan, tmp_path)
    logits = reference(input_ids=batch.inputs, use_cache=False).logits
    cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED, reduction="sum").backward()
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(ours[f"causal.{name}"], parameter.grad, rtol=2e-4, atol=2e-4)
    checkpointed, _ = made(folder, mesh, model={"tie_embeddings": True}, activation_checkpointing=True)
    for name, gradient in gradients(checkpointed, batch).items():
        torch.testing.assert_close(gradient, ours[name], rtol=2e-4, atol=2e-4)


def test_a_checkpoint_loads_with_its_tokenizer(folder: Path, mesh: DeviceMesh, tmp_path: Path) -> None:
    for tied in (True, False):
        first, plan = made(folder, mesh, seed=3, model={"shape": "qwen3", "tie_embeddings": tied})
        exported = export(first, plan.shards[0], tmp_path / str(tied), torch.float32)
        config = {"shards": str(folder), "out": "-", "sequence_length": 64, "batch": {"sequences": 4}}
        again = build(parse_config(config | {"model": {"checkpoint": str(exported)}}), plan, mesh, CPU, bf16=False)
        batch = batch_of(plan)
        assert loss_of(again, batch).item() == loss_of(first, batch).item()
    (exported / "config.json").write_text(
        (exported / "config.json").read_text().replace('"hidden_size": 64', '"hidden_size": 128')
    )
    with pytest.raises(TrainError, match=r"its weights do not fit its config\.json"):
        build(parse_config(config | {"model": {"checkpoint": str(exported)}}), plan, mesh, CPU, bf16=False)


def test_bfloat16_computes_what_fp32_does_nearly(folder: Path, mesh: DeviceMesh) -> None:
    exact, plan = made(folder, mesh)
    rough, _ = made(folder, mesh, bf16=True)
    assert all(p.dtype == torch.float32 for p in rough.parameters())
    batch = batch_of(plan)
    assert loss_of(rough, batch).item() == pytest.approx(loss_of(exact, batch).item(), rel=5e-3)


def test_decay_spares_norms_and_embeddings(folder: Path, mesh: DeviceMesh) -> None:
    trainee, _ = made(folder, mesh, model={"shape": "qwen3", "tie_embeddings": False})
    optimizer = adamw(trainee, parse_config({"shards": "s", "out": "o"}).optimizer)
    decayed, others = ({id(p) for p in group["params"]} for group in optimizer.param_groups)
    for name, parameter in trainee.named_parameters():
        spared = "norm" in name or "embed" in name
        assert id(parameter) in (others if spared else decayed), name
    # 6 per weight of a matrix and 12 L H d S for attention.
    matrices = sum(p.numel() for name, p in trainee.named_parameters() if "norm" not in name and "embed" not in name)
    assert flops_per_token(trainee, 64) == 6 * matrices + 12 * 2 * 64 * 64


def test_the_optimizer_s_settings_are_those_declared_now(folder: Path, mesh: DeviceMesh, tmp_path: Path) -> None:
    trainee, plan = made(folder, mesh)
    values = {"shards": str(folder), "out": str(tmp_path), "sequence_length": 64, "batch": {"sequences": 4}, "steps": 2}
    before, now = (
        parse_config(values | {"optimizer": {"weight_decay": w, "beta2": b}}) for w, b in ((0.1, 0.9), (0.2, 0.8))
    )
    optimizer = adamw(trainee, before.optimizer)
    loss_of(trainee, batch_of(plan)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()
    Checkpointer(tmp_path, trainee, optimizer, 1, False).save(1, training_state(before, make_plan(before), 1, 1))
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert check_resume(now, make_plan(now), found, 1) == [
        "optimizer.beta2: 0.9 -> 0.8",
        "optimizer.weight_decay: 0.1 -> 0.2",
    ]
    again = adamw(trainee, now.optimizer)
    Checkpointer(tmp_path, trainee, again, 1, False).restore(found)
    assert [(g["weight_decay"], g["betas"][1]) for g in again.param_groups] == [(0.2, 0.8), (0.0, 0.8)]
    assert all(int(state["step"]) == 1 for state in again.state.values()) and again.state


def test_loader_shares_the_batch_out(folder: Path, mesh: DeviceMesh) -> None:
    _, plan = made(folder, mesh)
    assert [micro_batch(12, 2, limit) for limit in (1, 4, 5, 100)] == [1, 3, 3, 6]
    whole = Loader(plan, 0, 1, 4, True).read(2)
    halves = [Loader(plan, rank, 2, 1, True).read(2) for rank in (0, 1)]
    rows = [halves[g % 2].micros[g // 2].inputs[0] for g in range(4)]
    assert torch.equal(torch.stack(rows), whole.micros[0].inputs)
    assert sum(half.valid for half in halves) == whole.valid


def test_positions_start_over_where_documents_do(folder: Path, mesh: DeviceMesh) -> None:
    _, plan = made(folder, mesh)
    for block in plan.blocks(0, 0, 1):
        inputs, labels, positions = sample(plan.shards[0], block, 64, mask_documents=True)
        starts = {int(s) for s in plan.shards[0].boundaries(block.block, 64)} - {0}
        assert {i for i in range(1, 64) if positions[i] == 0} == starts - {64}
        assert all(labels[s - 1] == IGNORED for s in starts)
        assert all(inputs[s - 1] == 0 for s in starts)  # the document before ends with its <eos>
