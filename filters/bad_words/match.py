"""Bad words counted over a column of texts, and named in one text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winnow.filters.bad_words.alphabet import look_alikes, symbols
from winnow.filters.bad_words.gates import follower_classes
from winnow.filters.bad_words.table import BadWords
from winnow.filters.rules.measure import OWN, Measure
from winnow.filters.rules.words import CONTENT, Ints, Words, split

COLUMNS = ("bad_words", "bad_word_share")

MEASURES = (
    Measure(
        "bad_words",
        "count",
        OWN,
        "bad words of the language pack and of the lists given, also where they are spaced out, drawn out, masked or "
        "written with look-alikes, with particles behind them; not those within an exception",
    ),
    Measure("bad_word_share", "share", OWN, "bad_words / word_count, at most 1"),
)


def bad_words(words: Words, table: BadWords) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 for a text without words and with a table without entries. The word unit changes the share
    alone: entries are looked for in the characters."""
    found = np.zeros((words.texts, len(COLUMNS)))
    if not table.entries:
        return found
    found[:, 0] = _matches(words, table, np.empty((0, 2), np.int64))
    content = np.concatenate([[0], np.cumsum((words.word_classes & CONTENT) != 0)])
    counted = content[words.word_offsets[1:]] - content[words.word_offsets[:-1]]
    found[:, 0] *= counted > 0
    found[:, 1] = np.minimum(1.0, found[:, 0] / np.maximum(1, counted))
    return found


def spans(text: str, table: BadWords) -> list[tuple[int, int]]:
    """Start and end of every bad word of a text, in characters, sorted and apart: what `bad_words` counts."""
    if not table.entries:
        return []
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    words = split(np.array([0, len(data)], np.int64), data, False)
    places = np.empty((len(words.characters), 2), np.int64)
    count = int(_matches(words, table, places)[0])
    return [(start, end) for start, end in places[:count].tolist()]


def _matches(words: Words, table: BadWords, places: Ints) -> Ints:
    from winnow.filters.bad_words import match_kernel

    found: Ints = match_kernel.matches(
        words.characters,
        words.classes,
        words.line_offsets,
        words.line_start,
        words.line_end,
        symbols(),
        look_alikes(),
        follower_classes(),
        table.gates.group,
        table.gates.second,
        table.gates.third,
        table.gates.inside,
        table.children.keys,
        table.children.values,
        table.marks,
        table.gaps,
        table.rests.keys,
        table.rests.values,
        table.longest_rest,
        places,
    )
    return found
