"""The modified Kneser-Ney estimate against one of dictionaries, written from the formulas, and against KenLM's own `lmplz`."""

from __future__ import annotations

import gzip
import json
import math
import random
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from winnow.classifiers.kenlm_fit import arpa, numbered
from winnow.filters.ngram.kneser_ney import FALLBACK, estimate

Gram = tuple[str, ...]
Model = dict[Gram, tuple[float, float]]
FOLDER = Path(__file__).parent
"""lmplz.arpa.gz is what lmplz of KenLM 0.3.0 made of `made_text()` with `-o 4 --prune 0 0 1 1 --discount_fallback`, lmplz-60-words
with `-o 3 --prune 0 0 1 --discount_fallback` and its 60 most frequent words as `--limit_vocab_file`."""


def made_text() -> list[str]:
    """600 sentences of a small grammar, most of its words rare."""
    rng = random.Random("kneser and ney")
    stems = [f"{a}{b}" for a in "가나다라마바사아자차카타파하" for b in "강산물불길집달별꽃새"]
    weights = [1 / (rank + 1) for rank in range(len(stems))]
    particles = ["은", "는", "이", "가", "을", "를", "에서", ""]
    lines = []
    for number in range(600):
        words = [stem + rng.choice(particles) for stem in rng.choices(stems, weights, k=rng.randrange(1, 9))]
        lines.append(" ".join([*words, rng.choice(["간다", "본다", "한다", f"{number % 37}번"])]))
    return [*lines, *lines[:40]]


def most_frequent(limit: int | None) -> set[str] | None:
    return {word for word, _ in Counter(" ".join(made_text()).split()).most_common(limit)} if limit else None


def parsed(lines: Sequence[str]) -> Model:
    found: Model = {}
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) >= 2:
            found[tuple(fields[1].split(" "))] = (float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0)
    return found


def ours(sentences: list[str], order: int, prune: Sequence[int], vocabulary: set[str] | None = None) -> Model:
    text, names = numbered(line.encode() for line in sentences)
    kept = None if vocabulary is None else np.array([name.decode() in vocabulary for name in names])
    made = b"".join(arpa(estimate(text, len(names), order, prune, kept), names, 7)).decode()
    return parsed(made.split("\n"))


def by_dictionaries(
    sentences: list[str], order: int, prune: Sequence[int], vocabulary: set[str] | None = None
) -> Model:
    """log10 of probabilities and back-offs by n-gram, from the definitions."""
    raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
    for line in filter(None, sentences):
        words = ("<s>", *line.split(), "</s>")
        for n in range(1, order + 1):
            raw[n].update(words[i : i + n] for i in range(len(words) - n + 1))
    adjusted: list[dict[Gram, int]] = [{}]
    for n in range(1, order + 1):
        before: dict[Gram, set[str]] = defaultdict(set)
        for gram in raw[n + 1] if n < order else ():
            before[gram[1:]].add(gram[0])
        full = n == order
        adjusted.append({g: c if full or g[0] == "<s>" else len(before[g]) for g, c in raw[n].items()})
    adjusted[1] |= {("<unk>",): 0, ("<s>",): 0}
    numbers = list(dict.fromkeys(["<unk>", "<s>", "</s>", *" ".join(sentences).split()]))
    last = max(raw[order], key=lambda g: [numbers.index(word) for word in reversed(g)])
    found: Model = {}
    own = [g for g in adjusted[1] if vocabulary is None or g[0] in vocabulary | {"<unk>", "</s>"}]
    p: dict[Gram, float] = {(): 1 / (len(own) - (vocabulary is None))}
    for n in range(1, order + 1):
        stats = Counter(adjusted[n].values())
        if n < order:
            stats[adjusted[n][last[-n:]]] -= 1
            stats[raw[n][last[-n:]]] += 1
        discounts = [0.0, *FALLBACK]
        if stats[1] and stats[2] and stats[3]:
            y = stats[1] / (stats[1] + 2 * stats[2])
            found_own = [k - (k + 1) * y * stats[k + 1] / stats[k] for k in (1, 2, 3)]
            discounts = [0.0, *found_own] if all(0 <= d <= k for k, d in enumerate(found_own, 1)) else discounts
        cut = prune[min(n, len(prune)) - 1]
        special = {"<unk>", "<s>", "</s>"}

        def known(gram: Gram) -> bool:
            return vocabulary is None or all(word in vocabulary | special for word in gram)  # noqa: B023

        kept = {g: (n == 1 or raw[n][g] > cut) and known(g) for g in adjusted[n]}
        total, freed = Counter[Gram](), defaultdict[Gram, float](float)
        for gram, count in adjusted[n].items():
            total[gram[:-1]] += count
            freed[gram[:-1]] += discounts[min(count, 3)] if kept[gram] else count
        for context in total:
            if context in found:
                found[context] = (found[context][0], math.log10(freed[context] / total[context]))
        here = {}
        for gram, count in adjusted[n].items():
            context = gram[:-1]
            here[gram] = (count - discounts[min(count, 3)]) / total[context]
            here[gram] += freed[context] / total[context] * p[gram[1:]]
            if gram == ("<s>",):
                here[gram] = 1.0
            if kept[gram]:
                found[gram] = (math.log10(here[gram]), 0.0)
        p |= here
    return found


def assert_equal(one: Model, other: Model, within: float) -> None:
    assert one.keys() == other.keys()
    worst = max(one, key=lambda g: max(abs(a - b) for a, b in zip(one[g], other[g], strict=True)))
    assert one[worst] == pytest.approx(other[worst], abs=within), worst


@pytest.mark.parametrize(
    ("order", "prune", "limit"),
    [(2, (0,), None), (3, (0,), None), (4, (0, 0, 1), None), (5, (0, 1, 1, 2), None), (3, (0, 0, 1), 60)],
)
def test_the_estimate_is_that_of_the_formulas(order: int, prune: tuple[int, ...], limit: int | None) -> None:
    text = made_text()
    vocabulary = most_frequent(limit)
    assert_equal(ours(text, order, prune, vocabulary), by_dictionaries(text, order, prune, vocabulary), 1e-6)


def test_a_text_too_small_for_discounts_takes_the_fallback() -> None:
    assert_equal(ours(["가 나 다", "가 나"], 3, (0,)), by_dictionaries(["가 나 다", "가 나"], 3, (0,)), 1e-6)
    text, names = numbered([b"a b c"])
    assert estimate(text, len(names), 3).fallback == (1, 2, 3)
    with pytest.raises(ValueError, match="no unit"):
        estimate(numbered([b"", b" <s> </s>"])[0], 3, 2)


@pytest.mark.parametrize(
    ("file", "order", "prune", "limit"), [("lmplz", 4, (0, 0, 1, 1), None), ("lmplz-60-words", 3, (0, 0, 1), 60)]
)
def test_the_estimate_is_lmplz_s(file: str, order: int, prune: tuple[int, ...], limit: int | None) -> None:
    with gzip.open(FOLDER / f"{file}.arpa.gz", "rt", encoding="utf-8") as lines:
        theirs = parsed(list(lines))
    assert len(theirs) > 200
    assert_equal(ours(made_text(), order, prune, most_frequent(limit)), theirs, 1e-5)


def test_the_estimate_of_real_text_is_lmplz_s_where_it_is_installed(data: Path, tmp_path: Path) -> None:
    lmplz = shutil.which("lmplz")
    if lmplz is None:
        pytest.skip("needs KenLM's lmplz on the path")
    with gzip.open(data / "ko-pool" / "wikinews.jsonl.gz", "rt", encoding="utf-8") as lines:
        sentences = [" ".join(line.split()[:60]) for row in lines for line in json.loads(row)["text"].split("\n")]
    sentences = [line for line in sentences if line]
    for options in (["-o", "5"], ["-o", "3", "--prune", "0", "1", "2"]):
        command = [lmplz, *options, "--discount_fallback", "--skip_symbols", "-T", str(tmp_path), "-S", "100M"]
        done = subprocess.run(command, input="\n".join([*sentences, ""]), capture_output=True, text=True, check=True)
        prune = [int(n) for n in options[3:]] or [0]
        assert_equal(ours(sentences, int(options[1]), prune), parsed(done.stdout.split("\n")), 1e-4)
