"""A finished run and its selections: where they are, what they kept, and the documents with all that is known of them.

A folder shows one selection by default (`run.json`) and any number of named ones beside it
(`selections/NAME.json`), which `winnow select` makes. `runs/ko` means the first, `runs/ko@looser` a named one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from winnow.nearest import expected
from winnow.pipelines.engine.declaration import resolve_pipeline
from winnow.pipelines.engine.execute import RunError
from winnow.pipelines.engine.handoff import manifest_name
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import SAVED, Plan
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.texts import handed_off, hidden
from winnow.pipelines.engine.view import ERROR, View, read_signals
from winnow.pipelines.selection.verdict import FAILED, reasons
from winnow.stages.reading.files import public_tree

PLANNED = "planned.json"
"""What a run that has begun will show: as `run.json`, which supersedes it when the run finishes."""

SELECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: where it is, what it kept, how it got there. `name`: of its selection, None for the default.
    `unfinished`: of a run that did not finish the line that says so, and of what part of the input the rest speaks."""

    plan: Plan
    accounting: dict[str, Any]
    did_nothing: bool
    name: str | None = None
    unmeasured: dict[str, int] = field(default_factory=dict)  # of a provisional selection: what each stage must measure
    unfinished: str = ""

    @property
    def folder(self) -> str:
        """Folder of the run."""
        return self.plan.store.root

    @property
    def shards(self) -> str | None:
        """Folder of the hand-off, None where the pipeline has no tokenize stage or the selection is not tokenized."""
        there = self.plan.pipeline.terminal() and self.plan.store.exists(manifest_name(self.plan.shards))
        return self.plan.store.url(self.plan.shards) if there else None

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
            if plan.lenient and plan.store.record(name) is None:
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


def open_run(reference: str | Path) -> Run:
    """A run made earlier, from its folder alone: its inputs may be gone. `folder@name` opens a named selection.

    Raises RunError where there is none.
    """
    plan, name, unmeasured = open_plan(reference)
    accounting = plan.store.read_json(plan.selection_done)
    if accounting is None:
        raise plan.store.damaged(plan.selection_done, "missing: it holds the selection's accounts")
    return Run(plan, accounting, True, name, unmeasured)


def open_plan(reference: str | Path) -> tuple[Plan, str | None, dict[str, int]]:
    """The plan of such a run, whatever of its results is still there, the name of the selection that is meant, and what
    each stage must measure for it first. Raises RunError where there is none."""
    root, store, name = located(reference)
    file = "run.json" if name is None else f"selections/{name}.json"
    last = store.read_json(file)
    if last is None and name is not None and store.exists("run.json"):
        raise RunError(f"{root}: no selection '{name}' there; {expected(name, selections(store))}")
    if last is None and store.exists("records"):
        look = f"; what there is of it: winnow inspect {shlex.quote(root)}" if store.exists(PLANNED) else ""
        raise RunError(f"{root}: a run began there and did not finish; give `winnow run` its declaration again{look}")
    if last is None:
        raise RunError(f"{root}: no finished run there; expected a folder that `winnow run` has written, with run.json")
    return restored(root, replace(store, selection=name), file, last), name, last.get("unmeasured") or {}


def restored(root: str, store: Store, file: str, last: Any) -> Plan:
    """The plan that a file of a run's folder holds. Raises RunError where another version of winnow wrote it."""
    missing = [key for key in ("declaration", "plan") if key not in last] if isinstance(last, dict) else ["declaration"]
    missing = missing or [f"plan.{key}" for key in (*SAVED, "partitions") if key not in last["plan"]]
    if missing:
        again = f"winnow run DECLARATION --folder {shlex.quote(root)}"
        raise RunError(
            f"{store.path(file)}: lacks '{missing[0]}', so another version of winnow made it; make it anew: {again}"
        )
    pipeline = resolve_pipeline(yaml.safe_load(last["declaration"]), f"{root}/{file}", last.get("shapes"))
    plan = Plan.restore(pipeline, store, last["plan"])
    return replace(plan, lenient=bool(last.get("unmeasured")), facts=last.get("facts") or {})


def located(reference: str | Path) -> tuple[str, Store, str | None]:
    """Folder of a run as it was written, its store, and the name of the selection that is meant. Raises RunError for a file."""
    root, name = parse_reference(str(reference))
    if "://" not in root and Path(root).is_file():
        raise RunError(f"{root}: is a file; expected the folder of a finished run, such as runs/ko")
    return root, Store(root if "://" in root else str(Path(root).expanduser().resolve())), name


def parse_reference(reference: str) -> tuple[str, str | None]:
    """Folder and selection name of `folder@name`; a folder of that very name comes first."""
    root, at, name = reference.rpartition("@")
    if not at or not root or not SELECTION_NAME.match(name) or ("://" not in reference and Path(reference).is_dir()):
        return reference, None
    return root, name


def selections(store: Store) -> list[str]:
    """Names of the selections of a run's folder."""
    path = store.path("selections")
    names = store.fs.ls(path, detail=False) if store.fs.exists(path) else []
    return sorted(n.rpartition("/")[2].removesuffix(".json") for n in names if n.endswith(".json"))


def shown_selections(plan: Plan) -> list[str]:
    """Fingerprints of the selections that the folder shows, by default and by name, over the same documents."""
    files = ["run.json", *(f"selections/{name}.json" for name in selections(plan.store))]
    plans = [saved["plan"] for saved in map(plan.store.read_json, files) if saved is not None]
    return sorted({p["selection"] for p in plans if p["ingest"] == plan.ingest and p["selection"] != plan.selection})


def point_to(plan: Plan, name: str | None = None, **facts: Any) -> None:
    """Make this what the folder shows: one file, replaced at once, so that it never names half of two runs."""
    now = {**_described(plan), **facts}
    if name is None:
        plan.store.write_text("pipeline.yaml", now["declaration"])
        plan.store.write_json("run.json", now)
        plan.store.remove(PLANNED)
    else:
        plan.store.write_json(f"selections/{name}.json", now)


def begin(plan: Plan, name: str | None) -> None:
    """Say what the folder will show, so that what there is of it can be read if the run does not finish. A named selection
    is there already, a provisional one."""
    if name is None:
        plan.store.write_json(PLANNED, _described(plan))


def _described(plan: Plan) -> dict[str, Any]:
    """What `restored` needs."""
    tree, facts = public_tree(plan.pipeline.tree), public_tree(plan.facts)
    declaration = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)  # its order is meant
    shapes = public_tree(plan.pipeline.shapes())
    return {"declaration": declaration, "shards": plan.shards, "facts": facts, "plan": plan.saved(), "shapes": shapes}


def _scan(plan: Plan, part: str, prefix: str, columns: Sequence[str] | None = None) -> pl.LazyFrame:
    if plan.store.local:
        plan.store.reader(part)  # or polars would say of a damaged file neither its name nor what to do
        frame = pl.scan_ipc(plan.store.path(f"{part}.arrow"))
    else:  # the store's own filesystem knows the endpoint and the credentials
        frame = pl.DataFrame(plan.store.read(part, columns)).lazy()
    if columns is not None:
        frame = frame.select(columns)
    return frame.select(pl.all().name.prefix(prefix)) if prefix else frame
