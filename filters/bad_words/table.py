"""Lists of bad words: what they say, and compiled to a trie over the normal form.

One entry per line; an empty line, and what stands behind a `#` at a line's start or after white space, is no entry.

- `word`: the whole word. Behind a Korean one particles and endings may stand; one in a script written without spaces
  matches anywhere, in Katakana only where the Katakana ends, a single Han character only where it stands alone.
- `word*`: what a word starts with. `*word` and `*word*`: also inside a word.
- `two words`: across white space or a hyphen, in Korean also written together.
- `!word`: an exception. What matches it is no bad word, unless a longer entry matches at the same place.

Letters are compared in the normal form of `alphabet.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from winnow.filters.bad_words.alphabet import GAP, Gates, gates, spelled
from winnow.filters.kernel import Bytes, Ints

_COMMENT = re.compile(r"(?:^|\s)#.*")
MOST_WORDS = 6
"""Words of an entry of a file: the longest of the public lists has six, a line of prose more."""
_FOLDER = Path(__file__).resolve().parent


class BadWordsError(ValueError):
    """A list of bad words that cannot be used: what, where, what was expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list."""

    text: str  # without marks, its white space single
    prefix: bool  # the word may go on
    inside: bool  # the word may have begun before
    exception: bool


def entry(line: str) -> Entry:
    """One entry. Raises BadWordsError where nothing but marks is left, or `*` stands within."""
    written = " ".join(line.split())
    exception = written.startswith("!")
    bare = written[exception:].strip()
    text = bare.strip("*").strip()
    if not text or "*" in text:
        raise BadWordsError(
            f"bad word '{written}': expected a word, with `*` only before or behind it and `!` in front"
        )
    return Entry(text, prefix=bare.endswith("*"), inside=bare.startswith("*"), exception=exception)


def read(path: Path) -> tuple[str, ...]:
    """The entries of a file, in its order. Raises BadWordsError for a file that is missing, not UTF-8, holds none, or holds
    sentences, as a licence taken for a list does."""
    try:
        written = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadWordsError(
            f"bad words '{path}': {error.strerror or error}: expected a file with one word per line"
        ) from error
    except UnicodeDecodeError as error:
        raise BadWordsError(f"bad words '{path}': byte {error.start} is not UTF-8: expected text in UTF-8") from error
    listed = []
    for number, line in enumerate(written.splitlines(), 1):
        kept = _COMMENT.sub("", line).strip()
        if not kept:
            continue
        if not kept.isprintable():
            raise BadWordsError(
                f"bad words '{path}', line {number}: {kept[:40]!r}: expected one word per line, in readable characters"
            )
        if len(kept.split()) > MOST_WORDS:
            raise BadWordsError(
                f"bad words '{path}', line {number}: {kept[:40]!r}... has {len(kept.split())} words, which is a sentence: "
                f"expected one word per line, or a phrase of at most {MOST_WORDS} words"
            )
        try:
            entry(kept)
        except BadWordsError as error:
            raise BadWordsError(f"bad words '{path}', line {number}: {error}") from error
        listed.append(kept)
    if not listed:
        raise BadWordsError(f"bad words '{path}': no entry: expected one word per line")
    return tuple(listed)


@cache
def exceptions() -> tuple[str, ...]:
    """The exceptions that ship with this package: ordinary words that begin like a bad one."""
    return read(_FOLDER / "exceptions.txt")


@cache
def particles() -> tuple[str, ...]:
    """What may follow a Korean bad word in its word, also several in a row."""
    return read(_FOLDER / "particles.txt")


# Marks of a node. Frozen into the kernel's machine code: change them and the kernels together.
WHOLE = 1
PREFIX = 2
INSIDE_WHOLE = 4
INSIDE_PREFIX = 8
EXCEPTION = 4  # an exception's mark lies this many bits above

SYMBOL_BITS = 21


class Map(NamedTuple):
    """An open-addressed map from positive int64 to positive int64; key 0 marks a free slot."""

    keys: Ints  # [power of two]
    values: Ints


class BadWords(NamedTuple):
    """Lists that a kernel can read. The key of a child is `node << SYMBOL_BITS | symbol`, the root is node 1."""

    children: Map
    marks: Bytes  # [nodes]
    gaps: Ints  # [nodes]: the child behind a GAP, 0 where none
    gates: Gates
    rests: Map  # 2 x 32 bits FNV-1a over code points
    longest_rest: int  # characters
    entries: int  # without exceptions


def slot(key: int, mask: int) -> int:
    """Where a key is looked for first."""
    h = (key * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    return (h >> 32) & mask


def rest_key(text: str) -> int:
    """FNV-1a of 62 bits over code points, never 0."""
    h = 0x0BF29CE484222325
    for character in text:
        h = ((h ^ ord(character)) * 0x100000001B3) & 0x3FFFFFFFFFFFFFFF
    return h or 1


def _map(values: dict[int, int]) -> Map:
    size = 16
    while size < 3 * len(values):
        size *= 2
    keys = np.zeros(size, np.int64)
    held = np.zeros(size, np.int64)
    for key, value in values.items():
        at = slot(key, size - 1)
        while keys[at]:
            at = (at + 1) & (size - 1)
        keys[at] = key
        held[at] = value
    return Map(keys, held)


def table(pack_entries: tuple[str, ...], files: tuple[Path, ...] = ()) -> BadWords:
    """The table of a pack's entries, of files, and of the exceptions that ship here; the same lists give the same one.

    Exceptions alone make a table without entries. Raises BadWordsError for a bad entry or file.
    """
    listed = tuple(pack_entries) + tuple(line for path in files for line in read(Path(path)))
    return _compiled(listed)


@cache
def _compiled(listed: tuple[str, ...]) -> BadWords:
    children: dict[int, int] = {}
    marks = [0, 0]
    inside: set[int] = set()
    count = 0
    for line in (*listed, *_that_matter(listed)):
        item = entry(line)
        path = spelled(item.text)
        if not path:
            raise BadWordsError(
                f"bad word {line!r}: expected a letter, number or sign, found characters of format alone"
            )
        node = 1
        for code in path:
            key = node << SYMBOL_BITS | code
            if key not in children:
                children[key] = len(marks)
                marks.append(0)
            node = children[key]
        bit = (PREFIX if item.prefix else WHOLE) | ((INSIDE_PREFIX if item.prefix else INSIDE_WHOLE) * item.inside)
        marks[node] |= bit << (EXCEPTION * item.exception)
        if item.inside:
            inside.add(path[0])
        count += not item.exception
    families: dict[int, dict[int, int]] = {}
    for key, child in children.items():
        families.setdefault(key >> SYMBOL_BITS, {})[key & ((1 << SYMBOL_BITS) - 1)] = child
    return BadWords(
        children=_map(children),
        marks=np.array(marks, np.uint8),
        gaps=np.array([families.get(node, {}).get(GAP, 0) for node in range(len(marks))], np.int64),
        gates=gates(families, marks, inside),
        rests=_map({rest_key(particle): 1 for particle in particles()}),
        longest_rest=max(map(len, particles())),
        entries=count,
    )


def _that_matter(listed: tuple[str, ...]) -> list[str]:
    """The exceptions that ship and hold an entry of the list: no other can take one back, and each costs time."""
    entries = {_letters(item.text) for item in map(entry, listed) if not item.exception}
    held = ((line, _letters(entry(line).text)) for line in exceptions())
    return [line for line, letters in held if any(word in letters for word in entries)]


def _letters(text: str) -> str:
    return "".join(map(chr, (code for code in spelled(text) if code != GAP)))
