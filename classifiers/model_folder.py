"""Models of the transformers library as they lie on disk: a local folder, or a revision on the hub. Torch-free, so that a run
is planned, and its models are identified by content, before torch is loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from winnow.classifiers.artifacts import ModelError, digest

KEPT = ("*.json", "*.safetensors", "*.txt", "*.model")
"""Files that a model's results depend on: configuration, weights, tokenizer."""

AFTER_PADDING = frozenset(
    "camembert data2vec-text ibert longformer luke mpnet roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod".split()
)
"""Model types that number their positions from behind the padding token's id."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """`config` is its config.json. `digest` is a sha256 (hex) over the names and contents of `KEPT`."""

    name: str
    path: Path
    digest: str
    config: dict[str, Any]

    @property
    def architecture(self) -> str:
        """The class that its weights are of."""
        return str((self.config.get("architectures") or ["model without an architecture"])[0])

    @property
    def labels(self) -> tuple[str, ...]:
        """Of a classifier, in the order of its outputs."""
        named = self.config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        return tuple(str(named[key]) for key in sorted(named, key=int))

    @property
    def positions(self) -> int | None:
        """Most tokens that it takes, special ones counted; None where it says nothing."""
        found = self.config.get("max_position_embeddings") or self.config.get("n_positions")
        behind = 1 + int(self.config.get("pad_token_id") or 0) if self.config.get("model_type") in AFTER_PADDING else 0
        return int(found) - behind if found else None

    def window(self, asked: int | None, longest: int, special: int = 2) -> int:
        """Tokens of a window: as asked, else as many as the model takes, `longest` at most. Raises ModelError."""
        most = self.positions
        if most is not None and asked is not None and asked > most:
            raise ModelError(f"model '{self.name}' takes {most} tokens: expected max_tokens up to that, got {asked}")
        chosen = asked or min(most or longest, longest)
        if chosen <= special:
            raise ModelError(
                f"model '{self.name}' takes {chosen} tokens, too few for a text: expected more than {special}"
            )
        return chosen


def model_folder(name: str) -> ModelFolder:
    """A model by the path of its folder or as `hub:owner/repo@revision`, fetched where needed; looked at, not loaded.
    Raises ModelError, also where torch or transformers is missing."""
    missing = [package for package in ("torch", "transformers", "safetensors") if find_spec(package) is None]
    if missing:
        raise ModelError(f"model '{name}' needs {' and '.join(missing)}: pip install 'winnow[train]'")
    path = _fetched(name) if name.startswith("hub:") else Path(name).expanduser()
    if not path.is_dir():
        raise ModelError(f"model '{name}': no such folder: expected one of transformers, or hub:owner/repo@revision")
    for wanted in ("config.json", "tokenizer.json"):
        if not (path / wanted).is_file():
            what = "tokenizer" if wanted.startswith("t") else "model folder"
            raise ModelError(f"model '{name}': holds no {wanted}: expected a {what} as transformers saves it")
    config = _json(path / "config.json")
    if "auto_map" in config:
        raise ModelError(f"model '{name}' brings code of its own: expected an architecture of transformers")
    _check_weights(name, path)
    files = sorted({file for pattern in KEPT for file in path.glob(pattern)})
    said = "".join(f"{file.name} {digest(file.resolve())}\n" for file in files)
    return ModelFolder(name, path, hashlib.sha256(said.encode()).hexdigest(), config)


@cache
def _fetched(name: str) -> Path:
    reference, _, revision = name.removeprefix("hub:").partition("@")
    if reference.count("/") != 1 or not revision:
        raise ModelError(
            f"model '{name}': expected hub:owner/repo@revision, with a commit, so that it stays what it is"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(reference, revision=revision, allow_patterns=list(KEPT)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        cause = " ".join(str(error).split())[:300]
        raise ModelError(f"model '{name}' cannot be fetched from the Hugging Face hub: {cause}") from error


def _check_weights(name: str, path: Path) -> None:
    """All weights are there, and none is cut off."""
    from safetensors import SafetensorError, safe_open

    index = path / "model.safetensors.index.json"
    listed = set((_json(index).get("weight_map") or {}).values()) if index.is_file() else set()
    for wanted in sorted(listed):
        if not (path / str(wanted)).is_file():
            raise ModelError(f"model '{name}': holds no {wanted}, which its {index.name} names")
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelError(f"model '{name}': holds no .safetensors file: save the model with safetensors")
    for file in files:
        try:
            with safe_open(file, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file}: not a whole safetensors file ({error})") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected an object, got {type(value).__name__}")
    return value
