"""Figures of a run for Prometheus, through Ray's metrics: the machine of the driver exports them, prefixed with `ray_`.

All are counted by the driver from the lines of finished tasks, so that a task which ran twice counts once.
"""

from __future__ import annotations

from winnow.pipelines.engine.tasklog import Entry

OUTCOMES = ("kept", "dropped", "failed")
FETCHED = (
    ("bytes", "fetched_total", "Bytes that came"),
    ("requests", "total", "Requests that were sent, with those sent again,"),
    ("retries", "total", "Requests that were sent again"),
    ("failures", "total", "Requests that were given up"),
)
SECONDS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
"""Upper bounds of the histogram's buckets, in seconds."""


class RowCount:
    """Rows per stage from the lines of tasks, each stage counted once though several tasks tell of it. State: the kind of
    task that told of a stage first."""

    def __init__(self) -> None:
        self.teller: dict[str, str] = {}

    def new(self, entry: Entry) -> dict[str, dict[str, int]]:
        """Stage -> rows in, kept, dropped and failed that this line adds."""
        if entry["task"] == "account":  # what a guard looks at before the selection says the same
            return {}
        rows: dict[str, dict[str, int]] = entry["rows"]
        return {
            name: count for name, count in rows.items() if self.teller.setdefault(name, entry["task"]) == entry["task"]
        }


class Metrics:
    """The metrics of one run, made once Ray is there. State: Ray's counters, which live in this process."""

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Counter, Gauge, Histogram

        self.run = run
        self.rows = RowCount()
        self.rows_total = Counter("winnow_rows_total", "Rows that a stage decided.", ("run", "stage", "outcome"))
        self.fetched = {
            what: Counter(f"winnow_{what}_{ending}", f"{said} while input was read.", ("run", "source"))
            for what, ending, said in FETCHED
        }
        self.tasks_total = Counter("winnow_tasks_total", "Tasks that ended.", ("run", "task", "outcome"))
        self.stage_seconds = Counter("winnow_stage_seconds_total", "Worker seconds of a stage.", ("run", "stage"))
        self.task_seconds = Histogram("winnow_task_seconds", "Wall seconds of a task.", SECONDS, ("run", "task"))
        self.actors = Gauge("winnow_actors", "Actors at work or starting.", ("run",))

    def took(self, entry: Entry) -> None:
        """Counts what one task did."""
        task = {"run": self.run, "task": entry["task"]}
        self.tasks_total.inc(1, task | {"outcome": "failed" if entry["error"] else "done"})
        if entry["error"]:
            return
        self.task_seconds.observe(entry["wall"], task)
        for stage, seconds in entry["seconds"].items():
            if seconds > 0:
                self.stage_seconds.inc(seconds, {"run": self.run, "stage": stage})
        for what, count in entry["fetched"].items():
            if count:
                self.fetched[what].inc(count, {"run": self.run, "source": entry["source"]})
        for stage, count in self.rows.new(entry).items():
            for outcome in OUTCOMES:
                if count[outcome]:
                    self.rows_total.inc(count[outcome], {"run": self.run, "stage": stage, "outcome": outcome})

    def pool(self, actors: int) -> None:
        """How large the pool of actors is now."""
        self.actors.set(actors, {"run": self.run})
