"""Every measure of the rules over text: its name, type, unit, source and meaning, in one table.

All are measured on the trimmed text of `words.py` (lines without outer white space, blank lines left out) in the word
unit of the language. Shares and ratios are 0 for a text without words. "as datatrove" means: equal to the measure of
datatrove 0.10's filter on the trimmed text with the same words; "not as datatrove" says what differs, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

GOPHER = "Gopher quality, arXiv:2112.11446 A1.1"
TABLE_A1 = "Gopher repetition, arXiv:2112.11446 Table A1"
FINEWEB = "FineWeb, arXiv:2406.17557 3.6"
OWN = "winnow"


@dataclass(frozen=True, slots=True)
class Measure:
    """One signal. `share`: in [0, 1]. `ratio`: at least 0. `count`: a whole number. `characters`: a mean length."""

    name: str
    unit: Literal["count", "share", "ratio", "characters"]
    source: str
    meaning: str

    @property
    def type(self) -> pa.DataType:
        """int32 for counts, float32 for all others."""
        return pa.int32() if self.unit == "count" else pa.float32()


MEASURES = (
    Measure("char_count", "count", OWN, "characters of the trimmed text, line breaks included"),
    Measure("line_count", "count", OWN, "lines that hold anything"),
    Measure(
        "word_count",
        "count",
        GOPHER,
        "words with a letter, mark or number. Not as datatrove, whose symbol list lacks bullets and emoji and holds '１'",
    ),
    Measure("mean_word_length", "characters", GOPHER, "mean length of the words that word_count counts"),
    Measure("alpha_word_share", "share", GOPHER, "words with a letter / words; as datatrove"),
    Measure("hash_ratio", "ratio", GOPHER, "'#' / words; as datatrove"),
    Measure("ellipsis_ratio", "ratio", GOPHER, "'...' and '…' / words; as datatrove"),
    Measure(
        "bullet_lines",
        "share",
        GOPHER,
        "lines that start with a bullet / lines. Not as datatrove: more marks than '-' and '•' (quality.BULLETS), since "
        "Korean lists use others",
    ),
    Measure("ellipsis_lines", "share", GOPHER, "lines that end in '...' or '…' / lines; as datatrove"),
    Measure(
        "stop_words",
        "count",
        GOPHER,
        "distinct stop words of the language pack. Not as datatrove: words are lower-cased and stripped of punctuation "
        "first, which its tokenizers do and splitting at white space does not",
    ),
    Measure("dup_lines", "share", TABLE_A1, "lines equal to an earlier line / lines; as datatrove"),
    Measure(
        "dup_line_chars",
        "share",
        FINEWEB,
        "characters of lines equal to an earlier line / characters without line breaks; as datatrove's FineWeb filter "
        "(its Gopher filter also divides by the line breaks)",
    ),
    Measure("dup_paragraphs", "share", TABLE_A1, "paragraphs equal to an earlier one / paragraphs; as datatrove"),
    Measure("dup_paragraph_chars", "share", TABLE_A1, "characters of paragraphs equal to an earlier one / char_count"),
    Measure("unique_words", "share", OWN, "distinct words / words, of those that word_count counts"),
    Measure("top_word_share", "share", OWN, "occurrences of the most frequent word / words, likewise"),
    *(
        Measure(
            f"top_{n}gram_share",
            "share",
            TABLE_A1,
            f"characters of the most frequent {n}-gram (the first of equals) x its occurrences / char_count, at most 1. "
            "Not as datatrove: 0 where nothing occurs twice, since one long word in a short text is no repetition",
        )
        for n in (2, 3, 4)
    ),
    *(
        Measure(
            f"dup_{n}gram_share",
            "share",
            TABLE_A1,
            f"characters of {n}-grams that occurred before, none counted twice / char_count; as datatrove",
        )
        for n in range(5, 11)
    ),
    Measure(
        "line_punctuation",
        "share",
        FINEWEB,
        "lines that end a sentence / lines. Not as datatrove: a closing quotation mark or bracket may follow, as it does "
        "in Korean news",
    ),
    Measure("short_lines", "share", FINEWEB, "lines of at most 30 characters / lines; as datatrove"),
    Measure("newline_ratio", "ratio", FINEWEB, "line breaks / words; as datatrove"),
    Measure("hangul_ratio", "share", OWN, "Hangul syllables and jamo / letters"),
    Measure("jamo_ratio", "share", OWN, "jamo that stand alone, as in 'ㅋㅋㅋ' / letters"),
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
    Measure("bad_words", "count", OWN, "words that are, or with '*' start with, a bad word of the language pack"),
    Measure("bad_word_share", "share", OWN, "bad_words / word_count"),
    Measure(
        "char_run_share", "share", OWN, "characters in runs of four or more equal ones / characters but white space"
    ),
)
"""In the order of the stage's columns."""
