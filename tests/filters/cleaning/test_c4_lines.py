"""The text after C4's edits is datatrove's, character by character."""

from __future__ import annotations

import unicodedata
from typing import Any

import polars as pl
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.cleaning.c4_lines import c4_lines
from winnow.filters.edits import apply


def ours(text: str) -> str:
    return apply(text, c4_lines()(pl.Series([text])).get(0, []))


def theirs(text: str) -> str:
    """Only what their filter does to lines: the conditions that drop documents are off."""
    document = Document(text=text, id="0")
    lines_only = C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False)
    assert lines_only.filter(document)
    return document.text


LINE = st.sampled_from(
    ["This is a line.", "  Two words. ", "no mark here at all", "Ends so...", '"He said it."', "Cited it here.[1]", "[2] Starts so.",
     "Enable JavaScript to see it.", "Read our Privacy Policy now.", "Cited mid[3] and on[edit].", "x" * 1001 + " is too long.",
     "", "[citation needed][4] Is it so?", "Says it is so. [5]", "[] Nothing but this."]
)  # fmt: skip
BREAK = st.sampled_from(["\n", "\n\n", "\r\n", "\x85", "\u2028", "\x0c", "  \n  "])


@settings(max_examples=500)
@given(st.lists(st.tuples(LINE, BREAK), max_size=8), LINE)
def test_parity_with_datatrove(lines: list[tuple[str, str]], last: str) -> None:
    text = "".join(line + end for line, end in lines) + last
    assert ours(text) == theirs(text)


def test_parity_with_datatrove_on_real_english_pages(crawl_truth: list[dict[str, Any]]) -> None:
    rows = [row for row in crawl_truth if row.get("gold_text")]
    texts = [unicodedata.normalize("NFC", row["gold_text"]) for row in rows if row.get("lang") == "en"]
    assert len(texts) > 500
    assert [text for text in texts if ours(text) != theirs(text)] == []


def test_each_line_says_why_it_goes() -> None:
    text = "Keep this one.\nnot this one\nEnable JavaScript to go on.\nKeep it too[1]."
    edits = c4_lines()(pl.Series([text]))[0]
    assert [(edit.rule, text[edit.start : edit.end]) for edit in edits] == [
        ("c4.no_punctuation", "\nnot this one\nEnable JavaScript to go on.\n"),
        ("c4.citation", "[1]"),
    ]


def test_marks_of_other_scripts_and_no_words_between_spaces() -> None:
    text = "これは文です。\n見出し"
    assert apply(text, c4_lines((".", "。"), 0)(pl.Series([text]))[0]) == "これは文です。"
