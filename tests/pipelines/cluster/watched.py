"""What tests of watches share: the names of snapshots, and what they ask of a look."""

from __future__ import annotations

from winnow.pipelines.cluster.server import JobsServer
from winnow.pipelines.cluster.watch import Row, Watch

FIRST, SECOND, THIRD = "CC-MAIN-2026-35", "CC-MAIN-2026-39", "CC-MAIN-2026-43"


def states(rows: list[Row]) -> dict[str, str]:
    return {row.snapshot: row.state for row in rows}


def of_snapshot(server: JobsServer, watch: Watch) -> list[str]:
    """Ids of the jobs of one watch, in order of attempt."""
    return sorted(j.id for j in server.jobs().values() if j.metadata.get("folder", "").startswith(watch.options.base))


def last_id(rows: list[Row], snapshot: str) -> str:
    record = next(row.record for row in rows if row.snapshot == snapshot)
    assert record is not None
    return record.last.id
