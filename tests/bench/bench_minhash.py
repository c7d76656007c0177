"""MinHash: signatures, band join, components and memory against other implementations, in one run.

    python tests/bench/bench_minhash.py

Rates are per CPU-second of one process, the median of interleaved rounds; ratios are of those. The texts are the
installation guides of the data folder, or random words where it is absent.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters.dedup.clusters import Forest, equal_key_edges
from winnow.filters.dedup.minhash import Scheme, band_keys
from winnow.filters.hash_random import realise
from winnow.filters.languages import language_pack
from winnow.pipelines.engine.texts import SelectedRows
from winnow.stages.minhash import MinHash
from winnow.stages.opening import opened

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ROUNDS = 5


def corpus() -> list[str]:
    """Real Korean texts, or as many of random words."""
    path = DATA / "dup-ko-ig-arch" / "docs.jsonl"
    if path.is_file():
        return [unicodedata.normalize("NFC", json.loads(line)["text"]) for line in path.read_text("utf-8").splitlines()]
    rng = random.Random(0)
    words = ["".join(chr(0xAC00 + rng.randrange(11172)) for _ in range(rng.randint(1, 6))) for _ in range(5_000)]
    return [" ".join(rng.choices(words, k=rng.randint(20, 1_000))) for _ in range(500)]


def rates(items: dict[str, int], runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Items per CPU-second of each run: the median over interleaved rounds, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for counted in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if counted:
                seconds[name].append(time.process_time() - start)
    return {name: items[name] / statistics.median(taken) for name, taken in seconds.items()}


def show(title: str, unit: str, found: dict[str, float]) -> None:
    """One line per implementation; ratios are of the first to each."""
    ours = next(iter(found.values()))
    print(f"\n{title}")
    for name, rate in found.items():
        print(f"  {name:44s} {rate:14,.0f} {unit:10s} ours is {ours / rate:8.1f}x")


def signatures(texts: list[str]) -> None:
    from datasketch import MinHash as Sketch
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.text import ngrams, simplify_text

    scheme, config = Scheme(), MinhashConfig()
    arrow = pa.array(texts * 8, pa.large_string())
    stage = MinHash(name="dedup", settings=MinHash.Settings(), pack=language_pack("ko"))
    batch = pa.RecordBatch.from_pydict({"text": arrow})
    step = MinhashDedupSignature("memory://signatures", config, language="kor_Hang")
    some, few = texts[::5], texts[::100]

    def words_split(text: str) -> npt.NDArray[np.uint64]:
        hashed = [step._hash_func(" ".join(gram)) for gram in ngrams(simplify_text(text).split(), config.n_grams)]
        return np.array(hashed, np.uint64).reshape(-1, 1)

    def datatrove_whitespace() -> None:
        for text in some:
            found = words_split(text)
            if found.size:
                step.get_signature(found)

    def datatrove() -> None:
        for text in few:
            found = step.get_shingles(text)
            if found.size:
                step.get_signature(found)

    def datasketch() -> None:
        for text in some:
            sketch = Sketch(num_perm=scheme.functions)
            sketch.update_batch([" ".join(gram).encode() for gram in ngrams(simplify_text(text).split(), 5)])

    runs: dict[str, Callable[[], object]] = {
        "winnow band_keys": lambda: band_keys(arrow, scheme),
        "winnow minhash.measure (the stage)": lambda: opened(stage).measure(batch),
        "datasketch, datatrove's normalisation": datasketch,
        "datatrove, words by whitespace": datatrove_whitespace,
        "datatrove, its Korean tokenizer (Kiwi)": datatrove,
    }
    counts = dict(zip(runs, [len(arrow), len(arrow), len(some), len(some), len(few)], strict=True))
    mean = statistics.mean(map(len, texts))
    words = statistics.mean(len(text.split()) for text in texts)
    title = f"signatures, 14 x 8, word 5-grams; {len(texts)} texts, mean {mean:,.0f} characters, {words:,.0f} words"
    show(title, "docs/s", rates(counts, runs))


def clusters() -> None:
    import networkx
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = 2_000_000
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, rows, rows, dtype=np.uint32) for _ in range(2))
    small = 100_000

    def ours() -> None:
        forest = Forest(rows)
        forest.unite(a, b)
        forest.labels()

    def scipy() -> None:
        connected_components(coo_array((np.ones(rows, np.int8), (a, b)), shape=(rows, rows)), directed=False)

    def networkx_small() -> None:
        graph = networkx.Graph()
        graph.add_nodes_from(range(small))
        graph.add_edges_from(zip((a[:small] % small).tolist(), (b[:small] % small).tolist(), strict=True))
        list(networkx.connected_components(graph))

    runs: dict[str, Callable[[], object]] = {
        "winnow Forest": ours,
        "scipy connected_components": scipy,
        f"networkx, {small:,} rows": networkx_small,
    }
    counts = dict(zip(runs, [rows, rows, small], strict=True))
    show(f"components, {rows:,} rows and as many random edges", "edges/s", rates(counts, runs))


def joins() -> None:
    import polars as pl

    rows = 2_000_000
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 2**64, rows, dtype=np.uint64)
    keys[rng.integers(0, rows, rows // 5)] = keys[rng.integers(0, rows, rows // 5)]
    numbers = np.arange(rows, dtype=np.uint32)

    def polars() -> None:
        table = pl.DataFrame({"key": keys, "row": numbers}).sort("key")
        table.with_columns(pl.all().shift().name.prefix("previous_")).filter(pl.col("key") == pl.col("previous_key"))

    runs: dict[str, Callable[[], object]] = {
        "winnow equal_key_edges": lambda: equal_key_edges(keys, numbers),
        "polars sort and shift (all threads, CPU time)": polars,
    }
    show(f"band join, {rows:,} keys", "keys/s", rates(dict.fromkeys(runs, rows), runs))


@dataclass(frozen=True)
class Made:
    """A part whose ids are made when they are read, so that only what `reduce` holds counts."""

    index: int
    rows: int

    def read(self, columns: Sequence[str]) -> pa.Table:
        first = self.index * self.rows
        ids = [f"{row * 2654435761 % 2**32:032x}" for row in range(first, first + self.rows)]
        return pa.table({"id": ids, "_chars": np.full(self.rows, 1_000, np.int32)}).select(list(columns))


def memory() -> None:
    rows_each, count = 2**15, 64
    rows = rows_each * count
    rng = np.random.default_rng(2)
    parts = [Made(index, rows_each) for index in range(count)]
    print(f"\nmemory of reduce, {rows:,} documents in {count} parts (numpy's peak, edges not counted)")
    for duplicated in (0.0, 0.1, 0.5):
        edges = round(rows * duplicated)
        a = np.sort(rng.choice(rows, edges, replace=False)).astype(np.uint32)
        table = pa.table({"a": a, "b": np.maximum(a, 1) - np.uint32(1)})
        stage = MinHash(name="dedup", settings=MinHash.Settings(), pack=language_pack("ko"))
        tracemalloc.start()
        forest = Forest(rows)
        forest.unite(table["a"].to_numpy(), table["b"].to_numpy())
        forest.labels()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del forest
        start = time.process_time()
        for _ in opened(stage).reduce(parts, [table]):
            pass
        taken = time.process_time() - start
        found = opened(stage).report()
        joined = found["documents"] - found["duplicates"]
        print(
            f"  {duplicated:4.0%} duplicates: forest and labels {peak / rows:5.2f} bytes a document, "
            f"{joined:,} clusters, largest {found['largest']}; reduce {rows / taken:,.0f} docs/s"
        )


def snapshots() -> None:
    """A second snapshot, 30% of it copies of the first: against an index of what the first kept, and both in one run."""
    import winnow
    from winnow.pipelines.engine.progress import Progress
    from winnow.pipelines.results.dedup_index import write_index
    from winnow.pipelines.results.table import Run

    rows = 100_000
    dice = random.Random(3)
    words = ["".join(chr(0xAC00 + dice.randrange(11172)) for _ in range(2)) for _ in range(5_000)]
    first = [" ".join(dice.choices(words, k=60)) for _ in range(rows)]
    second = [dice.choice(first) if dice.random() < 0.3 else " ".join(dice.choices(words, k=60)) for _ in range(rows)]

    def run(folder: Path, name: str, sources: Sequence[str], known: Sequence[str] = ()) -> tuple[Run, float]:
        paths = [f"{folder}/{source}.jsonl" for source in sources]
        stages = {"dedup": {"use": "minhash", "known": list(known)}}
        tree = {"name": name, "language": "ko", "sources": {"docs": {"use": "jsonl", "paths": paths}}, "stages": stages}
        (folder / f"{name}.yaml").write_text(json.dumps(tree), "utf-8")
        start = time.process_time()
        done = winnow.run(folder / f"{name}.yaml", folder=folder / name, local=True, progress=Progress(quiet=True))
        return done, time.process_time() - start

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, texts in (("a", first), ("b", second)):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
        alone, _ = run(folder, "first", ["a"])
        tracemalloc.start()
        start = time.process_time()
        made = write_index(alone, folder / "index")
        taken, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        stored = sum(path.stat().st_size for path in (folder / "index").iterdir())
        print(
            f"\nthe index of {made.manifest.documents:,} kept documents: {stored / rows:.1f} bytes a document stored; "
            f"made at {rows / taken:,.0f} docs/s (traced) with {peak / rows:.0f} bytes a document at the peak"
        )
        against, one = run(folder, "against", ["b"], [str(folder / "index")])
        joint, both = run(folder, "joint", ["a", "b"])
        new = joint.accounting["kept"] - alone.accounting["kept"]
        print(
            f"  the second snapshot keeps {against.accounting['kept']:,} against the index, {new:,} in one run with the first"
        )
        print(f"  whole run: {one:.1f} s against the index, {both:.1f} s in one run: {both / one:.2f}x")
        shares = [done.work()["seconds"]["dedup"] for done in (against, joint)]
        print(
            f"  its dedup (keys, join, clusters): {shares[0]:.2f} s and {shares[1]:.2f} s: {shares[1] / shares[0]:.2f}x"
        )
        for known, parts in (("the second against the index", against), ("both", joint)):
            node = parts.plan.pipeline.nodes["dedup"]
            assert isinstance(node.stage, MinHash)
            views = [SelectedRows(parts.plan, partition, node) for partition in parts.plan.partitions]
            buckets = node.stage.buckets(sum(view.rows for view in views))
            tracemalloc.start()
            edges = [opened(node.stage).exchange(bucket, buckets, views) for bucket in range(buckets)]
            exchanged = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            for _ in opened(node.stage).reduce(views, edges):
                pass
            reduced = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            total = sum(view.rows for view in views)
            print(
                f"  {known}, {total:,} documents: numpy's peak {exchanged / 2**20:.1f} MiB in an exchange, "
                f"{reduced / 2**20:.1f} MiB in the reduce"
            )


def coins() -> None:
    rows = 200_000
    ids = pa.array([f"{row:032x}" for row in range(rows)])
    runs: dict[str, Callable[[], object]] = {"winnow realise": lambda: realise(np.full(rows, 1.5), ids, 0)}
    show("copies from fractional multiplicities", "docs/s", rates(dict.fromkeys(runs, rows), runs))


def sections() -> Iterator[Callable[[], None]]:
    """What to run, in order."""
    yield lambda: signatures(corpus())
    yield clusters
    yield joins
    yield memory
    yield snapshots
    yield coins


def main() -> None:
    """Prints every figure."""
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}, pyarrow {pa.__version__}")
    for section in sections():
        section()


if __name__ == "__main__":
    main()
