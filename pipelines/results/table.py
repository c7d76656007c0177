"""A finished run as a table: its documents with all that is known of them, as polars LazyFrames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl

from winnow.pipelines.engine.execute import RunError
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.pointers import RunRecord, open_record
from winnow.pipelines.engine.texts import handed_off, hidden
from winnow.pipelines.engine.unfinished import last_record
from winnow.pipelines.engine.view import ERROR, View, read_signals
from winnow.pipelines.selection.verdict import FAILED, reasons

__all__ = ["Run", "RunError", "as_table", "open_last", "open_run"]


@dataclass(frozen=True, slots=True)
class Run(RunRecord):
    """A run, and what it measured and decided."""

    def documents(self, kept_only: bool = True) -> pl.LazyFrame:
        """Documents with every signal (dotted columns) and the selection (`selection.*`), lazily from the parts. Texts
        and titles have the edits of every stage that changes them."""
        frames = list(self.partitions())
        if not frames:
            raise RunError(f"{self.folder}: the run has no documents")
        everything = pl.concat(frames)
        return everything.filter(pl.col("selection.multiplicity") > 0) if kept_only else everything

    def partitions(self) -> Iterator[pl.LazyFrame]:
        """The same, one partition at a time, dropped documents included; partitions without documents are left out.

        `selection.stage`, `.clause`, `.value` and `.threshold` say why a document is not kept.
        """
        for partition, _ in self._filled():
            yield self.frame(partition)

    def frame(self, partition: Partition) -> pl.LazyFrame:
        """One partition's documents, as in `partitions`."""
        plan = self.plan
        parts = [_scan(plan, plan.documents(partition), ""), _scan(plan, plan.selected(partition), "selection.")]
        for node in plan.pipeline.nodes.values():
            name = plan.public(node, partition)
            columns = [*node.stage.signals(), *(hidden(plan, node.name) if node.edits else []), ERROR]
            if plan.allow_unmeasured and plan.store.record(name) is None:
                empty = pl.DataFrame(read_signals(plan, node, partition, columns)).lazy()
                parts.append(empty.select(pl.all().name.prefix(f"{node.name}.")))
            else:
                parts.append(_scan(plan, name, f"{node.name}.", columns))
        wide = pl.concat(parts, how="horizontal")
        editors = plan.pipeline.edits()
        named = [[f"{editor}.{column}" for column in hidden(plan, editor)] for editor in editors]
        wide = handed_off(wide, [(edits, title[0] if title else None) for edits, *title in named])
        unshown = {column for columns in named for column in columns}
        names = [name for name in wide.collect_schema().names() if name not in unshown]
        after = names.index("selection.reason")
        columns = [*names[:after], *_REASONS, *(n for n in names[after + 1 :] if not n.endswith(f".{ERROR}"))]
        return wide.with_columns(self._explained()).select(columns)

    def views(self) -> Iterator[View]:
        """One view per partition over its whole rows; its columns go with it."""
        for partition, rows in self._filled():
            yield View(self.plan, partition, 0, rows)

    def work(self) -> dict[str, Any]:
        """Seconds of work and rows measured per stage in this folder so far: `seconds`, `rows`, and `wall` in all."""
        return dict(self.plan.store.read_json("work.json", hint=True) or {})

    def _filled(self) -> Iterator[tuple[Partition, int]]:
        for partition in self.plan.partitions:
            if documents := self.plan.ingested(partition)["documents"]:
                yield partition, documents

    def _explained(self) -> list[pl.Expr]:
        """Stage, clause, value and threshold from the number of the reason."""
        named = reasons(self.plan.pipeline)
        reason = pl.col("selection.reason")
        numbers = list(range(len(named)))

        def text(values: Sequence[str | None]) -> pl.Expr:
            return reason.replace_strict(numbers, list(values), default=None, return_dtype=pl.String)

        clauses = {c.name: c for node in self.plan.pipeline.measured() for c in node.clauses}
        value = pl.lit(None, pl.String)
        for number, why in enumerate(named):
            if why.clause is None:
                failed = pl.col("selection.status") == FAILED
                shown = pl.when(failed).then(pl.col(f"{why.stage}.{ERROR}").cast(pl.String))
                value = pl.when(reason == number).then(shown).otherwise(value)
            elif why.clause in clauses:
                value = pl.when(reason == number).then(clauses[why.clause].value()).otherwise(value)
            elif "multiplicity" in self.plan.pipeline.nodes[why.stage].stage.signals():
                own = pl.col(f"{why.stage}.multiplicity").cast(pl.String)
                value = pl.when(reason == number).then(own).otherwise(value)
        return [
            text([r.stage for r in named]).alias("selection.stage"),
            text([r.clause for r in named]).alias("selection.clause"),
            value.alias("selection.value"),
            text([r.threshold for r in named]).alias("selection.threshold"),
        ]


_REASONS = ("selection.stage", "selection.clause", "selection.value", "selection.threshold")


def _scan(plan: Plan, part: str, prefix: str, columns: Sequence[str] | None = None) -> pl.LazyFrame:
    if plan.store.local:
        plan.store.reader(part)  # or polars would say of a damaged file neither its name nor what to do
        frame = pl.scan_ipc(plan.store.path(f"{part}.arrow"))
    else:  # the store's own filesystem knows the endpoint and the credentials
        frame = pl.DataFrame(plan.store.read(part, columns)).lazy()
    if columns is not None:
        frame = frame.select(columns)
    return frame.select(pl.all().name.prefix(prefix)) if prefix else frame


def as_table(record: RunRecord) -> Run:
    """The same run, to be read."""
    return Run(**{field.name: getattr(record, field.name) for field in fields(record)})


def open_run(reference: str | Path) -> Run:
    """A run made earlier, from its folder alone: its inputs may be gone. `folder@name` opens a named selection.

    Raises RunError where there is none.
    """
    return as_table(open_record(reference))


def open_last(reference: str) -> Run:
    """The run that was last begun in a folder, finished or not; `folder@name` opens a named selection. Raises RunError
    where there is none, StoreError for a damaged file."""
    return as_table(last_record(reference))
