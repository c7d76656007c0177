"""A hub checkpoint's files without the hub: what the cache holds is used, what it does not hold is never taken as absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "models--someone--small"

ASK = """
import sys
from winnow.train_handoff.config import ModelConfig, TrainError
from winnow.train_handoff.pretrained import checkpoint_file, checkpoint_folder
model = ModelConfig(checkpoint="someone/small")
try:
    print(checkpoint_folder(model) if sys.argv[1] == "weights" else checkpoint_file(model, *sys.argv[1:2], sys.argv[2] == "required"))
except TrainError as error:
    print("refused:", error)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A hub cache that holds config.json of one commit, as hf_hub_download leaves it."""
    repository = tmp_path / "hub" / REPOSITORY
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return tmp_path / "hub"


def ask(cache: Path, what: str, need: str = "required") -> str:
    """What the rooms' functions answer in a process that may not reach the hub."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", ASK, what, need], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_offline_what_the_cache_holds_is_used(cache: Path) -> None:
    assert ask(cache, "config.json") == str(cache / REPOSITORY / "snapshots" / COMMIT / "config.json")


@pytest.mark.parametrize("need", ["required", "optional"])
def test_offline_a_file_not_in_the_cache_is_not_taken_as_absent(cache: Path, need: str) -> None:
    said = ask(cache, "tokenizer.json", need)
    assert said.startswith("refused: model.checkpoint someone/small: no such folder, and tokenizer.json cannot be had")
    assert "the hub has no" not in said and "\n" not in said


def test_offline_a_file_that_the_hub_once_denied_is_absent(cache: Path) -> None:
    denied = cache / REPOSITORY / ".no_exist" / COMMIT
    denied.mkdir(parents=True)
    (denied / "tokenizer.json").touch()
    assert ask(cache, "tokenizer.json", "optional") == "None"


def test_offline_weights_not_in_the_cache_are_refused(cache: Path) -> None:
    assert ask(cache, "weights").startswith("refused: model.checkpoint someone/small: holds no .safetensors file")
    assert "its weights cannot be had" in ask(cache / "empty", "weights")


def test_a_checkpoint_without_a_tokenizer_in_a_folder_is_one_without(tmp_path: Path) -> None:
    from winnow.train_handoff.config import ModelConfig, TrainError
    from winnow.train_handoff.pretrained import checkpoint_file

    model = ModelConfig(checkpoint=str(tmp_path))
    assert checkpoint_file(model, "tokenizer.json", required=False) is None
    with pytest.raises(TrainError, match=r"holds no config\.json"):
        checkpoint_file(model, "config.json")
