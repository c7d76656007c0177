"""`winnow train` as a user types it, on the shards of a run: from checkpoints, from a selection, and what it refuses.

One run is shared; what is refused is refused in this process, before anything is launched.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PretrainedConfig, Qwen3Config

from winnow.pipelines.cli import main
from winnow.tokenize.reader import ShardSet
from winnow.train_handoff.config import ModelConfig, parse_config
from winnow.train_handoff.data import IGNORED, sample
from winnow.train_handoff.misfit import misfit
from winnow.train_handoff.plan import make_plan
from winnow.train_handoff.preflight import FAMILIES
from winnow.train_handoff.pretrained import stored_weights
from winnow.train_handoff.stopping import lock

from .conftest import documents

DECLARATION = """name: small
language: ko
sources:
  docs: {{use: jsonl, paths: ["{folder}/docs.jsonl"]}}
stages:
  language: {{use: langid, keep: "score >= 0"}}
  shards: {{use: tokenize, tokenizer: "{folder}/tokenizer"}}
train:
  sequence_length: 64
  batch: {{sequences: 4}}
  steps: 2
  device: cpu
  threads: 1
"""
BYTE_SYMBOLS = {c for c in ByteLevel.alphabet() if c > "~"}
"""How a byte-level vocabulary writes a space, and the bytes of everything that is not ASCII."""

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
SHAPE = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 128,
}

Said = tuple[int, str]
Command = Callable[..., Said]


def command(*arguments: object, cwd: Path | None = None) -> int:
    """The command in this process: its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["winnow", *map(str, arguments)])
        if cwd is not None:
            patch.chdir(cwd)
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


@pytest.fixture
def winnow(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: its exit code, and what it said."""

    def run(*arguments: object) -> Said:
        capsys.readouterr()  # of what made its input
        code = command(*arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/small, its selection `longer`, its declaration and two models to go on from."""
    folder = tmp_path_factory.mktemp("command")
    texts = [json.dumps({"text": text}, ensure_ascii=False) for text in documents(150, seed=4)]
    (folder / "docs.jsonl").write_text("\n".join(texts) + "\n", "utf-8")
    (folder / "tokenizer").mkdir()
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    (folder / "small.yaml").write_text(DECLARATION.format(folder=folder), "utf-8")
    surer = ["--set", "stages.language.keep=score >= quantile(0.3)", "--name", "surer"]
    assert command("run", "small.yaml", "--local", cwd=folder) == 0
    assert command("select", "runs/small", *surer, cwd=folder) == 0
    assert command("run", "runs/small", "--selection", "surer", "--local", cwd=folder) == 0
    model(folder / "llama", tokenizer, LlamaConfig(**SHAPE, tie_word_embeddings=True, eos_token_id=0))
    rich = model(folder / "qwen3", tokenizer, Qwen3Config(**SHAPE, tie_word_embeddings=False), torch.bfloat16)
    (rich / "chat_template.jinja").write_text(TEMPLATE)
    (rich / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<eos>", "pad_token": "<eos>"}))
    (rich / "generation_config.json").write_text(
        json.dumps({"temperature": 0.6, "do_sample": True, "eos_token_id": [0]})
    )
    return folder


def model(folder: Path, tokenizer: Tokenizer, config: PretrainedConfig, dtype: torch.dtype = torch.float32) -> Path:
    """A little model with random weights, as transformers saves one, and its tokenizer."""
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def launched(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """`winnow train` in processes of its own: the steps that it logged."""
    command = [sys.executable, "-m", "winnow.pipelines.cli", "train", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    out = next(part.removeprefix("train.out=") for part in command if part.startswith("train.out="))
    return [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]


def loss(trained: Path, checkpoint: Path) -> float:
    """What plain transformers has for the first step of a training folder: a mean over its labels."""
    plan = make_plan(parse_config(json.loads((trained / "train.json").read_text())))
    causal = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    total, count = 0.0, 0
    for block in plan.blocks(0, 0, 1):
        inputs, labels, positions = map(torch.from_numpy, sample(plan.shards[0], block, plan.length, True))
        with torch.no_grad():
            logits = causal(input_ids=inputs[None], position_ids=positions[None], use_cache=False).logits[0]
        total += torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum").item()
        count += int((labels != IGNORED).sum())
    return total / count


def test_a_llama_goes_on_from_its_checkpoint(folder: Path, tmp_path: Path) -> None:
    rows = launched(folder, "small.yaml", "--set", "train.model.checkpoint=llama", "--set", f"train.out={tmp_path}")
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[0]["loss"] == pytest.approx(loss(tmp_path, folder / "llama"), rel=1e-4)
    exported = AutoConfig.from_pretrained(tmp_path / "model")
    assert exported.tie_word_embeddings and exported.eos_token_id == 0 and exported.dtype == torch.float32


def test_a_selection_trains_a_qwen3_on_two_processes_with_settings_of_its_own(folder: Path, tmp_path: Path) -> None:
    settings = ["train.model.checkpoint=qwen3", f"train.out={tmp_path}", "train.steps=1"]
    rows = launched(
        folder, "runs/small", "--selection", "surer", "--processes", 2, *(x for s in settings for x in ("--set", s))
    )
    assert [row["step"] for row in rows] == [1]
    assert rows[0]["loss"] == pytest.approx(loss(tmp_path, folder / "qwen3"), rel=1e-3)
    used = json.loads((tmp_path / "train.json").read_text())
    assert used["model"] == {"checkpoint": str(folder / "qwen3")}
    assert ShardSet.open(used["shards"]).manifest.documents < 150
    exported = tmp_path / "model"
    assert AutoConfig.from_pretrained(exported).dtype == torch.bfloat16
    for name in ("generation_config.json", "chat_template.jinja", "tokenizer_config.json", "tokenizer.json"):
        assert (exported / name).read_bytes() == (folder / "qwen3" / name).read_bytes()
    again = AutoTokenizer.from_pretrained(exported)
    assert again.pad_token == "<eos>" and again.chat_template == TEMPLATE


@pytest.mark.parametrize("background", ["false", "true"])
def test_a_disk_that_is_full_at_a_checkpoint_is_one_sentence(folder: Path, tmp_path: Path, background: str) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))

    words = [sys.executable, "-m", "winnow.pipelines.cli", "train", "small.yaml", "--set", f"train.out={tmp_path}"]
    words += ["--set", f"train.async_checkpoint={background}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=900, preexec_fn=limited)
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr and said.startswith(f"error: {tmp_path}/checkpoints: the checkpoint of step")
    assert "file too large" in said or "could not be saved" in said
    assert not list((tmp_path / "checkpoints").glob("step-*"))


def test_a_training_section_that_cannot_be_is_refused_by_plan_and_run_with_its_line(
    folder: Path, tmp_path: Path, winnow: Command
) -> None:
    for line, sentence in {
        "  lr: {warmup: 1.0}": "train.lr.warmup: a fraction is a share of the curve",
        "  lr: {warmup: 3}": "phase 'train': lr.warmup 3 is longer than its 2 steps",
        "  lr: {shape: wsd, warmup: 1, decay: 2}": "lr.warmup 1 and lr.decay 2 is longer than its 2 steps",
        "  lr: {final: 1.0}": "final 1 is above peak 0.0003",
        "  optimiser: {clip: 2.0}": "train.optimiser: unknown key; did you mean 'optimizer'?",
    }.items():
        declaration = tmp_path / "wrong.yaml"
        declaration.write_text(DECLARATION.format(folder=folder) + line + "\n")
        for command in ("plan", "run"):
            code, said = winnow(command, declaration, "--folder", tmp_path / "run")
            assert code == 1 and sentence in said and said.startswith(f"error: {declaration}"), said
    code, said = winnow("plan", folder / "small.yaml", "--set", "train.steps=null", "--set", "train.tokens=255")
    assert code == 1 and "phase 'train': 255 tokens are fewer than one step's 256" in said
    assert not (tmp_path / "run").exists()


def refused(winnow: Command, folder: Path, out: Path, *settings: str) -> str:
    """The one sentence with which `winnow train` refuses; nothing is written."""
    assignments = [word for setting in settings for word in ("--set", f"train.{setting}")]
    code, said = winnow("train", folder / "runs" / "small", "--set", f"train.out={out}", *assignments)
    assert code != 0 and said.startswith("error: ") and said.count("\n") == 1, said
    assert not out.exists()
    return said


def test_damaged_shards_are_refused_by_name(folder: Path, tmp_path: Path, winnow: Command) -> None:
    shards = tmp_path / "shards"
    shutil.copytree(next((folder / "runs" / "small" / "shards").iterdir()), shards)
    shard, tokenizer = shards / "shard-00000.arrow", shards / "tokenizer.json"
    content, own = shard.read_bytes(), tokenizer.read_bytes()
    ids = content.index(ShardSet.open(shards).tokens(0, 40).tobytes())
    damages: list[tuple[Path, bytes | None]] = [
        (shard, content[: ids + 40] + bytes([content[ids + 40] ^ 1]) + content[ids + 41 :]),
        (shard, content[: ids + 43] + b"\x80" + content[ids + 44 :]),
        (shard, None),
        (tokenizer, own.replace(b"<eos>", b"<end>")),
        (tokenizer, None),
    ]
    for path, damaged in damages:
        whole = path.read_bytes()
        path.unlink() if damaged is None else path.write_bytes(damaged)
        said = refused(winnow, folder, tmp_path / "out", f"shards={shards}")
        assert f"{path}: " in said and "put an intact copy of it back" in said
        path.write_bytes(whole)


def test_what_a_checkpoint_lacks_is_refused_before_the_launch(folder: Path, tmp_path: Path, winnow: Command) -> None:
    def case(name: str, change: Callable[[Path], object], *settings: str) -> str:
        checkpoint = shutil.copytree(folder / "llama", tmp_path / name)
        change(checkpoint)
        said = refused(winnow, folder, tmp_path / "out", f"model.checkpoint={checkpoint}", *settings)
        assert str(checkpoint) in said
        return said

    def edited(file: str, **changes: Any) -> Callable[[Path], object]:
        def edit(checkpoint: Path) -> None:
            path = checkpoint / file
            values = json.loads(path.read_text()) if path.is_file() else {}
            path.write_text(json.dumps(values | changes))

        return edit

    weights = "model.safetensors"
    index = "model.safetensors.index.json"
    assert "is of type 'gpt2'; the trainer knows llama," in case("gpt2", edited("config.json", model_type="gpt2"))
    assert "is quantized" in case("quantized", edited("config.json", quantization_config={"bits": 4}))
    assert "holds no .safetensors file" in case("no-weights", lambda c: (c / weights).rename(c / "pytorch_model.bin"))
    assert "not a whole safetensors file" in case("cut", lambda c: os.truncate(c / weights, 20_000))
    assert "holds no part-2.safetensors" in case("part", edited(index, weight_map={"a": "part-2.safetensors"}))
    saved = load_file(folder / "llama" / weights)
    head = {"lm_head.weight": saved["model.embed_tokens.weight"].clone()}
    assert "lm_head.weight is missing, expected [320, 32], with tie_word_embeddings false; true if" in case(
        "untied", edited("config.json", tie_word_embeddings=False)
    )
    assert "lm_head.weight in model.safetensors is [319, 32], expected [320, 32]" in case(
        "head", lambda c: save_file(saved | {"lm_head.weight": head["lm_head.weight"][:319].clone()}, c / weights)
    )
    assert "lies both in head.safetensors and in model.safetensors" in case(
        "twice", lambda c: (save_file(head, c / "head.safetensors"), save_file(saved | head, c / weights))
    )
    assert "config.json describes no model (" in case("heads", edited("config.json", num_attention_heads=0))
    assert "config.json describes no model (" in case("words", edited("config.json", hidden_size="wide"))
    assert "config.json: not JSON" in case("broken", lambda c: (c / "config.json").write_text("{"))
    assert "longer than the 128 positions" in case("long", lambda c: None, "sequence_length=129")
    assert "holds no tokenizer.json" in case("bare", lambda c: (c / "tokenizer.json").unlink())
    tokenizer = json.loads((folder / "llama" / "tokenizer.json").read_text())
    merges = tokenizer["model"] | {"merges": tokenizer["model"]["merges"][::-1]}
    lower, spaces = {"type": "Lowercase"}, {"type": "WhitespaceSplit"}
    ends = [*tokenizer["added_tokens"], tokenizer["added_tokens"][0] | {"id": 320, "content": "</s>"}]
    for name, changes in {
        "merges": {"model": merges},
        "normalizer": {"normalizer": lower},
        "splits": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [spaces, tokenizer["pre_tokenizer"]]}},
    }.items():
        said = case(name, edited("tokenizer.json", **changes))
        assert "of the shards: it cuts '" in said and not BYTE_SYMBOLS & set(said), said
    vocabulary = dict(tokenizer["model"]["vocab"])
    first, second = sorted(token for token in vocabulary if re.fullmatch("Ġ[a-z]+", token))[:2]
    vocabulary |= {first: vocabulary[second], second: vocabulary[first]}
    said = case("numbers", edited("tokenizer.json", model=tokenizer["model"] | {"vocab": vocabulary}))
    assert re.search(r"it gives ' [a-z]+' the id \d+, and not \d+; tokenize the corpus", said), said
    for name, end in {
        "named": edited("tokenizer_config.json", eos_token="</s>"),
        "given": edited("config.json", eos_token_id=320, vocab_size=384),
    }.items():

        def both(checkpoint: Path, end: Callable[[Path], object] = end) -> None:
            edited("tokenizer.json", added_tokens=ends)(checkpoint)
            end(checkpoint)

        assert "its EOS is '</s>', and documents have '<eos>' (id 0)" in case(name, both)


def saved_again(checkpoint: Path, change: Callable[[dict[str, torch.Tensor]], object], parts: int = 1) -> None:
    """Changes the tensors of a model and saves them, in several files with an index where `parts` is more than one."""
    tensors = load_file(checkpoint / "model.safetensors")
    change(tensors)
    (checkpoint / "model.safetensors").unlink()
    size = max(sum(t.nbytes for t in tensors.values()) // parts, *(t.nbytes for t in tensors.values()))
    save_torch_state_dict(tensors, checkpoint, max_shard_size=size if parts > 1 else "1GB")


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_do_not_fit_their_configuration_are_refused_before_the_launch(
    family: str, folder: Path, tokenizer: Tokenizer, tmp_path: Path, winnow: Command
) -> None:
    shape = SHAPE | {"tie_word_embeddings": family in ("llama", "qwen2"), "eos_token_id": 0}
    whole = model(tmp_path / "whole", tokenizer, AutoConfig.for_model(family, **shape))
    parts = shutil.copytree(whole, tmp_path / "parts")
    saved_again(parts, lambda tensors: None, parts=3)
    assert len(list(parts.glob("*.safetensors"))) > 1
    for intact in (whole, parts):
        assert misfit(*stored_weights(ModelConfig(checkpoint=str(intact)))) is None

    up, down = "model.layers.1.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"
    changes: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
        "shape": (lambda t: t.update({up: t[up][:48].clone()}), f"{up} in FILE is [48, 32], expected [64, 32]"),
        "missing": (lambda t: t.pop(down), f"{down} is missing, expected [32, 64]"),
        "named": (lambda t: t.update({down[6:]: t.pop(down)}), f"expected [32, 64]; nearest: {down[6:]} (and 1 more"),
        "more": (lambda t: t.update({up.replace("1", "7"): t[up].clone()}), "is [64, 32], expected no such tensor"),
        "kind": (lambda t: t.update({up: t[up].to(torch.int8)}), f"{up} in FILE is of dtype I8, expected one of F32"),
        "old": (lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}), ""),
        "half": (lambda t: t.update({up: t[up].bfloat16()}), ""),
    }
    for name, (change, sentence) in changes.items():
        for count in (1, 3) if name == "shape" else (1,):
            checkpoint = shutil.copytree(whole, tmp_path / f"{name}-{count}")
            saved_again(checkpoint, change, count)
            if not sentence:
                assert misfit(*stored_weights(ModelConfig(checkpoint=str(checkpoint)))) is None
                continue
            said = refused(winnow, folder, tmp_path / "out", f"model.checkpoint={checkpoint}")
            assert f"{checkpoint}: its weights do not fit its config.json: " in said
            assert sentence in re.sub(r"model[\w-]*\.safetensors", "FILE", said), said


def test_whoever_trains_there_is_not_disturbed(
    folder: Path, tmp_path: Path, winnow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.train_handoff.launch.lock", partial(lock, patience=0.0))
    with lock(tmp_path):
        (tmp_path / "train.json").write_text("theirs")
        code, said = winnow(
            "train", folder / "small.yaml", "--folder", folder / "runs/small", "--set", f"train.out={tmp_path}"
        )
        assert code == 1 and "another training run (process" in said
        assert (tmp_path / "train.json").read_text() == "theirs"


def test_a_plain_torchrun_makes_its_folder(folder: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "made" / "out", tmp_path / "config.json"
    shards = next((folder / "runs" / "small" / "shards").iterdir())
    values = {"shards": str(shards), "out": str(out), "sequence_length": 64, "steps": 1, "device": "cpu", "threads": 1}
    settings.write_text(json.dumps(values | {"model": {"layers": 1, "hidden": 32, "heads": 2}}))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    module = ["-m", "winnow.train_handoff.train", str(settings)]
    done = subprocess.run([*torchrun, *module], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and (out / "model" / "config.json").is_file(), done.stderr


def test_a_plain_torchrun_refuses_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from winnow.train_handoff.train import main as process

    settings = tmp_path / "config.json"
    assert process([str(settings)]) == 2 and "expected torchrun" in capsys.readouterr().err
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    assert process([str(settings)]) == 2 and "cannot be read (No such file" in capsys.readouterr().err
    for content, sentence in {
        "{": "not JSON",
        "[]": "expected a JSON object",
        '{"shards": "s", "out": "o", "lr": {"warmup": 1.0}}': "train.lr.warmup: a fraction is a share",
    }.items():
        settings.write_text(content)
        assert process([str(settings)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {settings}: {sentence}") and said.count("\n") == 1
