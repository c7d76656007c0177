"""Several records that a question to `why` may mean, each in two lines, so that one of them can be chosen."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace

from winnow.pipelines.results.changes import content, seen_at
from winnow.pipelines.results.decision import Decision, decisions, of_record, whole
from winnow.pipelines.results.find import Found, spaced
from winnow.pipelines.results.marked import Marked
from winnow.pipelines.results.table import Run, RunError

BEFORE, AROUND = 30, 120
"""Characters shown before what was looked for, and in all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record. `text`: where it holds what was looked for, else its beginning; empty where it has none."""

    id: str
    url: str | None
    source: str
    decision: Decision
    text: Marked


def candidates(run: Run, found: Found, wanted: str) -> list[Candidate]:
    """The records that were found, in their order."""
    decided: dict[int, Decision] = {}
    grouped: dict[str, list[int]] = defaultdict(list)
    for at, record in enumerate(found.records):
        if record.row >= 0:
            grouped[record.partition.key].append(at)
    for places in grouped.values():
        view = whole(run, found.records[places[0]].partition)
        rows = [found.records[at].row for at in places]
        decided |= dict(zip(places, decisions(run, view, rows), strict=True))
    pattern = re.compile(spaced(wanted))
    out = []
    for at, record in enumerate(found.records):
        decision = decided[at] if at in decided else of_record({name: getattr(record, name) for name in _OF_RECORD})
        text = content(run, record.partition, record.row, seen_at(run, decision.stage))[2] if record.row >= 0 else ""
        out.append(Candidate(record.id, record.url, record.partition.source, decision, _around(text, pattern)))
    return out


def chosen(found: Found, number: int) -> Found:
    """One of the records that were found. Raises RunError."""
    if number > len(found.records):
        raise RunError(f"--number {number}: {len(found.records)} are listed; expected one of those, or --all")
    return replace(found, records=(found.records[number - 1],), complete=True)


_OF_RECORD = ("status", "stage", "clause", "value", "threshold")


def _around(text: str, pattern: re.Pattern[str]) -> Marked:
    hit = pattern.search(text)
    start = max(0, hit.start() - BEFORE) if hit else 0
    cut = text[start : start + AROUND]
    line = re.sub(r"\s", " ", cut)  # one for one, so that the mark stays
    if hit is None:
        return Marked(line)
    return Marked(line, ((hit.start() - start, min(hit.end() - start, len(line))),))
