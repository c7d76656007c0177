"""What a fitted threshold may be, and which measures a fit may not move.

The ranges are ours, wide around every published value: those of Gopher (arXiv:2112.11446), FineWeb (arXiv:2406.17557)
and the middle of the languages of FineWeb2 (`configs/*.yml`), whose outermost are degenerate (a mean word length of
3,141, a share of duplicate lines of 1.32).
"""

from __future__ import annotations

import re

from winnow.filters.fitting.quantiles import Side

_RANGES: dict[tuple[str, Side], tuple[float, float]] = {
    ("mean_word_length", "least"): (1.0, 5.0),
    ("mean_word_length", "most"): (2.0, 30.0),
    ("alpha_word_share", "least"): (0.3, 0.9),
    ("lettered_words", "least"): (0.3, 0.9),
    ("running_lines", "least"): (0.02, 0.4),
    ("running_share", "least"): (0.02, 0.5),
    ("label_ratio", "most"): (0.02, 0.5),
    ("stop_words", "least"): (1.0, 4.0),
    ("word_count", "least"): (10.0, 200.0),
    ("word_count", "most"): (10_000.0, 1_000_000.0),
    ("line_punctuation", "least"): (0.02, 0.4),
    ("short_lines", "most"): (0.5, 0.97),
    ("newline_ratio", "most"): (0.05, 1.0),
    ("dup_line_chars", "most"): (0.01, 0.5),
    ("unique_words", "least"): (0.02, 0.4),
    ("top_word_share", "most"): (0.05, 0.5),
}
_PATTERNS: tuple[tuple[str, Side, tuple[float, float]], ...] = (
    (r"(top|spare)_\d+gram_share", "most", (0.03, 0.5)),
    (r"dup_\d+gram_share", "most", (0.05, 0.6)),
    (r"dup_(lines|paragraphs|paragraph_chars)", "most", (0.1, 0.7)),
    (r"(hash|hashtag|ellipsis)_ratio", "most", (0.02, 0.5)),
    (r"(bullet|ellipsis)_lines", "most", (0.1, 0.95)),
)
_BY_UNIT: dict[str, tuple[float, float]] = {
    "share": (0.01, 0.99),
    "ratio": (0.01, 5.0),
    "characters": (1.0, 30.0),
    "count": (1.0, 1e6),
}

LAYOUT = re.compile(
    r".*lines?(_|$).*|dup_paragraph.*|newline_ratio|(char|word)_count|(top|dup|spare)_\d+gram_share|unique_words|top_word_share|"
    r".*_run_.*|running_share|(hash|hashtag|label|ellipsis|compression)_ratio|mtld|word_entropy|single_use_words"
)
"""Measures of lines, lengths, repetition and marks, which say nothing of a language where a fit joined the rows of its
reference: sentences that do not belong together repeat nothing."""

FIXED = re.compile(r"c4_.*|url_.*|crawl_.*|page_.*|.*phones|phone_.*|bad_word.*|boilerplate_lines|damaged_ratio")
"""Measures of web pages and addresses, or of lists that a fit does not make: the base's thresholds stand."""


def sensible(signal: str, unit: str, side: Side) -> tuple[float, float]:
    """Least and highest threshold for a signal of that unit of measure on that side."""
    if (signal, side) in _RANGES:
        return _RANGES[signal, side]
    for pattern, of, bounds in _PATTERNS:
        if of == side and re.fullmatch(pattern, signal):
            return bounds
    return _BY_UNIT[unit]
