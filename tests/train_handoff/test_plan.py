"""Configurations, plans and what may resume, all without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.tokenize.reader import ShardSet
from winnow.train_handoff.config import ModelConfig, TrainConfig, TrainError, leaves, parse_config, with_values
from winnow.train_handoff.launch import main
from winnow.train_handoff.plan import make_plan
from winnow.train_handoff.resume import (
    COMPLETE,
    ON_RESUME,
    STATE,
    Checkpoint,
    check_resume,
    newest_checkpoint,
    training_state,
)
from winnow.train_handoff.schedule import rate

from .conftest import Corpus


@pytest.fixture(scope="module")
def folders(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("plan")
    return corpus(root / "a", 40, seed=1, shards=2), corpus(root / "b", 30, seed=2)


def settings(folders: tuple[Path, Path], out: Path, **changes: Any) -> TrainConfig:
    a, b = map(str, folders)
    values: dict[str, Any] = {
        "shards": a,
        "out": str(out),
        "sequence_length": 64,
        "batch": {"sequences": 6},
        "phases": [
            {"name": "one", "steps": 30, "lr": {"peak": 1.0, "final": 0.0, "shape": "linear", "warmup": 5}},
            {"name": "two", "steps": 20, "data": [{"weight": 1}, {"shards": b, "weight": 3}]},
            {"name": "three", "tokens": 6 * 64 * 10, "lr": {"peak": 0.5, "shape": "constant", "warmup": 0}},
        ],
    }
    return parse_config(values | changes)


def test_importing_the_launcher_does_not_import_torch() -> None:
    code = "import sys, winnow.train_handoff.launch; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_phases_follow_each_other_and_share_a_curve(folders: tuple[Path, Path], tmp_path: Path) -> None:
    plan = make_plan(settings(folders, tmp_path))
    assert [(p.start, p.steps) for p in plan.phases] == [(0, 30), (30, 20), (50, 10)]
    assert plan.steps == 60
    assert (plan.position(29).phase, plan.position(30).phase, plan.position(31).sample) == (0, 1, 6)
    # Phase two has no lr: the first curve spans both and ends at zero with it.
    assert rate(plan.curves, 4) == 1.0 and rate(plan.curves, 49) == pytest.approx(0.0)
    assert 0.3 < rate(plan.curves, 30) < 0.5 and rate(plan.curves, 50) == 0.5


def test_every_block_once_per_epoch_across_phases(folders: tuple[Path, Path], tmp_path: Path) -> None:
    plan = make_plan(settings(folders, tmp_path))
    seen = [block for step in range(plan.steps) for block in plan.blocks(step, 0, 1)]
    assert {block.source for block in seen} == {0, 1}
    for source, order in enumerate(plan.orders):
        visits = [(b.epoch, b.block) for b in seen if b.source == source]
        assert len(visits) == len(set(visits))
        for epoch in range(len(visits) // order.blocks):
            assert sorted(b for e, b in visits if e == epoch) == list(range(order.blocks))
    assert Counter(b.source for b in seen[30 * 6 : 50 * 6]) == {0: 30, 1: 90}


@pytest.mark.parametrize("world", [2, 3, 6])
def test_the_world_size_changes_nothing(folders: tuple[Path, Path], tmp_path: Path, world: int) -> None:
    plan = make_plan(settings(folders, tmp_path))
    for step in (0, 29, 30, 47, 59):
        ranks = [plan.blocks(step, rank, world) for rank in range(world)]
        together = [block for row in zip(*ranks, strict=True) for block in row]
        assert together == plan.blocks(step, 0, 1)


def test_without_phases_one_pass_over_the_shards(folders: tuple[Path, Path], tmp_path: Path) -> None:
    plan = make_plan(settings(folders, tmp_path, phases=[]))
    assert plan.steps == ShardSet.open(folders[0]).blocks(64) // 6
    assert plan.vocabulary == ShardSet.open(folders[0]).manifest.tokenizer.vocab_size


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"step": 3}, r"train\.step: unknown key; did you mean 'steps'\?"),
        ({"model": {"layer": 2}}, r"train\.model\.layer: unknown key; did you mean 'layers'\?"),
        ({"phases": [{"name": "x", "data": [{"shard": "y"}]}]}, r"phases\.0\.data\.0\.shard: .*did you mean 'shards'"),
        ({"lr": {"warmup": -1}}, r"train\.lr\.warmup: .*greater than or equal to 0 \(found -1\)"),
        ({"lr": {"warmup": 1.0}}, r"train\.lr\.warmup: a fraction is a share of the curve.*\(found 1\.0\)"),
        ({"phases": [{"name": "x", "lr": {"decay": 2.0}}]}, r"train\.phases\.0\.lr\.decay: a fraction is a share"),
        ({"lr": {"peak": 0.1, "final": 0.2}}, r"train\.lr: final 0\.2 is above peak 0\.1"),
        ({"lr": {"peak": 1e-5}}, r"final 3e-05, its default, is above peak 1e-05"),
        ({"lr": {"peak": float("inf")}}, "finite number"),
        ({"batch": {"tokens": 511}}, "batch.tokens 511 is less than one sequence of 512"),
        (
            {"trust_tokenizer": True},
            r"train\.trust_tokenizer: unknown key; did you mean 'train\.model\.trust_tokenizer'",
        ),
        ({"model": {"trust_tokenizer": True}}, "'trust_tokenizer' belongs to a 'checkpoint'"),
        ({"dtype": "fp8"}, r"train\.dtype: .*'auto', 'fp32' or 'bf16' \(found 'fp8'\)"),
        ({"steps": 5, "tokens": 5}, "not both"),
        ({"steps": 5, "phases": [{"name": "x"}]}, "on each phase"),
        ({"phases": [{"name": "x"}, {"name": "x"}]}, "two phases are named 'x'"),
        ({"shards": None}, "nothing to train on"),
        ({"model": {"heads": 3}}, "hidden 256 is not a multiple of heads 3"),
        (
            {"model": {"checkpoint": "x/y", "layers": 2}},
            "remove layers; .*--set train.model=null --set train.model.checkpoint=x/y",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_with_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainError, match=sentence) as refused:
        parse_config({"shards": "s", "out": "o"} | change)
    assert "\n" not in str(refused.value)


def test_assignments_from_the_command_line() -> None:
    values = {"model": {"layers": 2}, "steps": 1}
    changed = with_values(values, ["steps=20", "model.layers=8", "lr.peak=1.0e-3", "shards=a=b"])
    assert changed == {"model": {"layers": 8}, "steps": 20, "lr": {"peak": 1e-3}, "shards": "a=b"}
    assert values == {"model": {"layers": 2}, "steps": 1}
    with pytest.raises(TrainError, match="expected key=value"):
        with_values({}, ["steps"])


@pytest.mark.parametrize("recipe", ["ko", "web"])
def test_a_shipped_recipe_goes_on_from_a_checkpoint_as_its_refusal_says(recipe: str) -> None:
    path = Path(__file__).resolve().parents[2] / "pipelines" / f"{recipe}.yaml"
    over = ["train.model.checkpoint=someone/small"]
    with pytest.raises(SpecError, match=r"^--set train\.model\.checkpoint: train\.model: ") as refused:
        load_pipeline(path, over)
    assignments = str(refused.value).split(" --set ")[1:]
    assert assignments == ["train.model=null", *over]
    config = parse_config({"shards": "s", "out": "o"} | load_pipeline(path, assignments).train)
    assert config.model == ModelConfig(checkpoint="someone/small")
    assert config.sequence_length == 256


def test_the_launcher_refuses_before_starting_anything(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declaration = tmp_path / "t.yaml"
    declaration.write_text(
        f"train: {{shards: {folders[0]}, out: {tmp_path / 'out'}, device: cpu, sequence_length: 64}}"
    )
    checkpoint = tmp_path / "hf"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 100}))
    cases = {
        f"shards={tmp_path / 'nowhere'}": "no shards to train on",
        "sequence_length=1000000": "are too few for one sequence",
        "batch.sequences=3": "cannot be shared by 2 processes",
        f"model.checkpoint={checkpoint}": "has 100 vocabulary rows, but the shards' tokenizer 'tiny' has 320 ids",
        "model.checkpoint=./missing": "no such folder, and not a hub id",
        "sequence_lenght=8": "did you mean 'sequence_length'?",
        "device=cuda": "device is 'cuda', but",
        "attention=flex_attention": "trains on GPUs only; use sdpa",
    }
    for assignment, sentence in cases.items():
        assert main([str(declaration), "--set", assignment, "--processes", "2"]) == 2
        message = capsys.readouterr().err
        assert message.startswith("error: ") and sentence in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


CHANGES: dict[str, Any] = {
    "shards": "b",
    "out": "elsewhere",
    "model.checkpoint": "someone/small",
    "model.revision": "v2",
    "model.trust_tokenizer": True,
    "model.shape": "qwen3",
    "model.layers": 3,
    "model.hidden": 128,
    "model.heads": 2,
    "model.kv_heads": 2,
    "model.head_dim": 32,
    "model.ffn": 64,
    "model.tie_embeddings": False,
    "model.rope_theta": 5000.0,
    "model.norm_eps": 1e-5,
    "model.init_std": 0.1,
    "phases.name": "other",
    "phases.data.shards": "b",
    "phases.data.weight": 5.0,
    "phases.steps": 4,
    "phases.tokens": 64 * 6 * 7,
    "phases.lr.shape": "cosine",
    "phases.lr.peak": 0.5,
    "phases.lr.final": 1e-9,
    "phases.lr.warmup": 3,
    "phases.lr.decay": 1,
    "steps": 17,
    "tokens": 64 * 6 * 17,
    "sequence_length": 32,
    "batch.sequences": 12,
    "batch.tokens": 64,
    "batch.micro": 2,
    "lr.shape": "linear",
    "lr.peak": 0.5,
    "lr.final": 1e-9,
    "lr.warmup": 1,
    "lr.decay": 1,
    "optimizer.beta1": 0.5,
    "optimizer.beta2": 0.5,
    "optimizer.eps": 1e-3,
    "optimizer.weight_decay": 0.5,
    "optimizer.clip": 0.5,
    "mask_documents": False,
    "seed": 1,
    "device": "cpu",
    "processes": 2,
    "threads": 3,
    "dtype": "bf16",
    "attention": "eager",
    "activation_checkpointing": True,
    "compile": True,
    "loss_chunk": 7,
    "checkpoint_every": 9,
    "keep_last": 9,
    "async_checkpoint": True,
    "log_every": 9,
    "deterministic": True,
    "export": False,
}
"""Another value of every setting; `b` is the other folder of shards."""

LOADED = {"model.revision", "model.trust_tokenizer"}
"""Settings that only a model from a checkpoint may have."""


def with_change(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`values` with one setting changed, of the last item where it is one of a list's."""
    changed: dict[str, Any] = json.loads(json.dumps(values))
    at, (*parents, last) = changed, key.split(".")
    for parent in parents:
        at = at.setdefault(parent, {})
        at = at[-1] if isinstance(at, list) else at
    for exclusive in ({"steps", "tokens"}, {"sequences", "tokens"}):
        if last in exclusive:
            at.pop((exclusive - {last}).pop(), None)
    at[last] = value
    return changed


class Resumed:
    """A checkpoint after step 5 of a run, in phase `one` where it has phases."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        config = parse_config(values)
        state = training_state(config, make_plan(config), 5, world=1)
        self.found = Checkpoint(Path("out/checkpoints/step-00000005"), 5, json.loads(json.dumps(state)))

    def after(self, key: str, value: Any) -> list[str]:
        config = parse_config(with_change(self.values, key, value))
        return check_resume(config, make_plan(config), self.found, world=config.processes or 1)


def test_every_setting_is_classed_and_does_on_resume_what_its_class_says(folders: tuple[Path, Path]) -> None:
    assert set(ON_RESUME) == set(leaves()) == set(CHANGES), "a new setting needs a class and a case here"
    lr = {"warmup": 2, "shape": "wsd", "decay": 2}
    base = {"shards": str(folders[0]), "out": "o", "sequence_length": 64, "batch": {"sequences": 6}}
    data = [{"weight": 3.0}, {"shards": str(folders[1])}]
    phases = [
        {"name": "one", "steps": 9, "lr": lr},
        {"name": "two", "steps": 9, "data": [*data[1:], data[0]], "lr": lr},
    ]
    plain, phased = Resumed(base | {"steps": 20, "lr": lr}), Resumed(base | {"phases": phases})
    loaded = Resumed(base | {"steps": 20, "model": {"checkpoint": "someone/small"}})
    for key, value in CHANGES.items():
        value = str(folders[1]) if value == "b" else value
        group = phased if key.startswith("phases") else loaded if key in LOADED else plain
        if key == "phases.data.shards":
            group = Resumed(base | {"phases": [*phases, {"name": "three", "steps": 1}]})
            group.values["phases"][-1]["data"] = [{"shards": str(folders[0])}]
        if ON_RESUME[key] == "refused":
            with pytest.raises(TrainError, match=f"cannot resume from step-00000005: {key} was"):
                group.after(key, value)
        elif ON_RESUME[key] == "planned":
            try:
                said = group.after(key, value)
            except TrainError as error:
                said = [str(error)]
                assert "cannot resume" in said[0], key
            assert said, key
        else:
            said = group.after(key, value)
            assert len(said) == (ON_RESUME[key] == "reported") and all(line.startswith(f"{key}: ") for line in said)


def test_what_may_resume(folders: tuple[Path, Path], corpus: Corpus, tmp_path: Path) -> None:
    config = settings(folders, tmp_path)
    plan = make_plan(config)
    for step, complete in ((10, True), (35, True), (40, False)):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / STATE).write_text(json.dumps(training_state(config, plan, step, world=1)))
        if complete:
            (folder / COMPLETE).touch()
    found = newest_checkpoint(tmp_path)
    assert found is not None and found.step == 35
    assert (found.state["phase"], found.state["sample"]) == (1, 30)
    assert check_resume(config, plan, found, 1) == []

    def resume(world: int = 1, **changes: Any) -> list[str]:
        changed = settings(folders, tmp_path, **changes)
        return check_resume(changed, make_plan(changed), found, world)

    assert resume(2, optimizer={"clip": 0.5}, log_every=7) == ["optimizer.clip: 1.0 -> 0.5", "processes: 1 -> 2"]
    one, two, three = json.loads(config.model_dump_json())["phases"]
    # The curve of phase one spans phase two, so that its rate is another from now on.
    assert resume(phases=[one, two | {"steps": 25}, three]) == [
        "phase 'one': lr.steps: 50 -> 55",
        "phase 'two': steps: 20 -> 25",
    ]
    assert resume(phases=[one | {"lr": one["lr"] | {"peak": 85.0}}, two, three]) == [
        "phase 'one': lr.peak: 1.0 -> 85.0"
    ]
    assert resume(phases=[one, two | {"steps": 5}]) == [
        "phase 'one': lr.steps: 50 -> 35",
        "phase 'two': steps: 20 -> 5",
        "phase 'three': removed",
    ]
    other = corpus(tmp_path / "other", 30, seed=3)
    refusals = {
        "model.layers was 4, now 3": {"model": {"layers": 3}},
        "seed was 0, now 1": {"seed": 1},
        "sequence_length was 64, now 32": {"sequence_length": 32},
        "the global batch was 6, now 8": {"batch": {"sequences": 8}},
        "mask_documents was True, now False": {"mask_documents": False},
        "phase 'one' has begun; its data were": {"shards": str(other)},
        "phase 'two' has begun; its weights were 1, 3, now 2, 3": {
            "phases": [one, two | {"data": [{"weight": 2.0}, two["data"][1]]}]
        },
        "phase 'one', already over, had 30 steps, now 31": {"phases": [one | {"steps": 31}, two, three]},
        "phase 'two' has begun, and is no longer declared": {"phases": [one]},
        "phase 'two': 5 of its steps are done, and now it has 4": {"phases": [one, two | {"steps": 4}, three]},
    }
    for sentence, change in refusals.items():
        with pytest.raises(TrainError, match="cannot resume") as refused:
            resume(**change)
        assert sentence in str(refused.value)
        assert str(refused.value).endswith(f"into another folder than {tmp_path} with train.out=...")
    for older in ({"version": 1, "step": 35}, {}):
        (found.path / STATE).write_text(json.dumps(older))
        with pytest.raises(TrainError, match=r"step-00000035/state\.json: .*another version of winnow wrote it"):
            newest_checkpoint(tmp_path)
