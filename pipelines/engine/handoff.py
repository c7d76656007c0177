"""The manifest of a run's shards, on any filesystem."""

from __future__ import annotations

from winnow.pipelines.engine.store import Store
from winnow.tokenize.shard import MANIFEST, Manifest, ShardError
from winnow.tokenize.verify import parse_manifest


def manifest_name(folder: str) -> str:
    """Name of the manifest of a folder of shards."""
    return f"{folder}/{MANIFEST}"


def read_manifest(store: Store, folder: str) -> Manifest | None:
    """The manifest of a folder of shards, None where there is none. Raises StoreError where it is not what was written."""
    name = manifest_name(folder)
    try:
        content = store.fs.cat_file(store.path(name))
    except FileNotFoundError:
        return None
    try:
        return parse_manifest(content, name)
    except ShardError as error:
        what = str(error).removeprefix(f"{name}: ").partition(";")[0]
        raise store.damaged(name, what) from error
