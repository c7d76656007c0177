"""Made documents of junk, from real words: what crawls hold and no labelled corpus does.

Five kinds. `keywords`: lists of words without endings or grammar; `menu`: navigation labels and scraps of three
words on lines; `shuffled`: real passages with their words in random order; `repeated`: one phrase over and over;
`spam`: stock advertising phrases among keywords. Lengths follow the recipe, so that length tells nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from winnow.classifiers.recipe import Junk

_SEPARATORS = (" ", ", ", " | ", " / ", "\n", " · ", " #")


def junk_documents(junk: Junk, texts: Sequence[str], seed: int, share: float) -> Iterator[tuple[str, str]]:
    """(kind, text) of `share` of the documents that the recipe asks for, made from the words of `texts`."""
    if not texts:
        return
    for kind, count in junk.kinds.items():
        for number in range(math.ceil(count * share)):
            # A string seeds Random through sha512, the same on every platform and Python version.
            yield kind, _MAKERS[kind](junk, texts, random.Random(f"{seed} {kind} {number}"))


def _target(junk: Junk, rng: random.Random) -> int:
    return int(math.exp(rng.uniform(math.log(junk.chars[0]), math.log(junk.chars[1]))))


def _word(texts: Sequence[str], rng: random.Random) -> str:
    words: list[str] = []
    while not words:
        words = texts[int(rng.random() * len(texts))][:2000].split()
    return words[int(rng.random() * len(words))]


def _stem(word: str) -> str:
    """A word without its final punctuation and, where it is longer than two syllables, without its last particle."""
    word = word.strip("()[]{}<>\"'“”‘’.,!?…~:;")
    for ending in (
        "에서",
        "으로",
        "까지",
        "부터",
        "에게",
        "은",
        "는",
        "이",
        "가",
        "을",
        "를",
        "의",
        "에",
        "로",
        "와",
        "과",
        "도",
    ):
        if len(word) > len(ending) + 1 and word.endswith(ending):
            return word[: -len(ending)]
    return word


def _keywords(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    target = _target(junk, rng)
    # Keyword pages turn around few words: a small pool drawn from again and again.
    pool = [stem for _ in range(rng.randint(8, 120)) if (stem := _stem(_word(texts, rng)))]
    separator = _SEPARATORS[int(rng.random() * len(_SEPARATORS))]
    words: list[str] = []
    while pool and sum(map(len, words)) < target:
        words.append(" ".join(pool[int(rng.random() * len(pool))] for _ in range(rng.randint(1, 3))))
    return separator.join(words)


def _menu(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    target = _target(junk, rng)
    lines: list[str] = []
    while sum(map(len, lines)) < target:
        if junk.navigation and rng.random() < 0.6:
            lines.append(junk.navigation[int(rng.random() * len(junk.navigation))])
        elif rng.random() < 0.3:
            lines.append(f"{rng.randint(1, 2030)}.{rng.randint(1, 12):02d}.{rng.randint(1, 31):02d}")
        else:
            lines.append(" ".join(_stem(_word(texts, rng)) for _ in range(rng.randint(1, 3))))
    return ("\n" if rng.random() < 0.6 else " ").join(lines)


def _shuffled(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    words: list[str] = []
    target = _target(junk, rng)
    while sum(map(len, words)) < target:
        words += texts[int(rng.random() * len(texts))][:2000].split()
    rng.shuffle(words)
    return " ".join(words)[:target]


def _repeated(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    words: list[str] = []
    while len(words) < 3:
        words = texts[int(rng.random() * len(texts))][:2000].split()
    start = int(rng.random() * (len(words) - 2))
    phrase = " ".join(words[start : start + rng.randint(2, 8)])
    joiner = "\n" if rng.random() < 0.5 else " "
    return joiner.join([phrase] * max(4, _target(junk, rng) // (len(phrase) + 1)))


def _spam(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    target = _target(junk, rng)
    parts: list[str] = []
    while sum(map(len, parts)) < target:
        if junk.spam and rng.random() < 0.7:
            parts.append(junk.spam[int(rng.random() * len(junk.spam))])
        else:
            parts.append(_stem(_word(texts, rng)))
    return ("\n" if rng.random() < 0.3 else " ").join(parts)


_MAKERS = {"keywords": _keywords, "menu": _menu, "shuffled": _shuffled, "repeated": _repeated, "spam": _spam}
