"""Texts as a folder of token shards, which the trainer reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.pipelines.results.table import RunError
from winnow.tokenize.shard import COLUMNS, Manifest, manifest_of, shard_name
from winnow.tokenize.tokenizer import Tokenizer
from winnow.tokenize.writer import write_bytes, write_manifest, write_shard

AT_ONCE = 256
"""Texts that are encoded together."""


def write_texts(texts: Iterable[str], tokenizer: Tokenizer, folder: Path) -> Manifest:
    """Writes `texts` in their order, each with the end-of-document token behind it, as one shard with its manifest. Raises
    RunError for a text that the tokenizer cannot encode."""
    identity = tokenizer.identity(eos=True)
    entry = write_shard(str(folder), shard_name(0), identity, _rows(texts, tokenizer))
    write_bytes(str(folder), identity.file, tokenizer.file.path.read_bytes())
    manifest = manifest_of(identity, [entry])
    write_manifest(str(folder), manifest)
    return manifest


def _rows(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[pa.RecordBatch]:
    left, first = iter(texts), 0
    while portion := list(islice(left, AT_ONCE)):
        encoded = tokenizer.encode(portion, eos=True)
        if encoded.errors:
            row, cause = next(iter(encoded.errors.items()))
            raise RunError(f"text {first + row + 1} of those to train on cannot be encoded: {cause}")
        offsets = np.concatenate(([0], np.cumsum(encoded.lengths)))
        yield pa.RecordBatch.from_arrays(
            [
                pa.ListArray.from_arrays(
                    pa.array(offsets, pa.int32()), pa.array(encoded.ids), type=COLUMNS.field(0).type
                ),
                pa.array([str(first + row) for row in range(len(portion))], pa.string()),
                pa.nulls(len(portion), pa.float32()),
                pa.array(np.zeros(len(portion), np.uint16)),
            ],
            schema=COLUMNS,
        )
        first += len(portion)
