"""Real runs under torchrun: interrupted, resumed, shared out otherwise, exported. Few launches prove several things each.

All runs train the same declaration: phase `one` runs over its data more than once, phase `two` blends in other data.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from winnow.tokenize.reader import ShardSet
from winnow.train_handoff.config import parse_config
from winnow.train_handoff.data import IGNORED, sample
from winnow.train_handoff.plan import make_plan
from winnow.train_handoff.resume import complete_checkpoints

from .conftest import Corpus

Row = dict[str, Any]
STEPS = 20


@pytest.fixture(scope="module")
def folders(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("train")
    return corpus(root / "a", 45, seed=1, shards=2), corpus(root / "b", 60, seed=2)


class Training:
    """One training folder and the command that trains into it."""

    def __init__(self, folders: tuple[Path, Path], out: Path, second: int = 12, **changes: Any) -> None:
        out.mkdir(exist_ok=True)
        self.out, self.log = out, out / "console.txt"
        self.settings: dict[str, Any] = {
            "out": str(out),
            "shards": str(folders[0]),
            "device": "cpu",
            "sequence_length": 64,
            "batch": {"sequences": 8, "micro": 1},
            "model": {"shape": "llama", "layers": 2, "hidden": 64, "heads": 4, "kv_heads": 2},
            "phases": [
                {"name": "one", "steps": 8, "lr": {"shape": "constant", "peak": 0.01, "warmup": 2}},
                {"name": "two", "steps": second, "data": [{"weight": 0.3}, {"shards": str(folders[1]), "weight": 0.7}]},
            ],
            "checkpoint_every": 3,
            "threads": 1,
        } | changes
        self.declaration = out / "train.yaml"
        self.declaration.write_text(yaml.safe_dump({"train": self.settings}), encoding="utf-8")

    def start(self, processes: int = 1) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "winnow.train_handoff.launch", str(self.declaration)]
        with self.log.open("ab") as log:
            return subprocess.Popen([*command, "--processes", str(processes)], stdout=log, stderr=subprocess.STDOUT)

    def run(self, processes: int = 1) -> None:
        assert self.start(processes).wait(timeout=900) == 0, self.log.read_text()

    def rows(self) -> list[Row]:
        path = self.out / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def await_step(self, running: subprocess.Popen[bytes], step: int) -> None:
        while not any(row["step"] >= step for row in self.rows()):
            assert running.poll() is None, self.log.read_text()
            time.sleep(0.01)

    def saved(self) -> list[int]:
        return [int(path.name.removeprefix("step-")) for path in complete_checkpoints(self.out)]


def exact(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(r["step"], r["phase"], r["epoch"], r["loss"], r["grad_norm"], r["lr"], r["tokens"]) for r in rows]


@pytest.fixture(scope="module")
def undisturbed(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Training:
    training = Training(folders, tmp_path_factory.mktemp("undisturbed"))
    training.run()
    return training


def test_an_undisturbed_run_learns_and_logs_each_step_once(undisturbed: Training, folders: tuple[Path, Path]) -> None:
    rows = undisturbed.rows()
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [row["phase"] for row in rows] == ["one"] * 8 + ["two"] * 12
    assert rows[0]["loss"] == pytest.approx(np.log(320), abs=0.3) and rows[-1]["loss"] < rows[0]["loss"] - 1.0
    assert rows[0]["lr"] == pytest.approx(0.005) and rows[-1]["lr"] == 0.01
    blocks = ShardSet.open(folders[0]).blocks(64)
    assert 8 < blocks < 64 and max(row["epoch"] for row in rows) >= 64 // blocks
    assert undisturbed.saved() == [18, 20]
    assert "step 20/20" in undisturbed.log.read_text()


def test_killed_and_resumed_it_repeats_every_loss(
    undisturbed: Training, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    training = Training(folders, tmp_path / "out")
    running = training.start()
    training.await_step(running, 4)
    os.kill(int((training.out / "lock").read_text()), signal.SIGKILL)
    assert running.wait(timeout=900) == 128 + signal.SIGKILL
    assert "was ended by SIGKILL" in training.log.read_text()
    saved = training.saved()[-1]
    assert saved < STEPS
    # What a kill in the middle of saving and of logging leaves behind.
    (training.out / "checkpoints" / ".step-00000099.partial").mkdir()
    (training.out / "checkpoints" / "step-00000098").mkdir()
    with (training.out / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 13, "los')
    training.run()
    assert f"resuming after step {saved} of 20" in training.log.read_text()
    assert exact(training.rows()) == exact(undisturbed.rows())


def test_two_processes_are_stopped_and_one_agrees_with_the_run_and_with_its_export(
    undisturbed: Training, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    # One step longer than the undisturbed run, so that its last loss is that of the undisturbed run's final weights.
    training = Training(folders, tmp_path / "out", second=13, async_checkpoint=True)
    running = training.start(processes=2)
    training.await_step(running, 5)
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=900) == 0, training.log.read_text()
    assert "saved, the same command goes on" in training.log.read_text()
    stopped = training.saved()[-1]
    assert training.rows()[-1]["step"] == stopped <= STEPS
    assert not (training.out / "model").exists()

    training.run(processes=1)
    assert f"resuming after step {stopped} of 21" in training.log.read_text()
    ours, reference = training.rows(), undisturbed.rows()
    assert [row["step"] for row in ours] == list(range(1, STEPS + 2))
    assert ours[0]["loss"] == pytest.approx(reference[0]["loss"], rel=1e-6)
    for row, expected in zip(ours, reference, strict=False):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert (row["epoch"], row["lr"]) == (expected["epoch"], expected["lr"])

    model = AutoModelForCausalLM.from_pretrained(undisturbed.out / "model")
    plan = make_plan(parse_config(training.settings))
    total, valid = 0.0, 0
    for block in plan.blocks(STEPS, 0, 1):
        inputs, labels, positions = map(
            torch.from_numpy, sample(plan.shards[block.source], block, 64, mask_documents=True)
        )
        with torch.no_grad():
            logits = model(input_ids=inputs[None], position_ids=positions[None], use_cache=False).logits[0]
        total += torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum").item()
        valid += int((labels != IGNORED).sum())
    assert ours[STEPS]["loss"] == pytest.approx(total / valid, rel=1e-4)


def test_the_export_brings_its_tokenizer(undisturbed: Training) -> None:
    tokenizer = AutoTokenizer.from_pretrained(undisturbed.out / "model")
    assert tokenizer.decode(tokenizer("고양이는 천천히").input_ids) == "고양이는 천천히"
    assert tokenizer.eos_token == "<eos>" and len(tokenizer) == 320
