"""The judgement of `winnow prove` at tier 0, on planted pools whose order is known; seconds of a full experiment.

`python tests/bench/bench_prove.py [--repetitions 40] [--amount 300k] [--only false|planted|time]` over ../shared/data/ko-pool.
False wins: two random halves of the pool, two random samples of 70% of it (which share half of it), and two draws of one half
are compared, again and again; each win or loss over all targets is a false one (goal: at most 5%). z is the root of the mean
squared difference in standard errors: 1 where intervals are exact, below where they are too wide. Planted: half of the good documents, and the same with a share of its characters taken by junk, by
machine translation, by documents of shuffled words or of another domain; the untouched arm must win, and less junk must
win against more (goal: at least 95% of verdicts). What is planted differs in every repetition.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from winnow.pipelines.prove.arms import Arm, paired, read_arm
from winnow.pipelines.prove.draw import common_amount, sizes_in, urns_of
from winnow.pipelines.prove.experiment import Outcome, carry_out
from winnow.pipelines.prove.held_out import Held, hold_out
from winnow.pipelines.prove.probe import HashedWords, Ngrams, closed
from winnow.pipelines.prove.protocol import Caps, Targets, amount_of
from winnow.pipelines.prove.verdict import compare

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ko-pool"
HOLD_OUT = {"news": ("wikinews", 0.5), "essays": ("nanet-book-reviews", 0.4), "education": ("unesco-ko", 0.5)}
HOLD_OUT |= {"blog": ("acorn-blog", 0.4), "law": ("law-kr", 0.2), "religion": ("bible-korrv", 0.2)}
SHARES = (5, 10, 20, 50)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--amount", default="300k")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", choices=["false", "planted", "time"])
    options = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} is not there")
        return
    given = settings(options.seeds, 60_000)
    held = hold_out(given, Path(), "bench")
    amount = amount_of(options.amount, "--amount")
    whole = read_arm("random", "random", 0, given, held, amount).frame
    if options.only in (None, "false"):
        false_wins(whole, given, held, amount, options.repetitions)
    if options.only in (None, "planted"):
        planted(whole, given, held, amount, options.repetitions)
    if options.only in (None, "time"):
        took(given, held)


def settings(seeds: int, characters: int) -> Targets:
    """The pool and the targets, of so many characters each."""
    return Targets.model_validate(
        {
            "pool": {
                "paths": [f"{DATA}/*.jsonl.gz"],
                "where": "characters < 20000 and file not in ('dup-exact', 'law-versions', 'docs-versions')",
            },
            "oracle": "kind = 'good'",
            "unit": "characters",
            "seeds": seeds,
            "targets": {
                name: {"where": f"file = '{file}'", "share": share, "characters": characters}
                for name, (file, share) in HOLD_OUT.items()
            },
        }
    )


def watched(said: str) -> None:
    """Shows how far it is."""
    print(said, file=sys.stderr, flush=True)


def false_wins(whole: pl.DataFrame, given: Targets, held: Held, amount: int, repetitions: int) -> None:
    """Two halves of the pool that share nothing, two samples of it, two draws of one half."""
    wrong: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    squared: Counter[str] = Counter()
    for number in range(repetitions):
        order, other = (np.random.default_rng(seed).permutation(len(whole)) for seed in (number, 10_000 + number))
        half, most = len(order) // 2, 7 * len(order) // 10
        one, two = arm("a", whole[order[:half]]), arm("b", whole[order[half:]])
        samples = [arm("a", whole[order[:most]]), arm("b", whole[other[:most]])]
        again = arm("b", one.frame, draw=1)
        for kind, arms in (("halves", [one, two]), ("samples", samples), ("draws", [one, again])):
            for measure in measured(paired(arms, held), given, held, amount).measures:
                over_all, each = compare(measure.measured, "a", "b", given.level)
                name = f"{kind}: {measure.name}"
                wrong[name] += over_all.verdict != "tie"
                targets[name] += any(e.verdict != "tie" for e in each.values())
                squared[name] += (over_all.value / over_all.error) ** 2
        if number % 10 == 9 or number + 1 == repetitions:
            for name, count in wrong.items():
                z = (squared[name] / (number + 1)) ** 0.5
                said = f"{count} of {number + 1} false wins, on any target {targets[name]}; z {z:.2f}"
                print(f"{name}: {said}", flush=True)


def planted(whole: pl.DataFrame, given: Targets, held: Held, amount: int, repetitions: int) -> None:
    """Pairs with a known order."""
    right: dict[str, Counter[str]] = {}
    for number in range(repetitions):
        dice = np.random.default_rng(1000 + number)
        good, noisy = (whole.filter(pl.col("kind") == kind) for kind in ("good", "noisy"))
        base = good[dice.permutation(len(good))[: len(good) // 2]]
        translated = noisy.filter(pl.col("domain").str.ends_with("-mt"))
        other = whole.filter(pl.col("domain").is_in(["english-documentation", "mixed-language-pages"]))
        texts = pl.Series([words_shuffled(text, number) for text in base.get_column("text")])
        shuffled = base.with_columns(texts.alias("text"), pl.col("id") + " shuffled")
        arms = [arm("junk 0", base)]
        arms += [arm(f"junk {share}", mixed(base, noisy, share / 100, dice)) for share in SHARES]
        for name, bad in (("translated", translated), ("shuffled words", shuffled), ("English", other)):
            arms.append(arm(name, mixed(base, bad, 0.3, dice)))
        outcome = measured(paired(arms, held), given, held, amount)
        names = ["junk 0", *(f"junk {share}" for share in SHARES)]
        pairs = [(a, b) for n, a in enumerate(names) for b in names[n + 1 :]]
        pairs += [("junk 0", arm.name) for arm in arms if not arm.name.startswith("junk")]
        for measure in outcome.measures:
            for better, worse in pairs:
                verdict = compare(measure.measured, better, worse, given.level)[0].verdict
                right.setdefault(measure.name, Counter())[f"{better} < {worse}"] += verdict == "win"
    for name, counts in right.items():
        total = sum(counts.values())
        print(
            f"right verdicts: {name}: {total} of {repetitions * len(counts)} ({total / repetitions / len(counts):.1%})"
        )
        print("   " + ", ".join(f"{pair} {count}/{repetitions}" for pair, count in counts.items()))


def took(given: Targets, held: Held) -> None:
    """6 arms x 5 seeds x 900,000 characters x 6 targets of 200,000."""
    full = Targets.model_validate(
        {
            **given.model_dump(),
            "targets": {name: {**t.model_dump(), "characters": 200_000} for name, t in given.targets.items()},
            "seeds": 5,
            "caps": Caps(share=0.15),
        }
    )
    began = time.perf_counter()
    held = hold_out(full, Path(), "bench")
    arms = [read_arm(f"arm {n}", ("random", "oracle")[n % 2], n, full, held, 900_000) for n in range(6)]
    measured(paired(arms, held), full, held, 900_000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"6 arms, 5 seeds, 900,000 characters, 6 targets: {time.perf_counter() - began:.0f} s, peak {peak:.1f} GiB")


def arm(name: str, frame: pl.DataFrame, draw: int = 0) -> Arm:
    """An arm of these documents."""
    from winnow.pipelines.prove.protocol import ArmRecord

    size = int(frame.get_column("text").str.len_chars().sum())
    record = ArmRecord(name=name, reference=name, digest="", documents=len(frame), characters=size, draw=draw)
    return Arm(record, frame, frame.get_column("id"), np.zeros(len(frame), np.int64))


def mixed(base: pl.DataFrame, bad: pl.DataFrame, share: float, dice: np.random.Generator) -> pl.DataFrame:
    """The base with so large a share of its characters given up for others."""
    sizes = base.get_column("text").str.len_chars().cast(pl.Int64)
    order = dice.permutation(len(base))
    room = share * float(sizes.sum())
    kept = order[np.cumsum(sizes.to_numpy()[order]) > room]
    others = dice.permutation(len(bad))
    filling = np.cumsum(bad.get_column("text").str.len_chars().cast(pl.Int64).to_numpy()[others])
    return pl.concat([base[np.sort(kept)], bad[others[: int(np.searchsorted(filling, room)) + 1]]])


def words_shuffled(text: str, seed: int) -> str:
    """The text's words in another order."""
    words = text.split()
    random.Random(f"{seed} {len(text)}").shuffle(words)
    return " ".join(words)


def measured(arms: list[Arm], given: Targets, held: Held, amount: int) -> Outcome:
    """Tier 0 of these arms."""
    texts = [text for one in arms for text in one.frame.get_column("text")]
    known = closed([*texts, *(text for target in held.targets for text in target.texts)])
    urns = urns_of(arms, sizes_in("characters", ""), given.caps)
    drawn = common_amount(urns, amount, "characters")
    with tempfile.TemporaryDirectory() as folder:
        tiers = [Ngrams(given.order, known), HashedWords()]
        return carry_out(urns, held.targets, tiers, drawn, range(given.seeds), Path(folder), None, lambda _: None)


if __name__ == "__main__":
    sys.exit(main())
