"""Reading speed: random blocks through ShardSet against a raw np.memmap of the same tokens, interleaved in one run.

    python tests/bench/bench_shards.py [--tokens 200000000] [--length 4096] [--rounds 5]

Warm page cache, one thread. Prints blocks/s for views and for views copied to int64 as a trainer does, write speed,
and opening times with and without verification.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.tokenize.reader import ShardSet
from winnow.tokenize.shard import COLUMNS, SHARD_BYTES, TokenizerIdentity, manifest_of, shard_name
from winnow.tokenize.writer import write_bytes, write_manifest, write_shard

IDENTITY = TokenizerIdentity(
    name="bench", sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", vocab_size=2**17, eos=0
)
MEAN_LENGTH = 800  # tokens of a document


def batches(tokens: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Documents of random ids and lengths, `tokens` in all, a million at a time."""
    random = np.random.default_rng(seed)
    while tokens > 0:
        here = min(tokens, 2**20)
        inner = (
            np.unique(random.integers(1, here, here // MEAN_LENGTH)) if here > MEAN_LENGTH else np.empty(0, np.int64)
        )
        offsets = np.concatenate([[0], inner, [here]]).astype(np.int32)
        n = len(offsets) - 1
        ids = pa.ListArray.from_arrays(
            pa.array(offsets), pa.array(random.integers(0, 2**17, here, np.uint32)), type=COLUMNS.field(0).type
        )
        names = pa.array([f"{tokens:016x}{i:016x}" for i in range(n)])
        columns = [ids, names, pa.array(random.random(n, np.float32)), pa.array(np.zeros(n, np.uint16))]
        yield pa.RecordBatch.from_arrays(columns, schema=COLUMNS)
        tokens -= here


def main() -> None:
    """Writes a dataset, then reads it both ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=200_000_000)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=100_000, help="random blocks per round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        per_shard = SHARD_BYTES // 4
        entries, spent = [], 0.0
        write_bytes(folder, "tokenizer.json", b"")
        for index, first in enumerate(range(0, given.tokens, per_shard)):
            made = list(batches(min(per_shard, given.tokens - first), index))
            start = time.perf_counter()
            entries.append(write_shard(folder, shard_name(index), IDENTITY, made))
            spent += time.perf_counter() - start
        write_manifest(folder, manifest_of(IDENTITY, entries))
        size = sum(entry.bytes for entry in entries)
        print(
            f"{given.tokens / 1e6:.0f} Mtok in {len(entries)} shards, {size / 1e6:.0f} MB, {size / 4 / given.tokens - 1:.1%} over raw ids"
        )
        print(f"write with sha256 and fsync {given.tokens / spent / 1e6:8.0f} Mtok/s {size / spent / 1e6:8.0f} MB/s")
        start = time.perf_counter()
        shards = ShardSet.open(folder)
        print(f"open                        {(time.perf_counter() - start) * 1e3:8.1f} ms")
        start = time.perf_counter()
        ShardSet.open(folder, verify=True)
        print(f"open and verify             {(time.perf_counter() - start) * 1e3:8.1f} ms")

        raw_path = Path(folder) / "raw.bin"
        with raw_path.open("wb") as out:
            for entry in entries:
                for batch in pa.ipc.open_file(pa.memory_map(str(Path(folder) / entry.file))).read_all().to_batches():
                    out.write(batch.column(0).values.to_numpy())
        raw = np.memmap(raw_path, np.uint32, mode="r")
        length = given.length
        order = np.random.default_rng(1).integers(0, shards.blocks(length), given.blocks).tolist()
        for b in order[:1000]:
            assert np.array_equal(shards.block(b, length), raw[b * length : b * length + length + 1])
        compare(
            "views",
            given.rounds,
            {
                "np.memmap": lambda: [raw[b * length : b * length + length + 1] for b in order],
                "ShardSet.block": lambda: [shards.block(b, length) for b in order],
            },
            given.blocks,
        )
        some = order[: given.blocks // 10]
        compare(
            "copied to int64",
            given.rounds,
            {
                "np.memmap": lambda: [
                    None for b in some if raw[b * length : b * length + length + 1].astype(np.int64) is None
                ],
                "ShardSet.block": lambda: [None for b in some if shards.block(b, length).astype(np.int64) is None],
            },
            len(some),
            length,
        )
        compare(
            "boundaries",
            given.rounds,
            {"ShardSet.boundaries": lambda: [shards.boundaries(b, length) for b in some]},
            len(some),
        )


def compare(what: str, rounds: int, work: dict[str, Callable[[], object]], blocks: int, length: int = 0) -> None:
    """Runs the ways in turn; prints the median of each, and its ratio to the first."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = next(iter(medians.values()))
    for name, median in medians.items():
        rate = f" {blocks * length / median / 1e6:6.0f} Mtok/s" if length else ""
        print(f"{what:<16} {name:<20} {blocks / median:10.0f} blocks/s {base / median:5.2f}x{rate}")


if __name__ == "__main__":
    main()
