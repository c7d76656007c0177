"""Signs of running text in a language: its script, stop words, particles and endings, and signs of its absence.

Particles and endings are looked for at the end of words, so that no morphological analyser is needed. The *core* of a
word is what lies between its first and last letter, mark or number: `"했다."` has the core `했다`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.lexicon import Lexicon
from winnow.filters.rules.measure import GOPHER, OWN, Measure
from winnow.filters.rules.words import Bytes, Words

COLUMNS = (
    "stop_words",
    "plain_stop_words",
    "hangul_ratio",
    "jamo_ratio",
    "ending_share",
    "sentence_end_share",
    "char_run_share",
)
"""The kernel's columns, in its order."""

RUN = 4
"""Equal characters in a row from which on they are a run: `ㅋㅋㅋㅋ`, `!!!!`."""


def running_text(words: Words, lexicon: Lexicon) -> tuple[npt.NDArray[np.float64], Bytes]:
    """[texts, COLUMNS], 0 where a text has no words; and [words], 1 for a word that ends in one of the pack's endings."""
    from winnow.filters.rules import running_text_kernel

    tables = (lexicon.stop_words, lexicon.endings, lexicon.sentence_endings)
    found, ended = running_text_kernel.running_text(
        words.characters,
        words.classes,
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.line_offsets,
        words.line_start,
        words.line_end,
        tuple(table.keys for table in tables),
        tuple(table.values for table in tables),
        tuple(table.longest for table in tables),
        lexicon.stop_words.entries,
    )
    return found, ended


MEASURES = (
    Measure(
        "stop_words",
        "count",
        GOPHER,
        "distinct stop words of the language pack. Not as datatrove: words are lower-cased and stripped of punctuation "
        "first, which its tokenizers do and splitting at white space does not",
    ),
    Measure(
        "plain_stop_words",
        "count",
        GOPHER,
        "distinct stop words that stand in small letters with nothing attached; as datatrove, for lists in small letters",
    ),
    Measure("hangul_ratio", "share", OWN, "Hangul syllables and jamo / letters"),
    Measure(
        "jamo_ratio",
        "share",
        OWN,
        "jamo that stand alone, as in 'ㅋㅋㅋ' / letters; the middle dot ㆍ, the dash ㅡ and the mark of a list's item at "
        "the start of a line (ㅇ, ㄱ.) are none",
    ),
    Measure(
        "ending_share",
        "share",
        OWN,
        "words that end in a particle or verb ending of the language pack / word_count: low in lists and stuffed keywords",
    ),
    Measure(
        "sentence_end_share",
        "share",
        OWN,
        "words with a sentence ending of the language pack before sentence punctuation or a line's end / word_count",
    ),
    Measure(
        "char_run_share",
        "share",
        OWN,
        "letters, marks of exclamation and question, hearts, stars and emoji in runs of four or more equal ones / "
        "characters but white space; rules, boxes, leaders and numbers are no runs",
    ),
)
