"""Whether a folder of shards is what its manifest says, byte for byte.

    verify("runs/ko/shards/0123456789abcdef")     # hashes what changed since it was last hashed

A file's hash is remembered beside it, with the size, times and inode that the file had: what is written to, replaced or
copied is hashed again. What a disk changes by itself changes none of these: `again` hashes everything.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from winnow.tokenize.shard import MANIFEST, Manifest, ShardError, manifest_of

MEMORY = ".verified.json"
REMEDY = "put an intact copy of it back, or delete it and let `winnow run` write it again"

_SETTLED_SECONDS = 2.0
"""Two writes within one tick of a filesystem's clock (2 s on FAT) leave the same times: younger files are not remembered."""


def verify(folder: str | Path, again: bool = False) -> Manifest:
    """Checks every file that the manifest of a local folder names against its sha256, and returns the manifest.

    Raises ShardError with the file, what is wrong with it and what to do.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    memory = {} if again else _remembered(path)
    named = f"the tokenizer of the manifest, {manifest.tokenizer.name}"
    wanted: list[tuple[str, str, int | None, str]] = [
        (manifest.tokenizer.file, manifest.tokenizer.sha256, None, f"is not {named}"),
        *((shard.file, shard.digest, shard.bytes, "was damaged or replaced") for shard in manifest.shards),
    ]
    known: dict[str, Any] = {}
    try:
        for name, digest, size, wrong in wanted:
            facts = _checked(path / name, digest, size, wrong, memory.get(name))
            if facts is not None:
                known[name] = facts
    finally:  # what was hashed before a damaged file need not be hashed again
        if known != memory:
            _remember(path, known)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The checked manifest of a local dataset folder. Raises ShardError."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ShardError(f"{folder}: no such folder, expected one with {MANIFEST} and its shards")
    if not path.is_file():
        raise ShardError(f"{path}: missing, so the dataset is unfinished or this is another folder")
    return parse_manifest(path.read_bytes(), str(path))


def parse_manifest(content: bytes, where: str) -> Manifest:
    """The checked manifest that a file holds; `where` it lies is for the message. Raises ShardError."""
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ShardError(
            f"{where}: {at}: {first['msg']}, expected a winnow-shards manifest of version 1; {REMEDY}"
        ) from None
    for name, value in manifest_of(manifest.tokenizer, manifest.shards):
        if getattr(manifest, name) != value and not (name == "checksum" and manifest.checksum == ""):
            raise ShardError(f"{where}: {name} is not that of its shard entries: it was edited or damaged; {REMEDY}")
    return manifest


def check_size(path: Path, size: int | None, what: str) -> os.stat_result:
    """The state of a file that must be there, with `size` bytes if that is known. Raises ShardError."""
    if not path.is_file():
        raise ShardError(f"{path}: missing, expected {what}; {REMEDY}")
    state = path.stat()
    if size is not None and state.st_size != size:
        raise ShardError(f"{path}: has {state.st_size} bytes, expected {size}: it was cut or replaced; {REMEDY}")
    return state


def _checked(path: Path, digest: str, size: int | None, wrong: str, remembered: Any) -> list[Any] | None:
    """What to remember of a file whose hash is `digest`, None where it is too young for that."""
    what = f"a shard of {size} bytes" if size is not None else "the tokenizer.json that its ids come from"
    facts = _facts(check_size(path, size, what), digest)
    if facts == remembered:
        return facts
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
    if found != digest:
        raise ShardError(f"{path}: {wrong}: its bytes do not hash to {digest[:12]} but to {found[:12]}; {REMEDY}")
    settled = time.time() - max(after.st_mtime, after.st_ctime) > _SETTLED_SECONDS
    return facts if settled and facts == _facts(after, digest) else None


def _facts(state: os.stat_result, digest: str) -> list[Any]:
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, digest]


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MEMORY).read_bytes())
    except (OSError, ValueError):  # none yet, or cut off: everything is hashed
        return {}
    return found if isinstance(found, dict) else {}


def _remember(folder: Path, known: dict[str, Any]) -> None:
    temporary = folder / f"{MEMORY}.tmp-{os.getpid()}"
    with suppress(OSError):  # a read-only folder is hashed every time
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(folder / MEMORY)
