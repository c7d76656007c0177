"""What the stages that change texts did to one document: every edit with its rule, and the text as any stage saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winnow.filters.edits import edits
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.store import BATCH_ROWS
from winnow.pipelines.engine.texts import Reader, hidden
from winnow.pipelines.engine.view import View
from winnow.pipelines.results.table import Run
from winnow.stages.stage import EDITED, RETITLED


@dataclass(frozen=True, slots=True)
class TextChange:
    """One edit. `start`: where in the text that the stage was given; of a title, None."""

    stage: str
    rule: str
    before: str
    after: str
    start: int | None


def content(run: Run, partition: Partition, row: int, editors: Sequence[str]) -> tuple[str, str | None, str]:
    """Source, title and text of a document with the edits of these stages; reads one batch of rows."""
    reader = Reader(run.plan, partition, ["source", "title", "text"], editors)
    found = reader.batch(row // BATCH_ROWS).slice(row % BATCH_ROWS, 1).to_pylist()[0]
    return found["source"], found["title"], found["text"]


def seen_at(run: Run, stage: str | None) -> tuple[str, ...]:
    """The stages whose edits a text has where it is judged: at a stage what is above it, else all."""
    nodes = run.plan.pipeline.nodes
    return nodes[stage].edited_by if stage in nodes else run.plan.pipeline.edits()


def changes(run: Run, view: View) -> tuple[TextChange, ...]:
    """Every edit of a document (a view of one row), in the order of the stages and of the text."""
    out: list[TextChange] = []
    editors = run.plan.pipeline.edits()
    for at, editor in enumerate(editors):
        told = view.table(editor, hidden(run.plan, editor)).to_pylist()[0]
        if not told[EDITED] and told.get(RETITLED) is None:
            continue
        _, title, text = content(run, view.partition, view.start, editors[:at])
        found = edits(told[EDITED]) if text else []
        out += [TextChange(editor, e.rule, text[e.start : e.end], e.text, e.start) for e in found]
        if told.get(RETITLED) is not None:
            out.append(TextChange(editor, "title", title or "", told[RETITLED], None))
    return tuple(out)
