"""Which Korean selection trains the better model: ours, FineWeb2's by datatrove, ours less each stage, chance, an oracle.

    python tests/bench/selection_quality/experiment.py [--out runs/selection-quality] [--tier 0|1] [--per-source 80] [--also NAME=ARM ...]

Documents: those of ../shared/data/ko-pool of 50 to 19,999 characters without copies and versions, at most `--per-source`
of each file by hash. Targets: whole files and documents of its good part, which no arm sees; none that a model of ours was
fitted on. Writes docs/selection-quality.md with every figure. Each step is skipped where it is done.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from document import document

from winnow.pipelines.prove.protocol import VERSION

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DATA = ROOT.parent / "shared" / "data" / "ko-pool"
WITHOUT = ("dup-exact", "law-versions", "docs-versions")

TARGETS: dict[str, tuple[str, float]] = {
    "news": ("wikinews", 0.5),
    "essays": ("nanet-book-reviews", 1.0),
    "education": ("unesco-ko", 1.0),
    "blog": ("acorn-blog", 0.5),
    "law": ("law-kr", 0.3),
    "religion": ("bible-korrv", 0.3),
    "documentation": ("python-docs-ko", 0.3),
}
"""Name -> file of the pool's good part, and the share of its documents that is held out."""

UNSEEN = ("essays", "education", "law", "documentation")
"""Targets that the revision of the recipe did not look at: it looked at some of the news, blog and religion."""

STAGES = ("language", "rules", "quality", "toxicity")
"""Left out one at a time. Deduplication has nothing to do: the pool's copies are left out, for tier 0 cannot judge them."""


def main() -> None:
    """Every step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/selection-quality"))
    parser.add_argument("--tier", type=int, choices=[0, 1], default=0)
    parser.add_argument("--per-source", type=int, default=80)
    parser.add_argument("--also", action="append", default=[], help="Another arm, such as before=FOLDER.")
    parser.add_argument(
        "--fineweb2", help="FineWeb2's selection of these documents, made before: half an hour of Kiwi."
    )
    parser.add_argument("--amount", default="400k")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "selection-quality.md")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} is not there")
        return
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    pool(out, options.per_source)
    targets(out, options.tier)
    if options.fineweb2 is None:
        (out / "fineweb2.yaml").write_text((HERE / "fineweb2.yaml").read_text("utf-8"), "utf-8")
        winnow("run", "fineweb2.yaml", "--folder", "fineweb2", cwd=out)
    source = "sources.pool={use: jsonl, id: id, paths: [pool.jsonl]}"
    none = [f"stages.{name}=null" for name in ("urls", "screen", "mixture", "shards")]
    sets = [word for said in ["sources.crawl=null", source, *none] for word in ("--set", said)]
    winnow("run", str(ROOT / "pipelines" / "ko.yaml"), "--folder", "ko", *sets, cwd=out)
    arms = ["random", f"fineweb2={options.fineweb2 or 'fineweb2'}", *options.also, "ours=ko"]
    for stage in STAGES:
        name = f"without-{stage}"
        winnow("select", "ko", "--set", f"stages.{stage}.keep=true", "--name", name, cwd=out)
        winnow("run", "ko", "--selection", name, cwd=out)
        arms.append(f"ours without {stage}=ko@{name}")
    arms += ["oracle", "random"]
    words = ["--targets", "targets.yaml", "--tokens", options.amount, "--tier", str(options.tier)]
    words += [] if options.seeds is None else ["--seeds", str(options.seeds)]
    # A recipe or settings that changed are another experiment, which prove would refuse in the folder of the one before.
    decides = [VERSION, arms, words, (out / "targets.yaml").read_text("utf-8")]
    decides += [path.read_text("utf-8") for path in (ROOT / "pipelines" / "ko.yaml", HERE / "fineweb2.yaml")]
    name = f"prove-{options.tier}-{hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:8]}"
    winnow("prove", *arms, *words, "--out", name, cwd=out)
    found = json.loads((out / name / "results.json").read_text("utf-8"))
    protocol = json.loads((out / name / "protocol.json").read_text("utf-8"))["protocol"]
    took = f"This run took {(time.monotonic() - began) / 60:.0f} minutes; what was done before is not in it."
    named = [f"--{name.replace('_', '-')}" for name, default in (("also", []), ("fineweb2", None), ("seeds", None)) if getattr(options, name) != default]  # fmt: skip
    took += f" It was given {', '.join(named)}." if named else ""
    options.document.write_text(document(found, protocol, took), "utf-8")
    print(options.document)


def pool(out: Path, per_source: int) -> None:
    """OUT/pool.jsonl: what every arm selects from."""
    if (out / "pool.jsonl").exists():
        return
    lines = []
    for path in sorted(DATA.glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if name in WITHOUT:
            continue
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            rows = [row for row in map(json.loads, stream) if 50 <= len(row["text"]) < 20_000]
        rows.sort(key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
        for row in rows[:per_source]:
            kept = {key: row.get(key) for key in ("id", "text", "domain", "noise", "kind")}
            lines.append(json.dumps({**kept, "source": name}, ensure_ascii=False) + "\n")
    half = out / ".pool.jsonl"
    half.write_text("".join(lines), "utf-8")
    half.rename(out / "pool.jsonl")


def targets(out: Path, tier: int) -> None:
    """OUT/targets.yaml. A trained model reads a target in seconds where an n-gram model takes none: at tier 1 they are
    shorter, and its runs are of the length of an arm, so that all of them take under an hour on two cores."""
    held = {
        name: {"paths": [str(DATA / f"{file}.jsonl.gz")], "where": "characters >= 50", "share": share}
        for name, (file, share) in TARGETS.items()
    }
    tree: dict[str, Any] = {
        "pool": {"paths": ["pool.jsonl"]},
        "oracle": "kind = 'good' and domain != 'english-documentation'",
        "caps": {"by": "domain", "share": 0.15},
        "unit": "characters",
        "panels": {"that the recipe's revision did not look at": list(UNSEEN)},
        "targets": held,
    }
    if tier == 1:
        tree["proxy"] = {"tokens": 200_000, "warm_tokens": 1_000_000}
        for target in held.values():
            target["characters"] = 30_000
    (out / "targets.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), "utf-8")


def winnow(*words: str, cwd: Path) -> None:
    """The command, its output shown; its failure ends the experiment."""
    print("$ winnow " + " ".join(words), flush=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-m", "winnow.pipelines.cli", *words], cwd=cwd, env=environment)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
