"""Selecting again: 10 million documents with some 40 signals, 30 clauses; seconds and peak memory of whole processes.

The table is made up: a run's parts (records, documents without text, signals of langid, rules, fasttext and tokenize)
written in the store's own format, 500 partitions of 20,000 rows. Goal: under 20 s and 2 GiB. `--documents` and
`--partitions` change the size; `--folder` keeps the table for another go.

The peer figure is polars alone: the same clauses as one lazy query over the same Arrow files, which counts what is kept
but accounts for nothing and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from winnow.filters.rules.table import MEASURES
from winnow.pipelines.engine.accounting import added
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.execute import Local
from winnow.pipelines.engine.ingest import RECORD_SCHEMA
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan, plan_over
from winnow.pipelines.engine.pointers import set_current
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.run import Driver
from winnow.pipelines.engine.signals import flags_of
from winnow.pipelines.engine.store import BATCH_ROWS, Store, fingerprint
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.results.table import open_run
from winnow.stages.base import DOCUMENT_SCHEMA

DECLARATION = """name: big
language: ko
sources:
  docs: {use: jsonl, paths: [nothing.jsonl]}
stages:
  language: {use: langid}
  rules: {use: rules, guard: []}
  quality: {use: fasttext, model: ko-quality, keep: "score >= 0.4"}
  toxicity: {use: fasttext, model: ko-toxicity, keep: "score < 0.8"}
  domain: {use: fasttext, model: ko-domain}
  shards: {use: tokenize, tokenizer: ko-bpe}
"""
EDITS = {
    "a threshold": "stages.quality.keep=score >= 0.5",
    "a quantile by domain": "stages.domain.keep=quality.score >= quantile(0.3, by = label)",
    "top 30% of tokens by domain, with temperature": (
        "stages.domain.keep=top 30% of tokens by quality.score per label temperature 0.5"
    ),
    "a repeat by quality": "stages.domain.repeat=case when quality.score > 0.9 then 2.5 else 1 end",
}
HASHING = "with every part hashed, as the first command after a run does"
COUNTS = {"word_count": (0, 3000), "char_count": (0, 12000), "line_count": (0, 400), "stop_words": (0, 60)}
DOMAINS = np.array(["news", "science", "sports", "politics", "culture", "economy", "world"])


def make(folder: Path, documents: int, partitions: int) -> Plan:
    """A finished run of made-up measurements."""
    declaration = folder / "big.yaml"
    declaration.write_text(DECLARATION, "utf-8")
    store = Store(str(folder / "run"))
    keys = tuple(Partition(n, fingerprint("bench", n), "docs", ()) for n in range(partitions))
    plan = plan_over(load_pipeline(declaration), store, keys)
    threads = Local(plan, threads=None)
    results = list(threads.run(_write, [(key, documents // partitions) for key in keys]))
    for task in plan.every(Kind.MEASURE):
        store.write_json(str(task.done), {"partitions": partitions})
    stages, by_source = added(plan, results)
    ingested = {"stages": stages, "by_source": by_source, "groups": {}, "damage": [], "documents": documents}
    Driver(plan, threads, Progress(quiet=True), strict=False).select(ingested)
    set_current(plan)
    return plan


def _write(plan: Plan, partition: Partition, rows: int) -> dict[str, object]:
    dice = np.random.default_rng(partition.index)
    raw = dice.integers(0, 256, (rows, 16), np.uint8).tobytes().hex()
    ids = pa.array([raw[n : n + 32] for n in range(0, 32 * rows, 32)])
    nothing = pa.nulls(rows, pa.string())
    columns = {"id": ids, "url": nothing, "date": nothing, "source": pa.repeat("docs", rows), "title": nothing}
    columns["text"] = pa.repeat("", rows).cast(pa.large_string())
    _put(plan, plan.documents(partition), pa.table(columns, DOCUMENT_SCHEMA))
    records = {f.name: pa.nulls(rows, f.type) for f in RECORD_SCHEMA}
    records |= {"id": ids, "status": pa.repeat(1, rows).cast(pa.uint8())}
    records["text_bytes"] = pa.array(dice.integers(500, 20_000, rows), pa.int64())
    account = {"docs": {"in": rows, "kept": rows, "failed": 0, "dropped": {}}}
    facts = {"documents": rows, "stages": account, "damage": []}
    plan.store.write(plan.records(partition), pa.table(records, RECORD_SCHEMA), **facts)
    score = dice.beta(4, 2, rows).astype(np.float32)
    signals: dict[str, dict[str, pa.Array]] = {
        "language": {
            "label": _labels(dice, rows, ["ko", "en"], 0.02),
            "score": pa.array(np.float32(0.6) + score * np.float32(0.4)),
        },
        "rules": {},
        "quality": {"label": _labels(dice, rows, ["good", "bad"], 0.3), "score": pa.array(score)},
        "toxicity": {
            "label": _labels(dice, rows, ["toxic", "clean"], 0.9),
            "score": pa.array(dice.beta(1, 8, rows).astype(np.float32)),
        },
        "domain": {"label": pa.array(DOMAINS[dice.integers(0, 7, rows)]), "score": pa.array(score)},
        "shards": {
            "tokens": pa.array(dice.integers(100, 4000, rows), pa.int32()),
            "_input_ids": pa.nulls(rows, pa.list_(pa.uint32())),
        },
    }
    for measure in MEASURES:
        if pa.types.is_integer(measure.type):
            low, high = COUNTS.get(measure.name, (0, 100))
            signals["rules"][measure.name] = pa.array(dice.integers(low, high, rows), pa.int32())
        else:
            value = dice.beta(1, 60, rows)  # small, as most shares are on pages worth keeping
            value = 1 - value if measure.name in HIGH else value / 10 if measure.name in LOW else value
            value = 4 + 10 * value if measure.unit == "characters" else value
            signals["rules"][measure.name] = pa.array(value.astype(np.float32))
    for stage, found in signals.items():
        for part, columns in plan.signals(plan.pipeline.nodes[stage], partition):
            marks = {"_measured": pa.repeat(True, rows), "_error": nothing}
            table = pa.table(marks | {c: found[c] for c in columns if c in found})
            plan.store.write(part, table, flags=xxhash.xxh3_64_hexdigest(flags_of(table)))
    return {"index": partition.index, "stages": account}


LOW = {"jamo_ratio", "bad_word_share"}
HIGH = {
    *("alpha_word_share", "unique_words", "line_punctuation", "hangul_ratio", "ending_share", "sentence_end_share"),
    *("lettered_words", "running_lines", "running_share"),
}


def _labels(dice: np.random.Generator, rows: int, names: list[str], second: float) -> pa.Array:
    return pa.array(np.array(names)[(dice.random(rows) < second).astype(int)])


def _put(plan: Plan, part: str, table: pa.Table) -> None:
    batches = table.to_batches(max_chunksize=BATCH_ROWS)
    plan.store.write(part, pa.Table.from_batches(batches, table.schema))


ONE = """
import json, resource, sys, time
started = time.perf_counter()
from winnow.pipelines.results.table import open_run
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.engine.store import remember_verified
found = reselect(open_run(sys.argv[1]), sys.argv[2:], name="bench", progress=Progress(quiet=True))
a = found.accounting
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": time.perf_counter() - started, "peak": used.ru_maxrss / 1024, "cpu": used.ru_utime + used.ru_stime,
                  "kept": a["kept"], "copies": a["copies"], "documents": a["documents"], "unmeasured": found.unmeasured}))
remember_verified()
"""
POLARS = """
import json, resource, sys, time
started = time.perf_counter()
import polars as pl
from winnow.pipelines.results.table import open_run
run = open_run(sys.argv[1])
plan, nodes = run.plan, run.plan.pipeline.measured()
clauses = [c for n in nodes for c in n.clauses]
signals = {s for c in clauses for s in c.signals}
frames = []
for n in nodes:
    for number, (_, columns) in enumerate(plan.signals(n, plan.partitions[0])):
        files = [plan.store.path(plan.signals(n, p)[number][0] + ".arrow") for p in plan.partitions]
        wanted = [s.partition(".")[2] for s in sorted(signals) if s.startswith(n.name + ".")]
        wanted = [column for column in wanted if column in columns]
        if not wanted:
            continue
        frames.append(pl.scan_ipc(files).select(pl.col(wanted).name.prefix(n.name + ".")))
wide = pl.concat(frames, how="horizontal").select(pl.all_horizontal(c.expr() for c in clauses).sum())
kept = wide.collect(engine="streaming").item()
print(json.dumps({"seconds": time.perf_counter() - started, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "kept": kept}))
"""


def _in_a_process(code: str, *words: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make the table and select from it again in several ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--partitions", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        run = folder / "run"
        if not (run / "run.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            started = time.perf_counter()
            plan = make(folder, chosen.documents, chosen.partitions)
            clauses = [c for n in plan.pipeline.measured() for c in n.clauses]
            print(
                f"made {chosen.documents:,} documents in {chosen.partitions} partitions, "
                f"{sum(len(n.stage.signals()) for n in plan.pipeline.measured())} signals, {len(clauses)} clauses over "
                f"{len({s for c in clauses for s in c.signals})} of them: {time.perf_counter() - started:.0f} s"
            )
        (run / ".verified.json").unlink(missing_ok=True)
        for name, edit in {f"{HASHING}: a threshold": EDITS["a threshold"], **EDITS}.items():
            for made in ("selection", "statistics", "corpus"):  # an earlier go's results would be taken
                for old in (run / made).glob("*") if (run / made).exists() else []:
                    if old.name != open_run(run).plan.selection:
                        shutil.rmtree(old)
            found = _in_a_process(ONE, str(run), edit)
            print(
                f"{name}: {found['seconds']:.1f} s, {found['cpu']:.1f} s of the processor, peak {found['peak']:.0f} MiB, kept {found['kept']:,} of "
                f"{found['documents']:,} ({found['copies']:,} with repetitions)"
            )
        plain = _in_a_process(POLARS, str(run))
        print(
            f"polars alone, a count of what the first clauses keep: {plain['seconds']:.1f} s, peak {plain['peak']:.0f} MiB, {plain['kept']:,}"
        )


if __name__ == "__main__":
    main()
