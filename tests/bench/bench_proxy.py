"""What tier 1 of `winnow prove` tells apart on real Korean text, and what a run of it costs.

    python tests/bench/bench_proxy.py [--data ../shared/data] [--out FOLDER] [--seeds 5] [--tokens 400000] [--repeat 1]

Arms are planted in the good part of ko-pool, no domain above a fifth of an arm, equal characters in each: clean; clean again,
drawn otherwise (a verdict there is a false one); 5% of junk in it; a third of its characters twice, and four times. What
two arms share is the same in both. Figures are bits per UTF-8 byte over held-out news, reviews, essays and blogs, at each
learning rate, with the interval that `winnow prove` gives. Runs are kept in --out and not repeated.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from winnow.pipelines.prove.proxy.on_ray import Sent, on_ray
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.proxy.tier import ProxyTier, tiers
from winnow.pipelines.prove.verdict import Measured, compare

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("news", "essay-review", "education-science-culture", "blog")
DOCUMENTS, LONGEST, SHARE = 40, 3000, 0.2
JUNK = ("html-pages", "ui-strings-po", "ui-strings", "pages-with-navigation", "changelog", "damaged", "lists-templates")

Rows = list[tuple[str, str]]
"""Domain and text, in the order of a hash."""


def hashed(text: str, salt: str) -> bytes:
    return hashlib.blake2b(f"{salt}/{text}".encode(), digest_size=8).digest()


def read(folder: Path) -> tuple[dict[str, list[str]], Rows, Rows]:
    """Targets, the good rest, junk."""
    good, bad = [], []
    for path in sorted(folder.glob("**/*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                text = record["text"][:LONGEST]
                if record["kind"] == "good" and record["domain"] != "english-documentation":
                    good.append((record["domain"], text))
                elif record["domain"] in JUNK:
                    bad.append((record["domain"], text))
    good.sort(key=lambda row: hashed(row[1], "targets"))
    targets: dict[str, list[str]] = {name: [] for name in TARGETS}
    rest = []
    for domain, text in good:
        if len(targets.get(domain, [0] * DOCUMENTS)) < DOCUMENTS:
            targets[domain].append(text)
        else:
            rest.append((domain, text))
    held = {text for texts in targets.values() for text in texts}
    return targets, [row for row in rest if row[1] not in held], bad


def drawn(rows: Rows, amount: int, salt: str) -> list[str]:
    """Texts that come to `amount` characters, no domain above SHARE of them."""
    texts, left, room = [], amount, defaultdict(lambda: int(amount * SHARE))
    for domain, text in sorted(rows, key=lambda row: hashed(row[1], salt)):
        piece = text[: min(left, room[domain])]
        if piece:
            texts.append(piece)
            left -= len(piece)
            room[domain] -= len(piece)
        if not left:
            return texts
    raise SystemExit(f"the pool ends {left:,} characters short of {amount:,}")


def cut(texts: Sequence[str], amount: int) -> list[str]:
    """The first texts that come to `amount`."""
    out, left = [], amount
    for text in texts:
        if left > 0:
            out.append(text[:left])
            left -= len(text)
    return out


def arms(good: Rows, junk: Rows, amount: int, seed: int, repeat: int) -> Iterator[tuple[str, list[str]]]:
    clean = drawn(good, amount, f"{seed}/0")
    yield "clean", clean
    for number in range(1, repeat + 1):
        yield f"clean again {number}", drawn(good, amount, f"{seed}/{number}")
    bad = [("junk", text) for _, text in junk]
    shuffled = sorted(bad, key=lambda row: hashed(row[1], f"{seed}"))
    yield "5% junk", [*cut(clean, amount - amount // 20), *cut([text for _, text in shuffled], amount // 20)]
    for times in (2, 4):
        part = amount // 3
        again = cut(clean[::-1], part // times)
        yield f"a third {times} times", [*cut(clean, amount - part), *(text for _ in range(times) for text in again)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="arms of clean text to compare with clean")
    parser.add_argument("--only", nargs="+", default=[], help="arms beside clean; default: all")
    parser.add_argument("--characters", type=int, help="of an arm; default: two a token of training")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a setting of the proxy")
    parser.add_argument("--here", action="store_true", help="one run after the other in this process")
    given = parser.parse_args()
    if not (given.data / "ko-pool").is_dir():
        print(f"skipped: {given.data / 'ko-pool'} is not there")
        return
    changed = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in given.set)}
    settings = ProxySettings.model_validate(changed)
    targets, good, junk = read(given.data / "ko-pool")
    pool = [text for _, text in sorted([*good, *junk], key=lambda row: hashed(row[1], "pool"))]
    with TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        began = time.perf_counter()
        trained = tiers(lambda: iter(pool), settings, 0, out / "proxy")
        print(f"prepared in {time.perf_counter() - began:.0f} s; a run is {settings.tokens:,} tokens")
        amount = given.characters or 2 * settings.tokens
        if given.here:
            measure(trained, 1, targets, good, junk, amount, given, out)
        else:
            with on_ray(settings) as cluster:
                sent = [cluster.send(tier) for tier in trained]
                measure(sent, cluster.workers, targets, good, junk, amount, given, out)


def measure(
    trained: Sequence[ProxyTier | Sent],
    workers: int,
    targets: Mapping[str, list[str]],
    good: Rows,
    junk: Rows,
    amount: int,
    given: argparse.Namespace,
    out: Path,
) -> None:
    found: dict[tuple[str, str, int], dict[str, np.ndarray]] = {}

    def score(tier: ProxyTier | Sent, name: str, texts: list[str], seed: int) -> None:
        key = hashlib.sha256(json.dumps([tier.identity, texts, seed]).encode()).hexdigest()[:16]
        path = out / f"{key}.json"
        if not path.is_file():
            began = time.perf_counter()
            bits = tier.score(texts, seed, targets, out / key)[tier.name].bits
            path.write_text(json.dumps({target: values.tolist() for target, values in bits.items()}))
            print(f"{tier.name} {name} seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
        found[tier.name, name, seed] = {t: np.array(v) for t, v in json.loads(path.read_text()).items()}

    for seed in range(given.seeds):
        with ThreadPoolExecutor(workers) as threads:
            jobs = [
                threads.submit(score, tier, name, texts, seed)
                for name, texts in arms(good, junk, amount, seed, given.repeat)
                if not given.only or name in ("clean", *given.only)
                for tier in trained
            ]
            for job in jobs:
                job.result()
        if seed >= 1:
            show(found, [tier.name for tier in trained], targets, seed + 1)


def show(
    found: Mapping[tuple[str, str, int], dict[str, np.ndarray]],
    names: Sequence[str],
    targets: Mapping[str, list[str]],
    seeds: int,
) -> None:
    every = tuple(dict.fromkeys(arm for _, arm, _ in found))
    sizes = {target: np.array([len(text.encode()) for text in texts]) for target, texts in targets.items()}
    groups = {target: np.arange(len(texts)) for target, texts in targets.items()}
    for tier in names:
        bits = {t: np.array([[found[tier, arm, seed][t] for seed in range(seeds)] for arm in every]) for t in targets}
        measured = Measured(every, bits, sizes, groups, np.zeros(len(every)), np.ones((len(every), len(every))))
        rates = {arm: np.mean([rate[n].mean() for rate in measured.rates().values()]) for n, arm in enumerate(every)}
        print(f"{tier}, {seeds} seeds: clean {rates['clean']:.4f} bits a byte; each arm less clean:")
        for arm in every[1:]:
            whole, _ = compare(measured, arm, "clean", 0.95)
            print(f"  {arm:<18} {whole.value:+.5f} [{whole.low:+.5f}, {whole.high:+.5f}] {whole.verdict}")


if __name__ == "__main__":
    main()
