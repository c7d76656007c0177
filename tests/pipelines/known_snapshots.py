"""Small snapshots for tests of runs that know what earlier runs kept."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import xxhash

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import Run

Row = tuple[str, str]  # id as the source has it, text

QUIET = Progress(quiet=True)
WORDS = [chr(0xAC00 + 27 * n) + chr(0xAC00 + 23 * n) for n in range(400)]


def text(seed: int, words: int = 40) -> str:
    """Words at random: texts of two seeds share no shingle."""
    dice = random.Random(seed)
    return " ".join(dice.choices(WORDS, k=words))


def identity(name: str) -> str:
    """The document id that the `jsonl` source makes of an id."""
    return xxhash.xxh3_128_hexdigest(name.encode())


def snapshot(folder: Path, name: str, files: Sequence[Sequence[Row]], known: object = None, **chosen: object) -> Path:
    """A declaration over its own JSONL files, one partition each."""
    for number, rows in enumerate(files):
        path = folder / name / f"docs-{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"id": i, "url": f"https://{name}.example/{i}", "text": t}) for i, t in rows]
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    dedup = {"use": "minhash", "guard": "rows >= 0"} | ({"known": known} if known is not None else {}) | chosen
    source = {"use": "jsonl", "id": "id", "url": "url", "paths": [f"{folder}/{name}/*.jsonl"], "guard": "rows >= 0"}
    tree = {"name": name, "language": "ko", "sources": {"docs": source}, "stages": {"dedup": dedup}}
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(tree), "utf-8")
    return path


def go(declaration: Path, *assignments: str, folder: str | None = None) -> Run:
    where = folder or declaration.with_suffix(".run")
    return winnow.run(declaration, assignments, folder=where, progress=QUIET, local=True)


def table(run: Run) -> dict[str, dict[str, object]]:
    """Every document's duplicate signals, by its id."""
    rows = run.documents(kept_only=False).collect()
    return {row["id"]: {k.partition(".")[2]: v for k, v in row.items() if "." in k} for row in rows.to_dicts()}


def kept(run: Run) -> set[str]:
    return set(run.documents().collect().get_column("id"))
