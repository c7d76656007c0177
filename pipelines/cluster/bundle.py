"""What travels with a job: the resolved declaration, and small local files that its stages name.

Sources never travel, nor do duplicate indexes: what is read must be where every machine sees it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash
import yaml

from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError

DECLARATION = "declaration.yaml"
"""The resolved declaration in the folder that a job starts in."""

LARGEST = 64 * 2**20
"""Bytes of local files that travel with one job, in all."""

INDEX = ".known"
"""The setting that names duplicate indexes, by patterns too, which are as large as what they were made from."""

SENT = "files"
"""The folder below a job's own for files that come from elsewhere than the folder of the submitter."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """`declaration` is YAML with every path as the job sees it; `files` maps paths below the job's folder to files
    here."""

    declaration: str
    files: dict[str, Path] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Lay everything out in the folder that the job starts in."""
        (folder / DECLARATION).write_text(self.declaration, "utf-8")
        for name, file in self.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def bundle(pipeline: Pipeline, shared: bool, where: str) -> Bundle:
    """The bundle of a declaration. `shared`: the cluster sees the files of this machine, so that paths become absolute and
    nothing is sent. `where`: the cluster, for people. Raises RunError for what neither travels nor is seen there."""
    files: dict[str, Path] = {}

    def source(key: str, text: str) -> str:
        if shared:
            return absolute(text)
        raise RunError(
            f"{key}: '{text}' is on this machine, which {where} does not see; give a storage URL, or --shared where every "
            "machine has it under this path"
        )

    def stage(key: str, text: str) -> str:
        if shared or key.endswith(INDEX):
            return source(key, text)
        path = Path(absolute(text))
        inside = path.is_relative_to(Path.cwd()) and path != Path.cwd()
        name = (
            path.relative_to(Path.cwd()).as_posix()
            if inside
            else f"{SENT}/{xxhash.xxh64_hexdigest(str(path))}/{path.name}"
        )
        files.update({(Path(name).parent / file.relative_to(path.parent)).as_posix(): file for file in _together(path)})
        return name

    tree = dict(pipeline.tree)
    tree["sources"] = {
        name: _changed(settings, f"sources.{name}", _names_input, source) for name, settings in tree["sources"].items()
    }
    tree["stages"] = {
        name: _changed(settings, f"stages.{name}", _names_file, stage) for name, settings in tree["stages"].items()
    }
    size = sum(file.stat().st_size for file in files.values())
    if size > LARGEST:
        largest = max(files.values(), key=lambda file: file.stat().st_size)
        raise RunError(
            f"{largest}: the local files that the stages name have {size:,} bytes in all, and at most {LARGEST:,} travel with "
            "a job; put them where every machine has them, and give --shared"
        )
    return Bundle(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), files)


def local(folder: str) -> bool:
    """Whether a folder is a path, which only machines that share the disk can see."""
    return "://" not in folder or folder.startswith(("file://", "local://"))


def absolute(text: str) -> str:
    """A path or pattern of this machine from its root, with its links as they are written."""
    path = text.removeprefix("file://").removeprefix("local://")
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (resolving would follow links)


def _changed(value: Any, key: str, names: Callable[[str, str], bool], change: Callable[[str, str], str]) -> Any:
    """The same settings with every text that names a local file changed."""
    if isinstance(value, dict):
        return {k: _changed(v, f"{key}.{k}", names, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_changed(v, key, names, change) for v in value]
    return change(key, value) if isinstance(value, str) and names(key, value) else value


def _names_input(key: str, text: str) -> bool:
    """Whether a source's setting is something to read on a local disk: any of its `paths`, or what is there."""
    return local(text) and (key.endswith(".paths") or _names_file(key, text))


def _names_file(key: str, text: str) -> bool:
    """Whether a setting is the path of something that is there. A path has a slash or a suffix; a tokenizer's folder may
    be a bare name."""
    from winnow.tokenize.tokenizer import shipped

    if not local(text) or "\n" in text or len(text) > 1024:
        return False
    if key.endswith(INDEX):
        return True
    path = Path(absolute(text))
    bare = "/" not in text and not path.suffix
    folder = key.endswith(".tokenizer") and text not in shipped() and path.is_dir()
    return folder or (not bare and path.exists())


def _together(path: Path) -> Iterator[Path]:
    """A file and those beside it that belong to it (a model's sidecar and its SentencePiece model, a tokenizer's configuration);
    a folder's files."""
    from winnow.classifiers.kenlm_model import beside

    if path.is_dir():
        yield from sorted(p for p in path.rglob("*") if p.is_file())
        return
    for other in sorted(path.parent.iterdir()):
        own = other.stem in (path.stem, f"{path.stem}_config") or other in beside(path)
        if other.is_file() and own:
            yield other
