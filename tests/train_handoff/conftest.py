"""A real little data set: documents made from a seed, tokenized by a BPE tokenizer trained on them, in real shards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from winnow.tokenize.shard import COLUMNS, Manifest, TokenizerIdentity, manifest_of
from winnow.tokenize.writer import write_bytes, write_manifest, write_shard

SUBJECTS = ["고양이는", "바람은", "The river", "학생들은", "A quiet machine", "오래된 나무가"]
VERBS = ["천천히 움직인다", "remembers", "밤새 노래한다", "finds", "조용히 기다린다", "carries"]
OBJECTS = ["산 너머로.", "the morning light.", "긴 이야기를.", "one more letter.", "작은 돌멩이를.", "아무 말 없이."]

Corpus = Callable[..., Path]


def documents(count: int, seed: int) -> list[str]:
    """`count` documents of 1 to 3 sentences, the same for the same seed."""
    rng = random.Random(seed)
    parts = (SUBJECTS, VERBS, OBJECTS)
    return [
        " ".join(" ".join(rng.choice(part) for part in parts) for _ in range(rng.randint(1, 3))) for _ in range(count)
    ]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Byte-level BPE of at most 320 ids; `<eos>` ends a document."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(documents(200, seed=0), trainer)
    return trained


@pytest.fixture(scope="session")
def corpus(tokenizer: Tokenizer) -> Corpus:
    """`corpus(folder, count, seed, shards=1, prefix=0)` writes a dataset and returns its folder."""

    def write(folder: Path, count: int, seed: int, shards: int = 1, prefix: int = 0) -> Path:
        content = tokenizer.to_str().encode()
        identity = TokenizerIdentity(
            name="tiny", sha256=hashlib.sha256(content).hexdigest(), vocab_size=tokenizer.get_vocab_size(), eos=0
        )
        ids = [[*tokenizer.encode(text).ids, 0] for text in documents(count, seed)]
        entries = []
        for shard in range(shards):
            mine = ids[shard::shards]
            rows = pa.RecordBatch.from_arrays(
                [
                    pa.array(mine, COLUMNS.field(0).type),
                    pa.array([f"{seed}-{shard}-{i}" for i in range(len(mine))], pa.string()),
                    pa.nulls(len(mine), pa.float32()),
                    pa.array([min(prefix, len(row)) for row in mine], pa.uint16()),
                ],
                schema=COLUMNS,
            )
            # Small record batches, so that blocks cross them.
            entries.append(write_shard(str(folder), f"shard-{shard:05d}.arrow", identity, [rows], batch_tokens=1500))
        write_bytes(str(folder), identity.file, content)
        manifest: Manifest = manifest_of(identity, entries)
        write_manifest(str(folder), manifest)
        return folder

    return write
