"""Short runs in this process are those of the launcher; documents are measured as a loop over single tokens measures them."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from winnow.train_handoff.alone import alone, train_alone
from winnow.train_handoff.config import TrainConfig, TrainError, parse_config
from winnow.train_handoff.evaluate import document_bits, windows
from winnow.train_handoff.model import Trainee, weights
from winnow.train_handoff.plan import make_plan
from winnow.train_handoff.stopping import StopRequest
from winnow.train_handoff.train import Process, train

from .conftest import Corpus

VOCABULARY = 320


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("alone") / "shards", 60, seed=7)


def declared(folder: Path, out: Path | str = "-", **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "shards": str(folder),
        "out": str(out),
        "device": "cpu",
        "sequence_length": 32,
        "batch": {"sequences": 4, "micro": 2},
        "model": {"layers": 2, "hidden": 32, "heads": 2},
        "lr": {"shape": "constant", "peak": 0.01, "warmup": 2},
        "steps": 6,
        "mask_documents": False,
        "threads": 1,
        "deterministic": True,
        "export": False,
    }
    return parse_config(values | changes)


@pytest.fixture(scope="module")
def here(folder: Path) -> Iterator[Process]:
    with alone(declared(folder)) as process:
        yield process


def trained(config: TrainConfig, process: Process, average: int = 1, every: int = 1) -> Trainee:
    return train_alone(config, make_plan(config), process, average, every)[0]


def flat(trainee: Trainee) -> torch.Tensor:
    return torch.cat([tensor.full_tensor().flatten() for tensor in weights(trainee).values()])


def test_the_losses_are_those_of_the_launched_trainer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = declared(folder, tmp_path)
    with alone(config) as process:
        _, first = train_alone(config, make_plan(config), process)
        _, second = train_alone(config, make_plan(config), process)
    assert first.tolist() == second.tolist()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for key, value in {
        "RANK": 0,
        "LOCAL_RANK": 0,
        "WORLD_SIZE": 1,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }.items():
        monkeypatch.setenv(key, str(value))
    before, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(config, StopRequest())
    finally:
        signal.signal(signal.SIGTERM, before)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [pytest.approx(loss, rel=1e-6) for loss in first]


def test_the_last_points_are_averaged(folder: Path, here: Process) -> None:
    # At a constant rate a shorter run is the beginning of a longer one.
    ends = [flat(trained(declared(folder, steps=steps), here)).double() for steps in (2, 4, 6)]
    mean = flat(trained(declared(folder), here, average=3, every=2))
    torch.testing.assert_close(mean.double(), torch.stack(ends).mean(0), rtol=1e-6, atol=1e-7)
    assert not torch.equal(ends[2], mean.double())
    with pytest.raises(TrainError, match="4 points 2 steps apart are averaged, but the run has 6 steps"):
        trained(declared(folder), here, average=4, every=2)


def test_a_run_that_diverges_says_so(folder: Path, here: Process) -> None:
    with pytest.raises(TrainError, match="training diverged"):
        trained(declared(folder, lr={"shape": "constant", "peak": 1e30, "warmup": 0}), here)


def test_windows_count_each_label_once_with_what_came_before() -> None:
    for context, overlap in ((8, 3), (8, 0), (2, 1), (5, 4)):
        for tokens in range(40):
            counted: list[int] = []
            for window in windows(0, tokens, context, overlap):
                end = window.start + window.length
                fresh = range(end - window.fresh, end)
                assert 1 <= window.length <= context
                # label i is predicted at input i; before it lie i - start inputs of this window
                assert all(label - window.start >= min(label, overlap) for label in fresh)
                counted += fresh
            assert counted == list(range(tokens))


def test_bits_are_those_of_a_loop_over_tokens(folder: Path, here: Process) -> None:
    trainee = trained(declared(folder, lr={"shape": "constant", "peak": 0.03, "warmup": 0}), here)
    random = np.random.default_rng(3)
    documents = [random.integers(1, VOCABULARY, size).astype(np.uint32) for size in (0, 1, 5, 31, 32, 33, 47, 100, 6)]
    context, overlap = 32, 8
    expected = []
    for ids in documents:
        inputs = np.concatenate(([0], ids)).astype(np.int64)
        total, scored = 0.0, 0
        while scored < len(ids):  # window by window, token by token, one document, nothing filled up
            end = min(len(ids), context if scored == 0 else scored + context - overlap)
            for label in range(scored, end):
                seen = torch.from_numpy(inputs[max(0, end - context) : label + 1])[None]
                with torch.no_grad():
                    logits = trainee(seen, None, torch.arange(seen.shape[1])[None])[0, -1]
                total -= torch.log_softmax(logits.double(), 0)[int(ids[label])].item() / log(2)
            scored = end
        expected.append(total)
    for batch_tokens in (32, 100, 10_000):
        bits = document_bits(trainee, documents, 0, context, overlap, batch_tokens, here.device)
        np.testing.assert_allclose(bits, expected, rtol=1e-5)
    assert bits[0] == 0.0 and trainee.training
    alone_ = [document_bits(trainee, [ids], 0, context, overlap, 100, here.device)[0] for ids in documents]
    np.testing.assert_allclose(bits, alone_, rtol=1e-5)
    with pytest.raises(ValueError, match="windows of 8 tokens overlap by 8"):
        document_bits(trainee, documents, 0, 8, 8, 100, here.device)
