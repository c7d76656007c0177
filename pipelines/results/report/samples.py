"""Samples of what was kept and of what each clause dropped: those records whose xxh64(id, seed) is least.

Such a sample is the same for any partitioning, and two selections of one crawl show the same documents as far as they
agree. Candidates are drawn while columns pass by; texts are read at the end, masked as they leave the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from winnow.pipelines.results.report.figures import Sample, Samples
from winnow.pipelines.results.shown import HighlightedText, Shown, excerpt, look, mask_shown, pieces, seen_at, shifted
from winnow.pipelines.results.sums import Drawn
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import reasons

KEPT_SAMPLES, DROPPED_SAMPLES = 8, 3
"""Records shown of the selection, and of what each reason dropped."""

EXCERPT = 420
"""Characters of a text that are shown."""


def samples(run: Run, drawn: Drawn, rows: Mapping[tuple[str, str], int]) -> tuple[Samples, ...]:
    """Read the texts of what was drawn by stage and clause, null for the selection, which comes first; then the clauses in the
    order of the stages. `rows`: per stage and clause, how many it dropped."""
    kept, nodes = run.accounting["kept"], run.pipeline.nodes
    known = {why.clause: n for n, why in enumerate(reasons(run.pipeline.measured())) if why.clause}
    judging = [node for node in nodes.values() if not node.raw]
    marks = {c.name: [c.signal] if c.signal else [] for node in judging for c in node.clauses}
    purged = bool(run.purged())
    out = []
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for *group, partition, number in (
        drawn.rows.select("stage", "clause", "partition", "number").rows() if drawn.rows.width else ()
    ):
        groups.setdefault(tuple(group), []).append((partition, number))
    groups = {
        (stage, clause): mine[: KEPT_SAMPLES if clause is None else DROPPED_SAMPLES]
        for (stage, clause), mine in groups.items()
    }
    records = look(run, [place for mine in groups.values() for place in mine], marks=lambda c: marks.get(c or "", ()))
    for (stage, clause), mine in groups.items():
        found = list(islice(records, len(mine)))
        shown = tuple(_sample(run, record, seen_at(run, stage), purged and clause is not None) for record in found)
        threshold = (found[0].decision.threshold or "") if clause else ""
        out.append(Samples(stage or "", clause, threshold, rows.get((stage, clause), 0) if clause else kept, shown))
    if not any(found.clause is None for found in out):
        out.append(Samples("", None, "", kept, ()))
    order = [*run.pipeline.sources, *nodes]

    def place(found: Samples) -> tuple[int, int, str]:
        if found.clause is None:
            return -1, 0, ""
        number = known.get(found.clause, -1)
        return order.index(found.stage), number, "" if number >= 0 else found.clause

    return tuple(sorted(out, key=place))


def _sample(run: Run, record: Shown, seen: tuple[str, ...], purged: bool) -> Sample:
    """`seen`: the stages whose edits the text has; `purged`: texts of such records were given up."""
    note = (record.text.note or "").replace("nothing is marked", "Not marked")
    if not record.text.text and record.text_bytes:
        note = "The text of what is not selected was given up." if purged else "Empty after its edits."
    title, masked, changes = mask_shown(run, record.title, record.text.text, seen)
    if masked is None:
        note = "Not shown: it could not be masked."
    shown = HighlightedText(masked or "", tuple(shifted(record.text.spans, changes)) if masked else ())
    cut, before, after = excerpt(shown, EXCERPT)
    ends = (before > 0, after > 0)
    return Sample(
        record.id, record.url, record.date, title, record.decision.value or "", tuple(pieces(cut)), *ends, note
    )
