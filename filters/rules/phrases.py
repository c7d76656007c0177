"""Phrases that mark what on a page is not its text, and where they stand: found once for all rules that look for any.

The lists are data (`phrases.yaml`). Letters match in either case as in `lexicon.fold`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import yaml

from winnow.filters.character_classes import TABLE_SIZE
from winnow.filters.kernel import Codes, Hashes, Ints, kernel
from winnow.filters.rules.lexicon import fold, key
from winnow.filters.words import Words

FILE = Path(__file__).parent / "phrases.yaml"

KINDS = ("javascript", "lorem_ipsum", "policy", "start", "end", "anywhere", "boilerplate", "places")
# Their places in KINDS, frozen into the machine code of the kernels that read them: append, never renumber.
JAVASCRIPT, LOREM_IPSUM, POLICY, START, END, ANYWHERE, BOILERPLATE, PLACE = range(len(KINDS))


class Phrases(NamedTuple):
    """The phrases of a language as an automaton that reads a text once (Aho and Corasick 1975, doi:10.1145/360825.360855).

    `symbols` gives each code point its symbol, 0 for one in no phrase, equal ones for both cases of a letter;
    `moves[state, symbol]` the next state; a state stands for the phrases `ends[bounds[state]:bounds[state + 1]]`.
    """

    symbols: npt.NDArray[np.uint16]  # [TABLE_SIZE]
    moves: Annotated[npt.NDArray[np.uint16], 2]  # [states, symbols]
    bounds: Codes  # [states + 1]
    ends: Codes
    lengths: Ints  # [phrases]
    kinds: Ints  # [phrases]
    counters: Hashes  # sorted `lexicon.key` of words that stand beside a number


class Places(NamedTuple):
    """Where phrases stand in a column, sorted by end: [found] each; positions are characters of the column."""

    start: Ints
    end: Ints
    kind: Ints


@cache
def phrases(language: str) -> Phrases:
    """The phrases for a language pack's code: those for all languages and its own, if there are any."""
    tree: dict[str, dict[str, list[str]]] = yaml.safe_load(FILE.read_text("utf-8"))
    lists = [tree["all"], tree.get(language, {})]
    listed = sorted({(folded(p), KINDS.index(name)) for group in lists for name in KINDS for p in group.get(name, [])})
    words = frozenset(folded(word) for group in lists for word in group.get("counters", []))
    symbols = {letter: at for at, letter in enumerate(sorted({letter for p, _ in listed for letter in p}), 1)}
    steps: list[dict[int, int]] = [{}]
    held: list[list[int]] = [[]]
    for number, (phrase, _) in enumerate(listed):
        state = 0
        for letter in phrase:
            if symbols[letter] not in steps[state]:
                steps[state][symbols[letter]] = len(steps)
                steps.append({})
                held.append([])
            state = steps[state][symbols[letter]]
        held[state].append(number)
    moves = np.zeros((len(steps), len(symbols) + 1), np.uint16)
    waiting = [(0, 0)]
    for state, shorter in waiting:
        # A state goes where the longest shorter beginning of a phrase that it ends with goes, but for its own steps.
        moves[state] = moves[shorter]
        if state:
            held[state].extend(held[shorter])
        waiting.extend((after, int(moves[state, symbol]) if state else 0) for symbol, after in steps[state].items())
        for symbol, after in steps[state].items():
            moves[state, symbol] = after
    table = np.zeros(TABLE_SIZE, np.uint16)
    for code in range(0x530):
        table[code] = symbols.get(fold(chr(code)), 0)
    for letter, symbol in symbols.items():
        table[ord(letter)] = symbol
    return Phrases(
        symbols=table,
        moves=moves,
        bounds=np.cumsum([0, *map(len, held)], dtype=np.int32),
        ends=np.array([number for numbers in held for number in numbers], np.int32),
        lengths=np.array([len(phrase) for phrase, _ in listed], np.int64),
        kinds=np.array([kind for _, kind in listed], np.int64),
        counters=np.array(sorted(map(key, words)), np.uint64),
    )


def folded(text: str) -> str:
    """A text as the kernels compare it."""
    return "".join(map(fold, text))


@kernel
def find(words: Words, table: Phrases) -> Places:
    """Every place where a phrase stands within a line, overlapping ones too: one step of the automaton a character."""
    codes = words.characters
    symbols, moves, bounds, numbers = table.symbols, table.moves, table.bounds, table.ends
    room = 64
    starts = np.empty(room, np.int64)
    ends = np.empty(room, np.int64)
    found = np.empty(room, np.int64)
    count = 0
    for line in range(len(words.line_start)):
        state = np.uint16(0)
        for c in range(words.line_start[line], words.line_end[line]):
            code = codes[c]
            state = moves[state, symbols[code]] if code < len(symbols) else np.uint16(0)
            for at in range(bounds[state], bounds[state + 1]):
                if count == room:
                    room *= 2
                    starts = np.concatenate((starts, np.empty(count, np.int64)))
                    ends = np.concatenate((ends, np.empty(count, np.int64)))
                    found = np.concatenate((found, np.empty(count, np.int64)))
                starts[count] = c + 1 - table.lengths[numbers[at]]
                ends[count] = c + 1
                found[count] = table.kinds[numbers[at]]
                count += 1
    return Places(starts[:count].copy(), ends[:count].copy(), found[:count].copy())
