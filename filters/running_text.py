"""Signs of running text in a language: its script, stop words, particles and endings, and signs of its absence.

Particles and endings are looked for at the end of whitespace words, so that no morphological analyser is needed; bad
words at their start, so that a particle behind one does not hide it. The *core* of a word is what lies between its
first and last letter, mark or number: `"했다."` has the core `했다`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, types

from winnow.filters.lexicon import BASIS, PRIME, WHOLE, Lexicon
from winnow.filters.words import CONTENT, HANGUL, JAMO, LETTER, SENTENCE_END, SPACE, Words

COLUMNS = (
    "stop_words",
    "hangul_ratio",
    "jamo_ratio",
    "ending_share",
    "sentence_end_share",
    "bad_words",
    "bad_word_share",
    "char_run_share",
)
"""The kernel's columns, in its order."""

RUN = 4
"""Equal characters in a row from which on they are a run: `ㅋㅋㅋㅋ`, `!!!!`, `----`."""


def running_text(words: Words, lexicon: Lexicon) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words."""
    tables = (lexicon.stop_words, lexicon.endings, lexicon.sentence_endings, lexicon.bad_words)
    found: npt.NDArray[np.float64] = _running_text(
        words.characters,
        words.classes,
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.line_offsets,
        words.line_end,
        tuple(table.keys for table in tables),
        tuple(table.values for table in tables),
        tuple(table.longest for table in tables),
        lexicon.stop_words.entries,
    )
    return found


@njit(inline="always")
def _value(keys, values, h):  # type: ignore[no-untyped-def]
    wanted = h if h != 0 else np.uint64(1)
    mask = len(keys) - 1
    slot = np.int64((wanted ^ (wanted >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != 0:
        if keys[slot] == wanted:
            return values[slot]
        slot = (slot + 1) & mask
    return np.int64(0)


@njit(inline="always")
def _fold(code):  # type: ignore[no-untyped-def]
    """`lexicon.fold` for the alphabets whose capitals lie a fixed step from their small letters."""
    if code < 0x80:
        return code + 32 if 0x41 <= code <= 0x5A else code
    if code >= 0x530:
        return code
    if (0xC0 <= code <= 0xDE and code != 0xD7) or 0x391 <= code <= 0x3A9 or 0x410 <= code <= 0x42F:
        return code + 32
    if 0x400 <= code <= 0x40F:
        return code + 80
    return code


_LONGS = types.int64[::1]


_KEYS = types.UniTuple(types.uint64[::1], 4)  # type: ignore[no-untyped-call]
_VALUES = types.UniTuple(_LONGS, 4)  # type: ignore[no-untyped-call]
_SIZES = types.UniTuple(types.int64, 4)  # type: ignore[no-untyped-call]
_TEXTS = (types.int32[::1], types.uint8[::1], _LONGS, _LONGS, _LONGS, _LONGS, _LONGS)


@njit(types.float64[:, ::1](*_TEXTS, _KEYS, _VALUES, _SIZES, types.int64), cache=True, nogil=True)
def _running_text(  # type: ignore[no-untyped-def]
    codes, classes, word_offsets, word_start, word_end, line_offsets, line_end, keys, values, longest, stop_words
):
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 8), np.float64)
    seen = np.zeros(stop_words + 1, np.int64)
    prime = np.uint64(PRIME)
    basis = np.uint64(BASIS)
    for row in range(texts):
        tokens = word_offsets[row + 1] - word_offsets[row]
        if tokens == 0:
            continue
        line = line_offsets[row]
        text_end = word_end[word_offsets[row + 1] - 1]
        letters = 0
        hangul = 0
        jamo = 0
        visible = 0
        in_runs = 0
        run = 0
        last = -1
        real = 0
        stops = 0
        ended = 0
        closed = 0
        bad = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            start = -1
            end = 0
            if w > word_offsets[row] and word_start[w] != word_end[w - 1]:
                last = -1
            for c in range(word_start[w], word_end[w]):
                bits = classes[c]
                visible += 1
                letters += (bits & LETTER) != 0
                hangul += (bits & HANGUL) != 0
                jamo += (bits & JAMO) != 0
                if codes[c] == last:
                    run += 1
                    if run == 4:
                        in_runs += 4
                    elif run > 4:
                        in_runs += 1
                else:
                    run = 1
                    last = codes[c]
                if bits & CONTENT:
                    if start < 0:
                        start = c
                    end = c + 1
            while line_end[line] < word_end[w]:
                line += 1
            if start < 0:
                continue
            real += 1
            length = end - start
            h = basis
            deepest = max(longest[0], longest[3])
            c = start
            found = False
            # Past the end of a one-character word: a bad word of a script without spaces spans several.
            while c - start < deepest and c < text_end and not classes[c] & SPACE:
                h = (h ^ np.uint64(_fold(codes[c]))) * prime
                c += 1
                if not found and c - start <= longest[3]:
                    kind = _value(keys[3], values[3], h)
                    if kind and (kind != WHOLE or c == end):
                        bad += 1
                        found = True
                if c == end and length <= longest[0]:
                    stop = _value(keys[0], values[0], h)
                    if stop and seen[stop] != row + 1:
                        seen[stop] = row + 1
                        stops += 1
            h = basis
            open_end = True
            open_sentence = (end < word_end[w] and (classes[end] & SENTENCE_END) != 0) or word_end[w] == line_end[line]
            deepest = min(length - 1, max(longest[1], longest[2]))
            for k in range(deepest):
                h = (h ^ np.uint64(_fold(codes[end - 1 - k]))) * prime
                if open_end and k < longest[1] and _value(keys[1], values[1], h):
                    ended += 1
                    open_end = False
                if open_sentence and k < longest[2] and _value(keys[2], values[2], h):
                    closed += 1
                    open_sentence = False
        out[row, 0] = stops
        if letters:
            out[row, 1] = (hangul + jamo) / letters
            out[row, 2] = jamo / letters
        out[row, 3] = ended / real if real else 0.0
        out[row, 4] = closed / real if real else 0.0
        out[row, 5] = bad
        out[row, 6] = bad / real if real else 0.0
        out[row, 7] = in_runs / visible
    return out
