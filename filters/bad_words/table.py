"""Lists of bad words compiled: a trie over the normal form, and what may follow a Korean entry."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from winnow.filters.bad_words.alphabet import GAP, spelled
from winnow.filters.bad_words.entries import BadWordsError, entry, exceptions, particles, read
from winnow.filters.bad_words.gates import Gates, gates
from winnow.filters.kernel import Bytes, Ints

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
