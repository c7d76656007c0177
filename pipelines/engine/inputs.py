"""What a run reads: the files that a declaration names, or what a source finds itself, packed into partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import xxhash

from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.store import Store, fingerprint
from winnow.stages.base import StageError
from winnow.stages.reading.files import ACCOUNT
from winnow.stages.reading.paths import input_files
from winnow.stages.source import InputFile, Segment, Source

SMALL_FILE = 2**20
PACK_BYTES = 8 * 2**20
PACK_FILES = 64
"""Files under SMALL_FILE bytes share a partition, up to PACK_BYTES or PACK_FILES of them, so that none costs a task."""

SAID = 20
"""Files that cannot be read of which each has its sentence."""

THREADS = 8
"""Tables that a source makes at a time while it looks for its inputs."""


INPUTS = "inputs.json"
"""What a run's folder keeps of the files that its run last planned to read."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A unit of work: pieces of input that one task reads. `key` identifies content and source; parts are named by it."""

    index: int
    key: str
    source: str
    segments: tuple[Segment, ...]
    group: str = ""  # of its inputs, such as a snapshot


@dataclass(frozen=True, slots=True)
class KeptInStore:
    """`stages.source.Kept` in a run's folder, below `inputs/`. Threads, since what it waits for is mostly a network."""

    store: Store
    threads: int = THREADS

    def make(self, wanted: Mapping[str, Callable[[], pa.Table]]) -> None:
        """Makes what is missing, in order, several at a time; after an error nothing new is begun."""

        def one(name: str) -> None:
            self.store.write(_part(name), wanted[name]())

        missing = [name for name in wanted if not self.has(name)]
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(one, name) for name in missing]
            try:
                for future in futures:
                    future.result()
            finally:
                for future in futures:
                    future.cancel()

    def has(self, name: str) -> bool:
        return self.store.record(_part(name)) is not None

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        return self.store.read(_part(name), columns)

    def url(self, name: str) -> str:
        return self.store.url(f"{_part(name)}.arrow")


def _part(name: str) -> str:
    return f"inputs/{name}"


def partitions(pipeline: Pipeline, store: Store, say: Callable[[str], None] = lambda _: None) -> Iterator[Partition]:
    """Every partition, in order. `say` is told what a folder holds that is not read. Raises NoInput for paths that
    match nothing, StageError where a source finds no inputs."""
    index = 0
    hashed = kept_inputs(store)["files"] if pipeline.by_content else {}
    for source in pipeline.sources.values():
        identity = [source.name, source.identity()]
        found = source.inputs(KeptInStore(store))
        if found is None:
            found = input_files(source, hashed if source.name in pipeline.by_content else None, say)
        for pack in _packed(source, found):
            yield Partition(
                index, fingerprint(identity, [_piece(s) for s in pack]), source.name, tuple(pack), pack[0].file.group
            )
            index += 1


def _packed(source: Source, files: Sequence[InputFile]) -> list[list[Segment]]:
    """The pieces of all files, by partition. Raises StageError with a sentence for each file that cannot be read."""
    packs: list[list[Segment]] = []
    open_pack: list[Segment] = []
    unreadable: list[str] = []
    for file in files:
        try:
            segments = source.segments(file)
        except StageError as error:
            unreadable.append(str(error))
            continue
        if file.size >= SMALL_FILE or file.alone:
            packs.extend([segment] for segment in segments)
            continue
        full = sum(s.file.size for s in open_pack) + file.size > PACK_BYTES or len(open_pack) >= PACK_FILES
        starts = xxhash.xxh64_intdigest(file.identity or file.url) % PACK_FILES == 0  # a new file moves one pack
        if open_pack and (full or starts):
            packs.append(open_pack)
            open_pack = []
        open_pack.extend(segments)
    if unreadable:
        more = [f"and {len(unreadable) - SAID:,} more files of {source.name}"] if len(unreadable) > SAID else []
        raise StageError("\n".join([*unreadable[:SAID], *more]))
    return [*packs, open_pack] if open_pack else packs


def _piece(segment: Segment) -> tuple[str | int, ...]:
    file = segment.file
    if file.identity and (segment.start, segment.end) == (0, file.size):
        return (file.identity,)  # its size is how it is fetched, not what is read
    url = ACCOUNT.sub("", file.url) if "://" in file.url else file.url
    what = (file.identity,) if file.identity else (url, file.key, file.size, file.modified)
    return (*what, segment.start, segment.end)


def kept_inputs(store: Store) -> dict[str, dict[str, Any]]:
    """What `planning.remember` kept: `files` and `partitions`, empty where it never did."""
    return dict(store.read_json(INPUTS, hint=True) or {"files": {}, "partitions": {}})
