"""Our decisions against datatrove's on English pages of the crawl set, given the same words.

Both see the text as this pipeline holds it: lines without outer white space, none blank. datatrove's filters run with
their defaults, ours are the published clauses below; the English pack's own were found on pages and genres. Words are white-space words once, and once those of datatrove's
default tokenizer, whose places in the text are handed to our kernels. Two kinds of difference are left, in both of which
datatrove is wrong; a third is what outer white space and blank lines change in datatrove's answer alone.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from winnow.filters.languages import language_pack
from winnow.filters.rules import table as rules

from ...needs import needs

needs("datatrove", "spacy")

EN = language_pack("en")
FILTERS = ("gopher_quality", "gopher_repetition", "fineweb", "c4")
LEAST = 0.999


def trimmed(text: str) -> str:
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


PUBLISHED = {
    "gopher_quality": {
        "too_short": "word_count >= 50",
        "too_long": "word_count <= 100000",
        "short_words": "mean_word_length >= 3",
        "long_words": "mean_word_length <= 10",
        "few_alphabetic_words": "alpha_word_share >= 0.8",
        "hashes": "hash_ratio <= 0.1",
        "ellipses": "ellipsis_ratio <= 0.1",
        "bullets": "bullet_lines <= 0.9",
        "ellipsis_lines": "ellipsis_lines <= 0.3",
        "few_stop_words": "plain_stop_words >= 2",
    },
    "gopher_repetition": {
        "duplicate_lines": "dup_lines <= 0.3",
        "duplicate_line_characters": "dup_line_chars <= 0.2",
        "duplicate_paragraphs": "dup_paragraphs <= 0.3",
        "duplicate_paragraph_characters": "dup_paragraph_chars <= 0.2",
        **{f"top_{n}gram": f"top_{n}gram_share <= {most}" for n, most in ((2, 0.2), (3, 0.18), (4, 0.16))},
        **{f"duplicate_{n}grams": f"dup_{n}gram_share <= {(20 - n) / 100:g}" for n in range(5, 11)},
    },
    "fineweb": {
        "little_punctuation": "bare_line_punctuation >= 0.12",
        "short_lines": "short_lines <= 0.67",
        "repeated_line_characters": "dup_line_chars <= 0.01",
        "list": "newline_ratio <= 0.3",
    },
    "c4": EN.clauses["c4"],
}
"""The published clauses by the filter of datatrove that decides the same."""


class Given:
    """A segmenter that knows the words of its texts."""

    def __init__(self, words: dict[str, list[str]]) -> None:
        self.words = words

    def cut(self, texts):
        starts, ends, offsets = [], [], [0]
        for text in texts:
            at = 0
            for word in self.words[text]:
                start = text.index(word, at)
                at = start + len(word)
                starts.append(start)
                ends.append(at)
            offsets.append(len(starts))
        return (np.array(column, np.int64) for column in (starts, ends, offsets))


@dataclass(frozen=True)
class Page:
    uri: str
    raw: str
    text: str


def extracted(file: Path, wanted: set[str]) -> dict[str, str]:
    """What our own stage extracts from the pages with these addresses."""
    from winnow.stages.extract import KIND as EXTRACT
    from winnow.stages.source import InputFile, Page
    from winnow.stages.sources.warc import KIND as WARC

    source = WARC(name="crawl", settings=WARC.Settings(paths=[str(file)]))
    found: list[Page] = []
    for segment in source.segments(InputFile(str(file), file.stat().st_size, "")):
        found += [
            page for page in source.pages(segment) if isinstance(page, Page) and page.url in wanted and page.payload
        ]
    batch = EXTRACT(name="extract", settings=EXTRACT.Settings(), pack=EN).measure(found)
    return dict(zip((page.url or "" for page in found), batch.column("text").to_pylist(), strict=True))


@pytest.fixture(scope="module")
def pages(data: Path, crawl_truth: list[dict[str, Any]]) -> list[Page]:
    """Every third English page: its gold text, or, where it has none, what is extracted from it."""
    truth = [page for page in crawl_truth if page.get("lang") == "en"][::3]
    golden = {page["uri"]: page["gold_text"] for page in truth if (page.get("gold_text") or "").strip()}
    texts = {**golden, **extracted(data / "crawl/web-mixed.warc.gz", {page["uri"] for page in truth} - set(golden))}
    found = [Page(uri, text, trimmed(text)) for uri, text in sorted(texts.items()) if text.strip()]
    assert len(golden) > 260 and len(found) > 290
    return found


@pytest.fixture(scope="module")
def tokens(pages) -> dict[str, list[str]]:
    """The words of datatrove's default English tokenizer."""
    from datatrove.utils.text import split_into_words

    return {page.text: list(split_into_words(page.text, "eng")) for page in pages}


def filters():
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    kinds = (GopherQualityFilter, GopherRepetitionFilter, FineWebQualityFilter, C4QualityFilter)
    return dict(zip(FILTERS, (kind() for kind in kinds), strict=True))


@pytest.fixture(scope="module")
def white_space_answers(pages) -> dict[str, list[str | None]]:
    """What datatrove's filters say of the pages with white-space words."""
    with pytest.MonkeyPatch.context() as patch:
        return theirs(patch, [page.text for page in pages], str.split)


def theirs(monkeypatch, texts, words, names=FILTERS) -> dict[str, list[str | None]]:
    """Per filter and text the reason of datatrove's filter, None for a text that it keeps."""
    from datatrove.data import Document

    made = filters()
    for module in ("gopher_quality_filter", "gopher_repetition_filter", "fineweb_quality_filter"):
        monkeypatch.setattr(
            sys.modules[f"datatrove.pipeline.filters.{module}"],
            "split_into_words",
            lambda text, language=None: words(text),
        )
    answers: dict[str, list[str | None]] = {}
    for name in names:
        found = [made[name].filter(Document(text=text, id="x")) for text in texts]
        answers[name] = [None if answer is True else answer[1] for answer in found]
    return answers


def ours(texts, unit) -> tuple[pl.DataFrame, dict[str, list[list[str]]]]:
    """The measures, and per filter and text the clauses that drop it."""
    frame = pl.from_arrow(rules.measure(pa.array(texts, pa.large_string()), EN, unit))
    assert isinstance(frame, pl.DataFrame)
    dropped = {}
    for name, group in PUBLISHED.items():
        held = frame.select(pl.sql_expr(clause).alias(clause_name) for clause_name, clause in group.items())
        dropped[name] = [[clause for clause, holds in row.items() if not holds] for row in held.to_dicts()]
    return frame, dropped


def repeats(words: list[str], n: int) -> bool:
    grams = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    return max(grams.values(), default=0) > 1


def wrong(reason: str | None, clauses_of_ours: list[str], words: list[str]) -> str | None:
    """Why datatrove's answer is wrong, where it is."""
    if reason and reason.startswith("top_") and not clauses_of_ours and not repeats(words, int(reason[4])):
        return "drops for the most frequent n-gram of a text in which none occurs twice"
    return None


def agree(pages, answers, dropped, words, names) -> dict[str, int]:
    """How many documents differ per filter, apart from those where datatrove is wrong; every one of these is checked."""
    unexplained = dict.fromkeys(names, 0)
    for name in names:
        for page, reason, drops in zip(pages, answers[name], dropped[name], strict=True):
            if (reason is None) == (not drops):
                continue
            if wrong(reason, drops, words(page.text)) is None:
                unexplained[name] += 1
                print(f"{name}: {page.uri}: datatrove {reason}, ours {drops}")
    return unexplained


def test_decisions_with_white_space_words(pages, white_space_answers):
    texts = [page.text for page in pages]
    answers = white_space_answers
    _, dropped = ours(texts, "whitespace")
    assert sum(reason is not None for found in answers.values() for reason in found) > 100
    unexplained = agree(pages, answers, dropped, str.split, FILTERS)
    assert all(count <= (1 - LEAST) * len(pages) for count in unexplained.values()), unexplained
    assert not any(unexplained.values()), unexplained


def test_decisions_with_the_words_of_datatroves_tokenizer(pages, tokens, monkeypatch):
    names = FILTERS[:3]  # C4's filter splits at white space in any case
    texts = [page.text for page in pages]
    answers = theirs(monkeypatch, texts, tokens.__getitem__, names)
    monkeypatch.setattr(rules, "segmenter", lambda unit, pack: Given(tokens))
    _, dropped = ours(texts, "segment")
    unexplained = agree(pages, answers, dropped, tokens.__getitem__, names)
    assert not any(unexplained.values()), unexplained


def test_datatrove_drops_for_an_ngram_that_does_not_repeat(pages, monkeypatch):
    text = "Photograph of the municipal swimming-pool, Rotterdam-Blijdorp"
    assert theirs(monkeypatch, [text], str.split, ["gopher_repetition"])["gopher_repetition"] == ["top_2_gram"]
    frame, dropped = ours([text], "whitespace")
    assert frame["top_2gram_share"].to_list() == [0.0]
    assert dropped["gopher_repetition"] == [[]]


def test_datatrove_counts_characters_that_an_ngram_has_not_in_the_text(monkeypatch):
    """It joins words by spaces that the text has not, when its tokenizer parted them: here 20 characters of a 3-gram
    of 14 count, of which the text consists."""
    words = ["don", "'", "t"] * 6 + ["stop"]
    text = "don't" * 6 + "stop"
    monkeypatch.setattr(rules, "segmenter", lambda unit, pack: Given({text: words}))
    frame, _ = ours([text], "segment")
    assert frame["top_3gram_share"][0] == pytest.approx(5 * 6 / len(text))
    from datatrove.pipeline.filters.gopher_repetition_filter import find_top_duplicate, get_n_grams

    assert find_top_duplicate(get_n_grams(words, 3)) / len(text) > 1


def spaced(text: str) -> str:
    """Lines without outer white space, one blank line between paragraphs."""
    return re.sub(r"\n{2,}", "\n\n", "\n".join(line.strip() for line in text.split("\n")).strip())


def test_outer_white_space_and_blank_lines_change_datatroves_answer_and_not_ours(
    pages, white_space_answers, monkeypatch
):
    """Given the untrimmed pages, datatrove decides otherwise of a few. Of each it comes to our decision once white space
    that nobody sees is gone."""
    names = FILTERS[:3]
    raw = [page.raw for page in pages]
    blanks = [spaced(text) for text in raw]
    known = {name: dict(zip((page.text for page in pages), white_space_answers[name], strict=True)) for name in names}
    others = list(dict.fromkeys(text for text in raw + blanks if text not in known[names[0]]))
    for name, found in theirs(monkeypatch, others, str.split, names).items():
        known[name] |= zip(others, found, strict=True)
    given, blank, none = (
        {name: [known[name][text] for text in texts] for name in names}
        for texts in (raw, blanks, [page.text for page in pages])
    )
    _, dropped = ours(raw, "whitespace")
    for name in names:
        differing = [
            at
            for at, drops in enumerate(dropped[name])
            if (given[name][at] is None) != (not drops) and not wrong(given[name][at], drops, raw[at].split())
        ]
        assert len(differing) <= 0.02 * len(pages), name
        for at in differing:
            seen = {blank[name][at] is None, none[name][at] is None}
            assert (not dropped[name][at]) in seen, (name, pages[at].uri)
    text = "A heading \nA sentence that ends here. \nAnother one ends there. \n" * 3
    assert theirs(monkeypatch, [text], str.split, ["fineweb"])["fineweb"] == ["line_punct_ratio"]
    assert "little_punctuation" not in ours([text], "whitespace")[1]["fineweb"][0]
