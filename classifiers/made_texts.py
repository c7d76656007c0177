"""Texts that are made for a fit, where no labelled prose is.

**By word lists**, which label texts weakly, and whose words make documents. A lexicon file has one topic per line,
`topic: word word ...`, and comments after `#`. A word counts where a word of the text begins with it (Korean particles
follow the word), the longest such word only, and once per text.

**Junk**, from real words: what crawls hold and no labelled corpus does. Seven kinds. `keywords`: lists of words without endings
or grammar; `menu`: navigation labels and scraps of three words on lines; `shuffled`: real passages with their words in
random order, several together; `disordered`: one text of a good label, its words in random order as a whole, within lines, or in
runs of two or three; `repeated`: one phrase over and over; `spam`: stock advertising phrases among keywords; `adverts`: whole
sentences of advertising with names, sums and contacts filled in, so that fluent sentences alone do not make a good page.
Lengths follow the recipe, so that length tells nothing.
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from winnow.classifiers.recipe import FOLDER, Junk, RecipeError, Seeds, word_files

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


_SEPARATORS = (" ", ", ", " | ", " / ", "\n", " · ", " #")


def junk_documents(
    junk: Junk, texts: Sequence[str], sound: Sequence[str], seed: int, share: float
) -> Iterator[tuple[str, str]]:
    """(kind, text) of `share` of the documents that the recipe asks for, made from the words of `texts`; `sound`: those of other
    labels than junk's."""
    if not texts or not sound:
        return
    for kind, count in junk.kinds.items():
        for number in range(math.ceil(count * share)):
            # A string seeds Random through sha512, the same on every platform and Python version.
            words_of = sound if kind == "disordered" else texts
            yield kind, _MAKERS[kind](junk, words_of, random.Random(f"{seed} {kind} {number}"))


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


def _disordered(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    text = texts[int(rng.random() * len(texts))]
    lines = text[: _target(junk, rng)].split("\n")
    if (grain := int(rng.random() * 4)) == 0:
        for place, line in enumerate(lines):
            words = line.split()
            rng.shuffle(words)
            lines[place] = " ".join(words)
        return "\n".join(lines)
    words = " ".join(lines).split()
    runs = [words[start : start + grain] for start in range(0, len(words), grain)]
    rng.shuffle(runs)
    return " ".join(word for run in runs for word in run)


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


@cache
def _advert_sentences(name: str) -> tuple[str, ...]:
    path = FOLDER / name if (FOLDER / name).is_file() else Path(name)
    if not path.is_file():
        raise RecipeError(f"no file of adverts '{name}': expected a path or one of {', '.join(word_files())}")
    return tuple(line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#"))


def _letters(rng: random.Random, characters: str, least: int, most: int) -> str:
    return "".join(characters[int(rng.random() * len(characters))] for _ in range(rng.randint(least, most)))


def _filled(sentence: str, texts: Sequence[str], rng: random.Random) -> str:
    def pick(found: re.Match[str]) -> str:
        what = found[1]
        if what in ("name", "place"):
            return _stem(_word(texts, rng)) or what
        if what == "money":
            return f"{rng.randint(1, 90)}{('만원', '만 원', '0만원', '백만원', '천만 원')[int(rng.random() * 5)]}"
        if what == "rate":
            return f"{rng.randint(1, 99)}%"
        if what == "phone":
            return f"{rng.randint(10, 70):03d}-{rng.randint(100, 9999):04d}-{rng.randint(0, 9999):04d}"
        if what == "id":
            return _letters(rng, "abcdefghijklmnopqrstuvwxyz0123456789", 4, 9)
        if what == "day":
            return "월화수목금토일"[int(rng.random() * 7)] + "요일"
        return str(rng.randint(1, 999))

    return _BLANK.sub(pick, sentence)


_BLANK = re.compile(r"\{(\w+)\}")


def _adverts(junk: Junk, texts: Sequence[str], rng: random.Random) -> str:
    if junk.adverts is None:
        raise RecipeError("junk of the kind `adverts` needs the name of a file in `adverts`")
    sentences = _advert_sentences(junk.adverts)
    target = _target(junk, rng)
    # Most pages sell one thing: neighbours in the file do.
    start = int(rng.random() * len(sentences))
    reach = (12, 25, len(sentences))[int(rng.random() * 3)]
    parts: list[str] = []
    while sum(map(len, parts)) < target:
        parts.append(_filled(sentences[(start + int(rng.random() * reach)) % len(sentences)], texts, rng))
        if rng.random() < 0.1 and junk.spam:
            parts.append(junk.spam[int(rng.random() * len(junk.spam))])
    return ("\n" if rng.random() < 0.4 else " ").join(parts)


_MAKERS = {
    "keywords": _keywords,
    "menu": _menu,
    "shuffled": _shuffled,
    "disordered": _disordered,
    "repeated": _repeated,
    "spam": _spam,
    "adverts": _adverts,
}
