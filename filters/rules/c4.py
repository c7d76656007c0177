"""What C4's cleaning decides of the lines of a text, and what it would leave.

Source: Raffel et al. 2020, JMLR 21 (20-074), section 2.2, in the order of datatrove 0.10's C4QualityFilter: a line with a
word of more than 1,000 characters goes; citations (`[12]`, `[edit]`) are stripped; a line without end punctuation, or
that ends in an ellipsis, goes; a line of fewer than three words; one that names javascript or the site's policy. Of a
line that comes that far, "lorem ipsum" and curly brackets condemn the page, and sentences are counted.

Words here are parted by white space in every word unit, as in datatrove; a letter of a script without spaces is one.
A sentence ends at a terminal mark that a word follows, as with spaCy's sentencizer, but not after an abbreviation, a
single capital letter, or in an ellipsis.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.characters import kind_table
from winnow.filters.rules.lexicon import key
from winnow.filters.rules.measure import Measure
from winnow.filters.rules.phrases import Places

if TYPE_CHECKING:
    from winnow.filters.rules.words import Words

C4 = "C4, JMLR 21 (20-074) 2.2"

COLUMNS = (
    "c4_sentences",
    "c4_lorem_ipsum",
    "c4_curly_brackets",
    "c4_citations",
    "c4_kept_lines",
    "c4_unended_lines",
    "c4_few_word_lines",
    "c4_long_word_lines",
    "c4_javascript_lines",
    "c4_policy_lines",
)
"""The kernel's columns, in its order."""

END_PUNCTUATION = (".", "?", "!", '"', "'")
"""What a line may end in: the curly quotation marks are not among them."""

_KEPT = (
    "mr mrs ms dr adm bros co corp gen gov inc jr ltd messrs mt ph.d prof rep rev sen st vs v.s e.g i.e a.m p.m jan feb mar "
    "apr jun jul aug sep sept oct nov dec ala ariz ark calif colo conn del fla ga ill ind kan kans ky la mass mich minn miss "
    "mo mont n.c n.d n.h n.j n.m n.y neb nebr nev okla ore pa tenn va wash wis d.c s.c"
)
ABBREVIATIONS = frozenset(_KEPT.split())
"""English words that keep their full stop, as in spaCy's tokenizer exceptions."""

MEASURES = (
    Measure(
        "c4_sentences", "count", C4, "sentences of the lines that stay; as datatrove, but for how a sentence is found"
    ),
    Measure("c4_lorem_ipsum", "count", C4, "lines with 'lorem ipsum' that end in punctuation and have three words"),
    Measure(
        "c4_curly_brackets", "count", C4, "lines with '{' that end in punctuation, have three words, no javascript"
    ),
    Measure("c4_citations", "count", C4, "citations stripped: [], [1], [edit], [citation needed]"),
    Measure(
        "c4_kept_lines",
        "share",
        C4,
        "lines that stay / lines; one that c4_lorem_ipsum or c4_curly_brackets counts neither stays nor is in the shares "
        "of lines that go, since it condemns the page",
    ),
    Measure("c4_unended_lines", "share", C4, "lines that go since no punctuation, or an ellipsis, ends them / lines"),
    Measure("c4_few_word_lines", "share", C4, "lines that go since they have fewer than three words / lines"),
    Measure("c4_long_word_lines", "share", C4, "lines that go since a word has more than 1,000 characters / lines"),
    Measure("c4_javascript_lines", "share", C4, "lines that go since they name javascript / lines"),
    Measure("c4_policy_lines", "share", C4, "lines that go since they hold a policy or cookie phrase / lines"),
)


@cache
def _abbreviations() -> npt.NDArray[np.uint64]:
    return np.array(sorted(map(key, ABBREVIATIONS)), np.uint64)


def c4(words: Words, found: Places, terminal_punctuation: tuple[str, ...] = ()) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words. `found` are the phrases in `words`.

    A line must end in one of END_PUNCTUATION; with `terminal_punctuation`, in one of those, closing quotation marks
    and brackets behind it left out.
    """
    from winnow.filters.rules import c4_kernel

    sums: npt.NDArray[np.float64] = c4_kernel.totals(
        fates(words, found, terminal_punctuation), words.word_offsets, words.line_offsets
    )
    return sums


def fates(words: Words, found: Places, terminal_punctuation: tuple[str, ...] = ()) -> npt.NDArray[np.int64]:
    """[lines, 3]: which column of COLUMNS a line counts in, its sentences, its citations."""
    from winnow.filters.rules import c4_kernel

    fate: npt.NDArray[np.int64] = c4_kernel.lines(
        words.characters,
        words.classes,
        kind_table(),
        words.line_start,
        words.line_end,
        found.start,
        found.kind,
        np.array(sorted(map(ord, terminal_punctuation or END_PUNCTUATION)), np.int32),
        bool(terminal_punctuation),
        _abbreviations(),
    )
    return fate
