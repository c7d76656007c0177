"""Find documents by id, URL or a fragment of their text, among all records of a run, those included that never became
documents; and list the candidates where several may be meant.

Exact ids and URLs come first, then URLs as people write them, then beginnings of ids, then texts. Records are read one
partition at a time, texts one batch at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

import polars as pl

from winnow.pipelines.results.shown import HighlightedText, Shown, look
from winnow.pipelines.results.table import Run, RunError

TEXT_HITS = 5
"""Texts that are explained before the scan for a fragment stops."""

CANDIDATES = 20
"""Texts that are listed before it stops."""

BEFORE, AROUND = 30, 120
"""Characters of a candidate shown before what was looked for, and in all."""

ID_PREFIX = re.compile(r"[0-9a-f]{8,31}\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """Records in corpus order, by partition and number, and by what they were found. `complete` is False where the scan
    stopped early."""

    places: tuple[tuple[int, int], ...]
    by: str
    complete: bool = True


def find(run: Run, wanted: str, most: int | None = TEXT_HITS) -> Found:
    """All records of an id or URL (a recrawled page has several), or the first documents whose text holds a fragment, all of
    them where `most` is None.

    Raises RunError where there is none.
    """
    wanted = wanted.strip()
    if not wanted:
        raise RunError("an empty text was asked for; expected a URL, an id or a fragment of a text")
    ways = [("its URL or id", (pl.col("url") == wanted) | (pl.col("id") == wanted))]
    if not re.search(r"\s", wanted):
        plain = pl.col("url").str.to_lowercase().str.replace(r"^([a-z][a-z0-9+.-]*://)?(www\.)?", "")
        plain = plain.str.replace(r"#.*$", "").str.replace(r"/+$", "")
        ways.append(("its URL, but for scheme, www, case, escapes or a last slash", plain.is_in(_spellings(wanted))))
    if ID_PREFIX.match(wanted):
        ways.append(("the beginning of its id", pl.col("id").str.starts_with(wanted)))
    for by, condition in ways:
        if places := [row for f in run.read(["partition", "number"], condition, of="records") for row in f.rows()]:
            return Found(tuple(places), by)
    edits = run.pipeline.edits()
    texts = _with_text(run, wanted, edits, most) or (_with_text(run, wanted, (), most) if edits else [])
    if not texts:
        documents = sum(run.plan.ingested(p)["documents"] for p in run.plan.partitions)
        purged = "; the text of documents that are not selected was given up" if run.purged() else ""
        raise RunError(
            f"{run.folder}: no record has the URL or id '{wanted}', and none of {documents:,} texts holds it{purged}; "
            "expected a URL, an id or a fragment of a text"
        )
    return Found(tuple(texts), "a fragment of its text", complete=most is None or len(texts) < most)


def chosen(found: Found, number: int) -> Found:
    """One of the records that were found. Raises RunError."""
    if number > len(found.places):
        raise RunError(f"--number {number}: {len(found.places)} are listed; expected one of those, or --all")
    return replace(found, places=(found.places[number - 1],), complete=True)


def candidates(run: Run, found: Found, wanted: str) -> Iterator[Shown]:
    """The records that were found, in their order, each with the line of its text that holds what was looked for, else with its
    beginning, so that one of them can be chosen."""
    pattern = re.compile(_spaced(wanted))
    for record in look(run, found.places, marks=lambda _: ()):
        yield replace(record, text=_around(record.text.text, pattern))


def _spellings(wanted: str) -> list[str]:
    """A URL without scheme, www, fragment and last slash, in lower case, as it is, unescaped and escaped."""
    bare = re.sub(r"^([a-z][a-z0-9+.-]*://)?(www\.)?", "", wanted, flags=re.I).partition("#")[0].rstrip("/")
    spellings = {bare, unquote(bare), quote(unquote(bare), safe="/?&=:;,+@!$'()*~%-._")}
    return sorted(spelling.lower() for spelling in spellings)


def _with_text(run: Run, fragment: str, editors: Sequence[str], most: int | None) -> list[tuple[int, int]]:
    """The first documents whose title or text, with the edits of these stages, holds a fragment, however its words are
    spaced."""
    pattern = _spaced(fragment)
    holds = pl.col("text").str.contains(pattern) | pl.col("title").str.contains(pattern).fill_null(False)
    found: list[tuple[int, int]] = []
    for part in run.parts(["text"]):
        for first, batch in part.batches(editors, ["title", "text"]):
            rows = first + batch.select(holds.alias("hit")).get_column("hit").arg_true().to_numpy()
            found += part.documents(["partition", "number"], rows).rows() if len(rows) else []
            if most is not None and len(found) >= most:
                return found[:most]
    return found


def _spaced(fragment: str) -> str:
    """The pattern of a fragment, however its words are spaced."""
    return r"\s+".join(re.escape(word) for word in unicodedata.normalize("NFC", fragment).split())


def _around(text: str, pattern: re.Pattern[str]) -> HighlightedText:
    hit = pattern.search(text)
    start = max(0, hit.start() - BEFORE) if hit else 0
    line = re.sub(r"\s", " ", text[start : start + AROUND])  # one for one, so that the mark stays
    if hit is None:
        return HighlightedText(line)
    return HighlightedText(line, ((hit.start() - start, min(hit.end() - start, len(line))),))
