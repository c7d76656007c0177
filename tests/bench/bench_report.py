"""The report of a large run: seconds and memory, with the parts written directly rather than measured from text.

    python tests/bench/bench_report.py [DOCUMENTS]

The run is one of pipelines/ko.yaml whose partitions hold invented signals, near each clause's threshold so that all of
them drop some documents. Its selection and accounting are the machine's own. Default: a million documents.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from winnow.pipelines.api import run
from winnow.pipelines.engine.declaration import Node, load_pipeline
from winnow.pipelines.engine.frame import PartitionFrame
from winnow.pipelines.engine.ingest import RECORD_SCHEMA
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan, make_plan
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.signals import ERROR, MEASURED, flags_of, signals_schema
from winnow.pipelines.engine.store import BATCH_ROWS, Store
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.selection.verdict import DROPPED, KEPT
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.tokenize.writer import write_manifest

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "ko.yaml"
ROWS = 4_000  # documents of a partition
SCREENED = 1_200  # records of a partition that the pre-screen drops
FAILS = 0.012  # share of the documents that fail a clause
DOMAINS = ["culture", "documentation", "economy", "politics", "society", "sports", "technology", "world"]
WORDS = np.array(
    ["강가를", "따라", "걷다", "보면", "작은", "다리와", "공원이", "나오고", "저녁에는", "등불이", "켜진다"]
)


def write_run(folder: Path, documents: int) -> None:
    """A finished run of that many documents in `folder`/run."""
    dice = np.random.default_rng(1)
    (folder / "in").mkdir()
    for number in range(-(-documents // ROWS)):
        with (folder / "in" / f"{number:05d}.warc.gz").open("wb") as file:
            file.truncate(2**20)  # only its name and size matter: nothing reads it
    paths = f"sources.crawl.paths=['{folder}/in/*.warc.gz']"
    store = Store(str(folder / "run"))
    plan = make_plan(load_pipeline(RECIPE, [paths]), store)
    texts = [" ".join(dice.choice(WORDS, int(n))) for n in dice.integers(80, 600, 200)]
    for partition in plan.partitions:
        write_partition(plan, partition, min(ROWS, documents - partition.index * ROWS), texts, dice)
    for task in plan.every(Kind.MEASURE):
        store.write_json(str(task.done), {"partitions": len(plan.partitions)})
    for task in plan.every(Kind.REDUCE):
        store.write_json(plan.marker(task.kind, task.stage), {"documents": documents, "report": {}})
    terminal = plan.pipeline.terminal()
    assert terminal is not None
    made = plan.opened(terminal.name).manifest([])  # of no shards
    tokenizer = Path(store.path(f"{plan.shards}/{made['tokenizer']['file']}"))
    tokenizer.parent.mkdir(parents=True)
    shutil.copy(terminal.stage.artifacts()[0].path, tokenizer)
    write_manifest(store.url(plan.shards), made)
    run(RECIPE, [paths], folder=store.root, local=True, progress=Progress(quiet=True))


def write_partition(plan: Plan, partition: Partition, rows: int, texts: list[str], dice: np.random.Generator) -> None:
    """Documents, records and every stage's signals; a stage has measured what it sees."""
    total = rows + SCREENED
    ids = [raw.tobytes().hex() for raw in dice.integers(0, 256, (total, 16), np.uint8)]
    hosts = dice.zipf(1.3, total) % 200_000
    urls = [f"https://site{host}.example/{n}" for n, host in enumerate(hosts)]
    dates = [f"2024-{month:02d}-{day:02d}T00:00:00Z" for month, day in dice.integers(1, 13, (total, 2))]
    chosen = [texts[n] for n in dice.integers(0, len(texts), rows)]
    is_document = np.ones(total, bool)
    is_document[dice.choice(total, SCREENED, replace=False)] = False
    at = np.flatnonzero(is_document)
    sizes = np.zeros(total, np.int64)
    sizes[at] = [len(text.encode()) for text in chosen]

    def only(values: list[str] | str) -> pa.Array:
        return pa.array(np.where(is_document, None, values), pa.string())

    records = [
        pa.array(ids),
        pa.array(urls),
        pa.array(dates),
        pa.array(np.where(is_document, KEPT, DROPPED), pa.uint8()),
        only("screen"),
        only("screen.script"),
        only([str(n) for n in dice.integers(0, 50, total)]),
        only(">= 50"),
        pa.array(dice.integers(5_000, 90_000, total)),
        pa.array(sizes, mask=~is_document),
    ]
    accounts = {
        "crawl": {"in": total, "kept": total, "failed": 0, "dropped": {}},
        "urls": {"in": total, "kept": total, "failed": 0, "dropped": {}},
        "screen": {"in": total, "kept": rows, "failed": 0, "dropped": {"screen.script": SCREENED}},
        "extract": {"in": rows, "kept": rows, "failed": 0, "dropped": {}},
    }
    table = pa.Table.from_arrays(records, schema=RECORD_SCHEMA)
    plan.store.write(plan.records(partition), table, documents=rows, stages=accounts, damage=[])
    own = [
        [ids[n] for n in at],
        [urls[n] for n in at],
        [dates[n] for n in at],
        ["crawl"] * rows,
        ["제목"] * rows,
        chosen,
    ]
    columns = [pa.array(values, field.type) for values, field in zip(own, DOCUMENT_SCHEMA, strict=True)]
    batches = pa.Table.from_arrays(columns, schema=DOCUMENT_SCHEMA).to_batches(BATCH_ROWS)
    plan.store.write(plan.documents(partition), pa.Table.from_batches(batches))
    terminal = plan.pipeline.terminal()
    late = [n for n in plan.pipeline.nodes.values() if terminal is not None and terminal.name in n.reads()]
    for node in [*(n for n in plan.pipeline.nodes.values() if n not in late), *late]:  # a mixture reads token counts
        raw = node in plan.pipeline.raw()
        seen = np.ones(rows, bool) if raw else PartitionFrame(plan, partition, 0, rows).seen(node)
        found = {name: signal(plan, node, name, kind, rows, dice) for name, kind in node.stage.signals().items()}
        nulls = {name: pa.array(values, node.stage.signals()[name], mask=~seen) for name, values in found.items()}
        marks = {MEASURED: pa.array(seen), ERROR: pa.nulls(rows, pa.string())}
        filed = dict(plan.signals(node, partition)) | dict(plan.signals(node, partition, own=True))
        for part, columns in filed.items():
            own = {name: nulls.get(name, pa.nulls(rows, kind)) for name, kind in columns.items()}
            table = pa.table(marks | own, signals_schema(columns))
            plan.store.write(part, table, flags=xxhash.xxh3_64_hexdigest(flags_of(table)))


def signal(plan: Plan, node: Node, name: str, kind: pa.DataType, rows: int, dice: np.random.Generator) -> np.ndarray:
    """Invented values of a signal; a small share of them fails the first clause, of any stage, that compares it."""
    if kind == pa.bool_():
        return dice.random(rows) < 0.8
    if name == "label" or kind == pa.string():
        words = ["ko", "en", "ja"] if node.name == "language" else ["utf-8", "cp949"] if name == "charset" else DOMAINS
        odds = [0.96, 0.03, 0.01] if node.name == "language" else None
        return dice.choice(np.array(words), rows, p=odds)
    if name == "copies":
        return dice.geometric(0.6, rows)
    if name == "multiplicity":
        return dice.choice([0.7, 1.0, 2.5], rows)
    written = " and ".join(clause.sql for other in plan.pipeline.nodes.values() for clause in other.clauses)
    compared = re.search(rf'"{node.name}\.{name}" *([<>])=? *([0-9.]+)', written)
    values = dice.lognormal(5.5, 0.8, rows) if pa.types.is_integer(kind) else dice.beta(2, 6, rows)
    if compared:
        number, high = float(compared[2]), compared[1] == ">"
        edge = np.quantile(values, FAILS if high else 1 - FAILS)
        values = values + number - edge if high else values * number / edge
    return np.rint(values).astype(np.int64) if pa.types.is_integer(kind) else values


def main() -> None:
    """Prints seconds of the command, its peak memory, and the page's size."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="winnow-report-") as name:
        folder = Path(name)
        started = time.perf_counter()
        write_run(folder, documents)
        print(f"{documents:,} documents written and selected in {time.perf_counter() - started:.0f} s", flush=True)
        out = folder / "report.html"
        code = (
            "import json, resource, sys, time; started = time.perf_counter()\n"
            "from winnow.pipelines.results.table import open_run\n"
            "from winnow.pipelines.results.report.page import write_report\n"
            "write_report(open_run(sys.argv[1]), sys.argv[2])\n"
            "used = resource.getrusage(resource.RUSAGE_SELF)\n"
            "print(json.dumps([time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss]))"
        )
        command = [sys.executable, "-c", code, str(folder / "run"), str(out)]
        for _ in range(2):
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            total, cpu, memory = json.loads(done.stdout)
            print(
                f"report: {total:.1f} s from start to end, {cpu:.1f} s of processor time, "
                f"peak memory {memory / 2**20:.2f} GiB, page {out.stat().st_size / 1e6:.1f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
