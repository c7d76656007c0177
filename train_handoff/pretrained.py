"""Where a Hugging Face checkpoint's files lie: a local folder, or the hub's cache. Torch-free."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from winnow.train_handoff.config import ModelConfig, TrainError

INDEX = "model.safetensors.index.json"
COMPANIONS = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.json",
    "chat_template.jinja",
)
"""What belongs to a model beside its weights and its config.json: an export keeps it."""


@overload
def checkpoint_file(model: ModelConfig, name: str, required: Literal[True] = True) -> Path: ...
@overload
def checkpoint_file(model: ModelConfig, name: str, required: Literal[False]) -> Path | None: ...
def checkpoint_file(model: ModelConfig, name: str, required: bool = True) -> Path | None:
    """The local path of one file of `model.checkpoint`. Raises TrainError where it is missing and `required`."""
    assert model.checkpoint is not None
    folder = Path(model.checkpoint)
    if folder.is_dir():
        path = folder / name
        if path.is_file():
            return path
        if required:
            raise TrainError(f"model.checkpoint {folder}: holds no {name}, expected a Hugging Face model folder")
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    _check_hub_id(model.checkpoint)
    try:
        return Path(hf_hub_download(model.checkpoint, name, revision=model.revision))
    except LocalEntryNotFoundError as error:
        # An EntryNotFoundError too, but it only says that the hub could not be asked and the cache holds no copy.
        if not required and _known_absent(model, name):
            return None
        raise _unreachable(model, error, name) from error
    except EntryNotFoundError as error:
        if required:
            raise TrainError(f"model.checkpoint {model.checkpoint}: the hub has no {name} in it") from error
        return None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _unreachable(model, error, name) from error


def checkpoint_folder(model: ModelConfig) -> Path:
    """A local folder with `model.checkpoint`'s config and safetensors, downloaded where needed. Raises TrainError."""
    assert model.checkpoint is not None
    folder = Path(model.checkpoint)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        _check_hub_id(model.checkpoint)
        try:
            folder = Path(
                snapshot_download(
                    model.checkpoint,
                    revision=model.revision,
                    allow_patterns=["*.safetensors", "*.json", *COMPANIONS],
                )
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
            raise _unreachable(model, error, "its weights") from error
    if not any(folder.glob("*.safetensors")):
        raise TrainError(
            f"model.checkpoint {model.checkpoint}: holds no .safetensors file; save the model with safetensors"
        )
    return folder


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as the header of its safetensors file describes it. `dtype` in safetensors' words, such as BF16."""

    file: str
    shape: tuple[int, ...]
    dtype: str


def stored_weights(model: ModelConfig) -> tuple[Path, dict[str, Stored]]:
    """As `checkpoint_folder`, with the tensors that lie there by name, of which only the headers are read. Raises
    TrainError where a file is missing or cut off, and where two hold one tensor: which of them is loaded is chance."""
    from safetensors import SafetensorError, safe_open

    folder = checkpoint_folder(model)
    where = f"model.checkpoint {model.checkpoint}"
    index = folder / INDEX
    listed = read_json(index).get("weight_map", {}) if index.is_file() else {}
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise TrainError(f"{index}: its weight_map is not a mapping of tensors to files; fetch it again")
    for name in sorted(set(listed.values())):
        if not (folder / name).is_file():
            raise TrainError(f"{where}: holds no {name}, which its {INDEX} names")
    stored: dict[str, Stored] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as opened:
                for name in opened.keys():  # noqa: SIM118 - no mapping
                    if name in stored:
                        raise TrainError(
                            f"{where}: {name} lies both in {stored[name].file} and in {path.name}; leave one"
                        )
                    header = opened.get_slice(name)
                    stored[name] = Stored(path.name, tuple(header.get_shape()), header.get_dtype())
        except (SafetensorError, OSError) as error:
            raise TrainError(f"{path}: not a whole safetensors file ({error}); fetch it again") from error
    return folder, stored


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises TrainError where it is anything else."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise TrainError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise TrainError(f"{path}: expected a JSON object")
    return value


def _check_hub_id(name: str) -> None:
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise TrainError(f"model.checkpoint {name}: no such folder, and not a hub id such as Qwen/Qwen3-0.6B")


def _known_absent(model: ModelConfig, name: str) -> bool:
    """Whether the hub's cache remembers that the checkpoint has no such file."""
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

    assert model.checkpoint is not None
    return try_to_load_from_cache(model.checkpoint, name, revision=model.revision) is _CACHED_NO_EXIST


def _unreachable(model: ModelConfig, error: Exception, wanted: str) -> TrainError:
    cause = " ".join(str(error).split())[:300] or type(error).__name__
    return TrainError(
        f"model.checkpoint {model.checkpoint}: no such folder, and {wanted} cannot be had from the Hugging Face hub "
        f"or its cache: {cause}"
    )
