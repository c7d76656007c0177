"""Which lines of a text run on as prose, verse and speech do, and which are labels: menus, headings, fields of a form.

Sentences have marks at their ends, verse and speech often none. Where the language pack lists particles and endings,
a line runs when enough of its words bear one; in alphabets with capitals, when most of its words begin with a small
letter; and in any language when a sentence mark ends it. A label is a short line that shows none of these signs.

The shares of words and hash marks here stand beside Gopher's (`quality.py`), which are as datatrove has them, and
leave out what tables, code and headings are drawn with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.characters import kind_table
from winnow.filters.rules.measure import OWN, Measure
from winnow.filters.rules.quality import BULLETS

if TYPE_CHECKING:
    from winnow.filters.languages import LanguagePack
    from winnow.filters.rules.words import Bytes, Words

# Frozen into the machine code that numba caches for `prose_kernel.py`: change them and that file together.
RUNS = 1  # of a line
LABEL = 2
ENTRY = 4
LABEL_WORDS = 6
"""Words of the longest label."""
LABELS_IN_A_ROW = 2
"""Labels in a row from which on they count: one alone is a heading, or a term before its explanation."""

COLUMNS = ("lettered_words", "hashtag_ratio", "running_lines", "running_share", "label_ratio", "tag_share")
"""The kernel's columns, in its order."""

MEASURES = (
    Measure(
        "lettered_words",
        "share",
        OWN,
        "words with a letter / words with a letter, mark or number: alpha_word_share without the bars of tables, the "
        "brackets of code and dashes",
    ),
    Measure(
        "hashtag_ratio",
        "ratio",
        OWN,
        "hashtags / words: '#' and a letter or number at once behind it, after white space or another hashtag, in the "
        "middle of a line, or in a line of hashtags alone. Headings, comments, shell prompts, C# and anchors are none",
    ),
    Measure("running_lines", "share", OWN, "lines that run on / lines"),
    Measure("running_share", "share", OWN, "characters of lines that run on / characters, both but white space"),
    Measure(
        "label_ratio",
        "ratio",
        OWN,
        "labels with others above or below them, and entries (key = value, with a letter beyond ASCII in the value) / words",
    ),
    Measure(
        "tag_share",
        "share",
        OWN,
        "characters of tags (<p>, </a>) that end in their line / characters, both but white space",
    ),
)


def prose(words: Words, ended: Bytes, pack: LanguagePack) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words. `ended` [words] is of `running_text`."""
    from winnow.filters.rules import prose_kernel

    sums: npt.NDArray[np.float64] = prose_kernel.totals(
        words.characters,
        words.classes,
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.word_classes,
        words.line_offsets,
        words.line_start,
        words.line_end,
        line_flags(words, ended, pack),
    )
    return sums


def line_flags(words: Words, ended: Bytes, pack: LanguagePack) -> npt.NDArray[np.int64]:
    """[lines, 3]: RUNS for a line that runs on, LABEL for a label; its characters but white space; those
    of them in tags."""
    from winnow.filters.rules import prose_kernel

    flags: npt.NDArray[np.int64] = prose_kernel.lines(
        words.characters,
        words.classes,
        kind_table(),
        words.word_start,
        words.word_end,
        words.word_classes,
        ended,
        words.line_start,
        words.line_end,
        np.array(sorted(map(ord, pack.terminal_punctuation)), np.int32),
        BULLETS,
        bool(pack.endings),
    )
    return flags
