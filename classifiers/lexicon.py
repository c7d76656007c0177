"""Word lists that label texts weakly, and documents made of their words: how topics are learned where no labelled prose is.

A lexicon file has one topic per line, `topic: word word ...`, and comments after `#`. A word counts where a word of the text
begins with it (Korean particles follow the word), the longest such word only, and once per text.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from winnow.classifiers.recipe import FOLDER, RecipeError, Seeds, word_files

_WORD = re.compile(r"[^\W_]+")
_LONGEST = 12


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`words`: topic to its words in file order; `topics`: word to the topics that list it."""

    words: dict[str, tuple[str, ...]]
    topics: dict[str, tuple[str, ...]]


@cache
def load_lexicon(name: str) -> Lexicon:
    """A lexicon by its shipped file name or by path. Raises RecipeError."""
    path = FOLDER / name if (FOLDER / name).is_file() else Path(name)
    if not path.is_file():
        raise RecipeError(f"no lexicon '{name}': expected a path or one of {', '.join(word_files())}")
    words: dict[str, tuple[str, ...]] = {}
    topics: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        topic, colon, listed = line.partition(":")
        if not colon or not listed.split():
            raise RecipeError(f"{path.name}, line {number}: expected `topic: word word ...`, got '{line[:40]}'")
        words[topic] = tuple(dict.fromkeys(listed.split()))
        for word in words[topic]:
            topics[word].append(topic)
    return Lexicon(words, {word: tuple(listed) for word, listed in topics.items()})


def hits(text: str, lexicon: Lexicon) -> dict[str, float]:
    """Per topic the number of its words in a text; a word of several topics counts in parts."""
    seen: set[str] = set()
    found: defaultdict[str, float] = defaultdict(float)
    for word in _WORD.findall(text):
        for length in range(min(len(word), _LONGEST), 0, -1):
            start = word[:length]
            if start in lexicon.topics:
                # A single syllable begins too many other words to mean anything there.
                if start not in seen and not (length == 1 and len(word) > 3):
                    seen.add(start)
                    for topic in lexicon.topics[start]:
                        found[topic] += 1 / len(lexicon.topics[start])
                break
    return found


def weak_label(text: str, lexicon: Lexicon, least: float = 2.0, margin: float = 2.0) -> str | None:
    """The topic with `least` words and more in the text and `margin` times those of the next; None without one."""
    found = hits(text, lexicon)
    first, second, *_ = [*sorted(found.values(), reverse=True), 0.0, 0.0]
    if first < least or first < margin * second:
        return None
    return max(found, key=lambda topic: found[topic])


def is_background(text: str, lexicon: Lexicon) -> bool:
    """Whether a text says next to nothing about any topic."""
    return len(text) > 40 and sum(hits(text, lexicon).values()) <= 2


def seeded(seeds: Seeds, lexicon: Lexicon, backgrounds: Sequence[str], seed: int) -> Iterator[tuple[str, str]]:
    """(topic, text) of the documents that `seeds` asks for: words of a topic strewn among words of texts
    about nothing in particular. All topics get the same backgrounds, so that only their words tell them apart."""
    pools = [words for text in backgrounds if (words := text.split())]
    if not pools:
        return
    for topic, listed in lexicon.words.items():
        for number in range(seeds.count):
            # A string seeds Random through sha512, the same on every platform and Python version.
            rng = random.Random(f"{seed} {topic} {number}")
            pool = pools[int(rng.random() * len(pools))]
            start = int(rng.random() * max(1, len(pool) - seeds.background))
            words = list(pool[start : start + seeds.background])
            for _ in range(rng.randint(*seeds.words)):
                word = listed[int(rng.random() * len(listed))]
                particle = seeds.particles[int(rng.random() * len(seeds.particles))] if seeds.particles else ""
                words.insert(int(rng.random() * (len(words) + 1)), word + particle)
            yield topic, " ".join(words)
