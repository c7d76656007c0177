"""What tier 1 of `winnow prove` tells apart on real Korean text, and what a run of it costs.

    python tests/bench/bench_proxy.py [--out FOLDER] [--seeds 5] [--amount 300k] [--only false|planted] [--set KEY=JSON ...]

Over the good documents of ../shared/data/ko-pool; what a setting of the proxy is not given is its default. False wins: five
samples that share no document, which make ten pairs; each win or loss is a false one. Planted: the documents as they are;
5% of their characters taken by junk; a third by texts that stand there twice, and four times. Figures are bits per UTF-8
byte over all targets, with the interval of `winnow prove`. What is measured is kept in --out and not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from bench_prove import DATA, arm, mixed, settings, watched

from winnow.pipelines.prove.arms import Arm, paired, read_arm
from winnow.pipelines.prove.draw import common_amount, sizes_in, urns_of
from winnow.pipelines.prove.experiment import carry_out
from winnow.pipelines.prove.held_out import Held, hold_out
from winnow.pipelines.prove.protocol import amount_of
from winnow.pipelines.prove.proxy.on_ray import Cluster, on_ray
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.proxy.tier import ProxyTier, tiers
from winnow.pipelines.prove.verdict import compare

SAMPLES = 5
LEVEL = 0.95


def main() -> None:
    """Prints the pairs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--amount", default="300k")
    parser.add_argument("--characters", type=int, default=20_000, help="of each target")
    parser.add_argument("--only", choices=["false", "planted"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a setting of the proxy")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} is not there")
        return
    changed = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in options.set)}
    proxy = ProxySettings.model_validate(changed)
    given = settings(options.seeds, options.characters)
    held, amount = hold_out(given, Path(), "bench"), amount_of(options.amount, "--amount")
    whole = read_arm("random", "random", 0, given, held, amount * 4).frame
    good, noisy = (whole.filter(pl.col("kind") == kind) for kind in ("good", "noisy"))
    dice = np.random.default_rng(0)
    order = dice.permutation(len(good))
    samples = [arm(f"sample {n + 1}", good[np.sort(order[n::SAMPLES])]) for n in range(SAMPLES)]
    planted = [arm("clean", good), arm("5% junk", mixed(good, noisy, 0.05, dice))]
    planted += [arm(f"a third {times} times", repeated(good, times, dice)) for times in (2, 4)]
    with TemporaryDirectory() as scratch, on_ray(proxy) as cluster:
        out = options.out or Path(scratch)
        began = time.perf_counter()
        texts = whole.get_column("text")
        trained = tiers(lambda: iter(texts), proxy, 0, out / "proxy")
        print(f"warmed in {time.perf_counter() - began:.0f} s; a run is {proxy.tokens:,} tokens", flush=True)
        if options.only in (None, "planted"):
            show(planted, trained, cluster, held, amount, options.seeds, out)
        if options.only in (None, "false"):
            show(samples, trained, cluster, held, amount, options.seeds, out)
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20
    print(f"peak of this process and its largest child {peak:.1f} GiB")


def repeated(base: pl.DataFrame, times: int, dice: np.random.Generator) -> pl.DataFrame:
    """As many characters, a third of them in texts that stand there so often."""
    order = dice.permutation(len(base))
    share = np.cumsum(base.get_column("text").str.len_chars().cast(pl.Int64).to_numpy()[order])
    share = share / share[-1]
    once, again = base[order[share <= 2 / 3]], base[order[(share > 2 / 3) & (share <= 2 / 3 + 1 / 3 / times)]]
    return pl.concat([once, *(again.with_columns(pl.col("id") + f"#{n}") for n in range(times))])


def show(
    arms: list[Arm], trained: list[ProxyTier], cluster: Cluster, held: Held, amount: int, seeds: int, out: Path
) -> None:
    """Every pair of samples, or each arm less the first."""
    urns = urns_of(paired(arms, held), sizes_in("characters", ""), None)
    drawn = common_amount(urns, amount, "characters")
    sent = [cluster.send(tier) for tier in trained]
    outcome = carry_out(urns, held.targets, sent, drawn, range(seeds), out, None, watched, cluster.workers)
    runs = [seconds for times in outcome.seconds.values() for seconds in times.values()]
    print(f"{drawn:,} characters of each arm, {seeds} seeds; a run took {sum(runs) / len(runs) / seeds:.0f} s")
    names = [one.name for one in arms]
    pairs = [*itertools.combinations(names, 2)] if names[0] != "clean" else [(name, names[0]) for name in names[1:]]
    for measure in outcome.measures:
        wrong = 0
        for a, b in pairs:
            e = compare(measure.measured, a, b, LEVEL)[0]
            wrong += e.verdict != "tie"
            print(f"{measure.name}: {a} less {b}: {e.value:+.5f} [{e.low:+.5f}, {e.high:+.5f}] {e.verdict}")
        print(f"{measure.name}: {wrong} of {len(pairs)} pairs differ", flush=True)


if __name__ == "__main__":
    main()
