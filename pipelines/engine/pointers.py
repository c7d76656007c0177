"""Which selections the folder of a run shows: what is written there when a run begins and ends, and read to open it.

A folder shows one selection by default (`run.json`) and any number of named ones beside it
(`selections/NAME.json`), which `winnow select` makes. `runs/ko` means the first, `runs/ko@looser` a named one.

Of a run that did not finish, what it was to show is said when it begins. A stage's verdict on a document follows from what
was measured of it, so it is the one that the finished run will give; where something for it is missing, it is pending.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from winnow.nearest import expected
from winnow.pipelines.console import visible
from winnow.pipelines.engine.accounting import Tally, add
from winnow.pipelines.engine.declaration import resolve_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.frame import PartitionFrame
from winnow.pipelines.engine.heartbeat import NAME, is_stale
from winnow.pipelines.engine.ledger import listed
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.store import Store
from winnow.stages.reading.files import public_tree

PLANNED = "planned.json"
"""What a run that has begun will show: as `run.json`, which supersedes it when the run finishes."""

SELECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its folder records it: where it is, what it kept, how it got there. `name`: of its selection, None for the default.
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
        there = self.plan.pipeline.terminal() and self.plan.store.exists(self.plan.manifest_name)
        return self.plan.store.url(self.plan.shards) if there else None


def open_record(reference: str | Path) -> RunRecord:
    """A run made earlier, from its folder alone: its inputs may be gone. `folder@name` opens a named selection.

    Raises RunError where there is none.
    """
    plan, name, unmeasured = open_plan(reference)
    accounting = plan.store.read_json(plan.selection_done)
    if accounting is None:
        raise plan.store.damaged(plan.selection_done, "missing: it holds the selection's accounts")
    return RunRecord(plan, accounting, True, name, unmeasured)


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
    missing = missing or [f"plan.{key}" for key in ("tasks", "partitions") if key not in last["plan"]]
    if missing:
        raise _of_another_version(root, store, file, missing[0])
    pipeline = resolve_pipeline(yaml.safe_load(last["declaration"]), f"{root}/{file}", last.get("shapes"))
    try:
        plan = Plan.restore(pipeline, store, last["plan"])
    except KeyError as error:
        raise _of_another_version(root, store, file, f"plan.tasks.{error.args[0]}") from error
    return replace(plan, allow_unmeasured=bool(last.get("unmeasured")), facts=last.get("facts") or {})


def _of_another_version(root: str, store: Store, file: str, lacks: str) -> RunError:
    again = f"winnow run DECLARATION --folder {shlex.quote(root)}"
    return RunError(f"{store.path(file)}: lacks '{lacks}', so another version of winnow made it; make it anew: {again}")


def located(reference: str | Path) -> tuple[str, Store, str | None]:
    """Folder of a run as it was written, its store, and the name of the selection that is meant. Raises RunError for a file."""
    root, name = parse_reference(str(reference))
    if "://" not in root and Path(root).is_file():
        raise RunError(f"{root}: is a file; expected the folder of a finished run, such as runs/ko")
    return root, Store.at(root), name


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
    made = [{name: made for name, (made, _) in saved["tasks"].items()} for saved in plans]
    return sorted({m["select"] for m in made if m["ingest"] == plan.ingest and m["select"] != plan.selection})


def set_current(plan: Plan, name: str | None = None, **facts: Any) -> None:
    """Make this what the folder shows: one file, replaced at once, so that it never names half of two runs."""
    now = {**described(plan), **facts}
    if name is None:
        plan.store.write_text("pipeline.yaml", now["declaration"])
        plan.store.write_json("run.json", now)
        plan.store.remove(PLANNED)
    else:
        plan.store.write_json(f"selections/{name}.json", now)


def described(plan: Plan) -> dict[str, Any]:
    """What `restored` needs, of a run that has begun (PLANNED) or finished."""
    tree, facts = public_tree(plan.pipeline.tree), public_tree(plan.facts)
    declaration = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)  # its order is meant
    shapes = public_tree(plan.pipeline.shapes())
    return {"declaration": declaration, "shards": plan.shards, "facts": facts, "plan": plan.saved(), "shapes": shapes}


def last_record(reference: str) -> RunRecord:
    """The run that was last begun in a folder, finished or not; `folder@name` opens a named selection. Raises RunError
    where there is none, StoreError for a damaged file."""
    root, store, name = located(reference)
    planned = store.read_json(PLANNED) if name is None else None
    shown = None if planned is None else store.read_json("run.json", hint=True)
    if planned is None or (shown is not None and shown.get("plan") == planned.get("plan")):
        return open_record(reference)
    plan = restored(root, store, PLANNED, planned)
    there = listed(store.fs, store.path(f"records/{plan.ingest}"))
    read = tuple(p for p in plan.partitions if f"{p.key}.json" in there)
    state, why = _ended(store)
    line = f"{root}: the run {state}: {len(read):,} of its {len(plan.partitions):,} partitions are read, and shown here"
    if shown is not None:
        line += "; report, select, publish and train read the finished run that was here before"
    line += f"\nhow it ended: {why}" if why else ""
    plan = replace(plan, partitions=read, allow_unmeasured=True, unfinished=True)
    accounting: dict[str, Any] = {"stages": {}, "damage": []}
    for partition in read:
        record = plan.ingested(partition)
        add(accounting["stages"], record["stages"])
        accounting["damage"] += record["damage"]
    return RunRecord(plan, accounting, True, unfinished=visible(line))


def accounts(run: RunRecord) -> dict[str, Any]:
    """The run's accounts, those of the stages that measure documents included. Reads signals, no text."""
    tally = Tally()
    for partition in run.plan.partitions:
        view = PartitionFrame(run.plan, partition, 0, run.plan.ingested(partition)["documents"])
        for node in run.plan.pipeline.measured():
            tally.verdict(node, *view.verdict(node))
    return {**run.accounting, "stages": {**run.accounting["stages"], **tally.stages}}


def _ended(store: Store) -> tuple[str, str | None]:
    """In what state the run is, and what its driver last said of it."""
    said = store.read_json(NAME, hint=True) or {}
    if said.get("state") in ("running", "planning"):
        return ("did not finish", "its driver is gone") if is_stale(said) else ("is at work and has not finished", None)
    return "did not finish", said.get("sentence") if said.get("state") in ("failed", "stopped") else None
