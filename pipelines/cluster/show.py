"""Tables of jobs and of a watch for people."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from winnow.pipelines.cluster.server import Seen
from winnow.pipelines.cluster.watch import Row


def show_jobs(jobs: Sequence[Seen], console: Console) -> None:
    """One line per job, and the cause of those that failed."""
    if not jobs:
        console.print("no jobs of winnow there")
        return
    table = _table("job", "state", "snapshot", "started", "took", "folder")
    for job in jobs:
        facts = job.metadata
        took = _took(job.started, job.ended)
        table.add_row(job.id, job.state.lower(), facts.get("snapshot", ""), _time(job.started), took, facts["folder"])
    console.print(table)
    for job in jobs:
        if job.state == "FAILED":
            console.print(f"{job.id}: {job.cause}", soft_wrap=True, highlight=False, markup=False)


def show_rows(rows: Iterable[Row], console: Console) -> None:
    """One line per snapshot."""
    table = _table("snapshot", "state", "attempt", "started", "took", "job", "")
    for row in rows:
        last = row.record.last if row.record else None
        if last is None:
            table.add_row(row.snapshot, row.state, "", "", "", "", row.note)
        else:
            took = _took(last.started, last.ended)
            table.add_row(row.snapshot, row.state, str(last.number), _time(last.started), took, last.id, row.note)
    console.print(table if table.row_count else "no snapshots to watch for yet")


def json_job(job: Seen) -> dict[str, object]:
    """A job as one JSON object."""
    told: dict[str, object] = {
        "id": job.id,
        "state": job.state.lower(),
        "started": job.started,
        "ended": job.ended,
        "cause": "",
    }
    return told | job.metadata | ({"cause": job.cause} if job.state == "FAILED" else {})


def json_row(row: Row) -> dict[str, object]:
    """A line of the watch's table as one JSON object."""
    told: dict[str, object] = {"snapshot": row.snapshot, "state": row.state, "note": row.note}
    return told | ({} if row.record is None else {"record": row.record.model_dump()})


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _time(moment: float | None) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%MZ") if moment else ""


def _took(started: float | None, ended: float | None) -> str:
    if started is None:
        return ""
    minutes, seconds = divmod(round((ended or time.time()) - started), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
