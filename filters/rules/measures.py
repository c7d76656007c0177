"""Every measure of the rules, in the order of the stage's columns: the tables beside the kernels, put together."""

from __future__ import annotations

from winnow.filters import bad_words
from winnow.filters.rules import (
    c4,
    characters,
    compression,
    density,
    diversity,
    korean,
    prose,
    quality,
    repetition,
    running_text,
    url_shape,
    web_lines,
)
from winnow.filters.rules.measure import Measure

__all__ = ["MEASURES", "Measure"]

MEASURES: tuple[Measure, ...] = (
    *quality.MEASURES,
    *repetition.MEASURES,
    *running_text.MEASURES,
    *korean.MEASURES,
    *c4.MEASURES,
    *web_lines.MEASURES,
    *characters.MEASURES,
    *density.MEASURES,
    *diversity.MEASURES,
    *compression.MEASURES,
    *bad_words.MEASURES,
    *prose.MEASURES,
    *url_shape.MEASURES,
)
"""The last ones, those of `url_shape`, are of the document's address and date, and null where it has none."""
