"""Character n-gram models against the same thing written with dictionaries; hashed words against plain Python."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from winnow.filters.ngram import features, model
from winnow.filters.ngram.symbols import vocabulary

Gram = tuple[int, ...]


class Slow:
    """Counts in dictionaries; probabilities by recursion."""

    def __init__(self, documents: Sequence[Sequence[int]], size: int, order: int) -> None:
        self.order, self.end = order, size
        self.counts: Counter[Gram] = Counter()
        left: defaultdict[Gram, set[int]] = defaultdict(set)
        for document in documents:
            padded = [size + 1] * (order - 1) + [*document, size]
            for at in range(order - 1, len(padded)):
                for n in range(1, order + 1):
                    gram = tuple(padded[at - n + 1 : at + 1])
                    self.counts[gram] += 1
                    if n < order:
                        left[gram].add(padded[at - n])
        self.before = Counter({gram: len(found) for gram, found in left.items()})

    def witten_bell(self, symbol: int, history: Gram) -> float:
        below = 1 / (self.end + 1) if not history else self.witten_bell(symbol, history[1:])
        after = {g[-1]: c for g, c in self.counts.items() if g[:-1] == history}
        total = sum(after.values())
        return (after.get(symbol, 0) + len(after) * below) / (total + len(after)) if total else below

    def kneser_ney(self, symbol: int, history: Gram) -> float:
        n = len(history) + 1
        source = self.counts if n == self.order else self.before
        below = self.kneser_ney(symbol, history[1:]) if history else 1 / (self.end + 1)
        after = {g[-1]: c for g, c in source.items() if len(g) == n and g[:-1] == history}
        if not after:
            return below
        numbers = Counter(min(c, 5) for g, c in source.items() if len(g) == n)
        d = (0.0, *self.discounts([numbers[k] for k in range(1, 5)]))
        freed = sum(d[min(c, 3)] for c in after.values())
        seen = after.get(symbol, 0)
        return (seen - d[min(seen, 3)] + freed * below) / sum(after.values())

    @staticmethod
    def discounts(numbers: list[int]) -> tuple[float, ...]:
        n1, n2, n3, n4 = numbers
        if not (n1 and n2 and n3):
            return model.FALLBACK
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        return found if all(0 < x < k for k, x in enumerate(found, 1)) else model.FALLBACK

    def bits(self, kind: str, document: Sequence[int]) -> float:
        padded = [self.end + 1] * (self.order - 1) + [*document, self.end]
        p = getattr(self, kind)
        return -sum(
            math.log2(p(padded[at], tuple(padded[at - self.order + 1 : at])))
            for at in range(self.order - 1, len(padded))
        )


def zipf(dice: random.Random, size: int, length: int) -> str:
    """Text whose n-gram counts fall as those of natural text, so that discounts come from counts."""
    out = ["가"]
    for _ in range(length - 1):
        step = min(int(dice.paretovariate(0.9)), size)
        out.append(chr(ord("가") + (ord(out[-1]) - ord("가") + step) % size))
    return "".join(out)


@pytest.mark.parametrize(("order", "seed"), [(1, 0), (2, 1), (3, 2), (5, 3), (5, 4)])
def test_as_with_dictionaries(order: int, seed: int) -> None:
    dice = random.Random(seed)
    arm = [zipf(dice, 12, dice.randint(0, 90)) for _ in range(8)]
    held = [zipf(dice, 14, dice.randint(0, 40)) for _ in range(4)]
    known = vocabulary([*arm, *held])
    trie = model.counted(*known.encode(arm), known.size, order)
    slow = Slow([known.encode([text])[0].tolist() for text in arm], known.size, order)
    grams = {n: sum(len(g) == n for g in slow.counts) for n in range(1, order + 1)}
    assert {n: int((trie.orders == n).sum()) for n in grams} == grams
    for kind, found in zip(("witten_bell", "kneser_ney"), trie.bits(*known.encode(held)), strict=True):
        expected = [slow.bits(kind, known.encode([text])[0].tolist()) for text in held]
        assert np.allclose(found, expected, rtol=1e-12), kind


def test_probabilities_sum_to_one() -> None:
    """After every history, over each character and the end of the document; and texts of any length come to 1 together."""
    dice = random.Random(7)
    arm = [zipf(dice, 9, 60) for _ in range(6)]
    known = vocabulary([*arm, "힣"])
    slow = Slow([known.encode([text])[0].tolist() for text in arm], known.size, 4)
    histories = [(), (0,), (1, 2), (0, 0, 0), (known.size - 1,) * 3, tuple(known.encode([arm[0]])[0][:3].tolist())]
    for p in (slow.witten_bell, slow.kneser_ney):
        for history in histories:
            assert math.isclose(sum(p(symbol, history) for symbol in range(known.size + 1)), 1)
    few = vocabulary(["가나"])
    trie = model.counted(*few.encode(["가나가", "나"]), few.size, 3)
    total, texts = np.zeros(2), [""]
    for _ in range(15):
        total += (2.0 ** -trie.bits(*few.encode(texts))).sum(axis=1)
        texts = [text + letter for text in texts for letter in "가나"]
    assert (total > 0.99).all() and (total <= 1 + 1e-9).all()


def test_pieces_and_order_of_documents_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(3)
    arm = [zipf(dice, 200, dice.randint(1, 400)) for _ in range(60)]
    known = vocabulary(arm)
    held = known.encode(arm[:5])
    once = model.counted(*known.encode(arm), known.size)
    monkeypatch.setattr(model, "PIECE", 100)
    pieces = model.counted(*known.encode(arm[::-1]), known.size)
    assert (once.bits(*held) == pieces.bits(*held)).all()
    some = known.encode(arm[:7])
    for trie, expected in zip(
        model.counted_at(*known.encode(arm), known.size, [7, 60]), (model.counted(*some, known.size), once), strict=True
    ):
        assert (trie.bits(*held) == expected.bits(*held)).all()


def test_a_character_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"U\+B098 is outside"):
        vocabulary(["가"]).encode(["가나"])


def test_words_and_pairs_of_words() -> None:
    """As many n-grams as NLTK's pattern finds words, equal ones in equal buckets, whatever the letters' case."""
    import re

    texts = ["오늘은, 좋은 날이다!! A_1 b", "", "  \n", "오늘은 A_1 B a_1 b"]
    found, bounds = features.buckets_of(texts)
    for number, text in enumerate(texts):
        words = re.findall(r"\w+|[^\w\s]+", text.lower())
        assert bounds[number + 1] - bounds[number] == max(0, 2 * len(words) - 1)
    last = found[bounds[3] : bounds[4]].tolist()
    words = "오늘은 a_1 b a_1 b".split()
    grams = [words[0]]
    for one, two in itertools.pairwise(words):
        grams += [two, f"{one} {two}"]
    assert {(a, b) for a, x in zip(grams, last, strict=True) for b, y in zip(grams, last, strict=True) if x == y} == {
        (a, b) for a in grams for b in grams if a == b
    }


def test_the_cost_of_buckets_is_a_code() -> None:
    found, _ = features.buckets_of(["가 나 다 라 " * 50])
    assert np.isclose((2.0 ** -features.cost(found)).sum(), 1)
