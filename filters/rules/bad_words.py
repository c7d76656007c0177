"""Bad words as a count and a share of a text's words: a signal, not a veto (`filters/bad_words/`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from winnow.filters import bad_words
from winnow.filters.character_classes import CONTENT
from winnow.filters.passages import Span
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts


def shown(cut: Cut) -> list[Span]:
    return bad_words.spans(cut.text, cut.texts.bad_words)


MEASURES = (
    Measure(
        "bad_words",
        "count",
        OWN,
        "bad words of the language pack and of the lists given, also where they are spaced out, drawn out, masked or "
        "written with look-alikes, with particles behind them; not those within an exception",
        shown,
    ),
    Measure("bad_word_share", "share", OWN, "bad_words / word_count, at most 1", shown),
)


def fill(texts: Texts, out: Records) -> None:
    """0 for a text without words. The word unit changes the share alone: entries are looked for in the characters."""
    words = texts.words
    if not texts.bad_words.entries:
        return
    content = np.concatenate([[0], np.cumsum((words.word_classes & CONTENT) != 0)])
    counted = content[words.word_offsets[1:]] - content[words.word_offsets[:-1]]
    out["bad_words"] = bad_words.counts(words, texts.bad_words) * (counted > 0)
    out["bad_word_share"] = np.minimum(1.0, out["bad_words"] / np.maximum(1, counted))


GROUP = Group("bad_words", 1, MEASURES, fill)
