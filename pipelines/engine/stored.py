"""Whether what a run recorded is there: every part, record and shard, by size from one listing per folder, or by hash.

A file that is not what was recorded is a `Fault`; `forget` takes back the claim that it is there, so that the run makes it
again, and nothing else. `verify` looks at everything, by hash, whatever is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.inputs import INPUTS
from winnow.pipelines.engine.ledger import listed
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.pointers import PLANNED, open_plan, parse_reference, selections
from winnow.pipelines.engine.store import Store, StoreError
from winnow.pipelines.engine.tasks import Kind
from winnow.tokenize.shard import Manifest

INGEST, SELECTION, SHARDS, SHOWN = "@ingest", "@selection", "@shards", "@shown"
"""Steps of a run that are no stage's, as `Fault.step` names them; no stage can be named so."""

THREADS = 16
"""Records that are read at a time where they lie on object storage."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A stored file that is not what was recorded. `step` makes it: INGEST, SELECTION, SHARDS or a stage; `key` is of its
    partition, '' where it is about all of them. `claims`: names or patterns of the files that say it is there."""

    file: str
    error: StoreError
    step: str
    key: str = ""
    claims: tuple[str, ...] = ()


def faults(plan: Plan, strict: bool = False) -> list[Fault]:
    """What the plan's finished steps recorded and what is missing, cut or (`strict`: hashed) damaged, in the order of the
    steps. What was never finished is no fault."""
    return [*_ingest(plan, strict), *_stages(plan, strict), *_decided(plan, strict), *_handed_off(plan, strict)]


def shown(store: Store) -> list[Fault]:
    """The file that says what the folder shows by default, where it is damaged; the end of the run writes it."""
    return list(_json(store, SHOWN, "run.json"))


def unread(plan: Plan, found: Sequence[Fault]) -> set[str]:
    """Keys of the partitions whose input must be read: for the first time, or because of these faults."""
    there = listed(plan.store.fs, plan.store.path(f"records/{plan.ingest}"))
    lost = {fault.key for fault in found if fault.step == INGEST}
    return {p.key for p in plan.partitions if p.key in lost or f"{p.key}.json" not in there}


def forget(plan: Plan, found: Sequence[Fault]) -> None:
    """Take back the claim that these files are there. Only the holder of the run's lock calls this."""
    for claim in dict.fromkeys(claim for fault in found for claim in fault.claims):
        (plan.store.remove_all if "*" in claim else plan.store.remove)(claim)
    if any(fault.file == plan.purged for fault in found):
        plan.store.write_json(plan.purged, {"keeps": []})  # texts are looked at before anything relies on them


def _ingest(plan: Plan, strict: bool) -> Iterator[Fault]:
    """Of every partition that counts as read: its records, its documents and what the raw stages measured."""
    records = f"records/{plan.ingest}"
    there = listed(plan.store.fs, plan.store.path(records))
    keys = [p.key for p in plan.partitions if f"{p.key}.json" in there]
    raw = [f"signals/{n.name}/{plan.ingest}" for n in plan.pipeline.raw()]
    for folder in (records, *([f"documents/{plan.ingest}", *raw] if keys else [])):
        yield from _parts(plan.store, INGEST, folder, keys, strict, record=records)
    yield from _json(plan.store, INGEST, plan.purged, ())


def _stages(plan: Plan, strict: bool) -> Iterator[Fault]:
    """What documents' stages measured and what their reduces wrote; of those that are not done what they have so far."""
    store, keys = plan.store, [p.key for p in plan.partitions]
    for task in plan.every(Kind.MEASURE, Kind.REDUCE, Kind.STATISTIC):
        name = str(task.done)
        claims = [name]
        if task.kind is Kind.MEASURE:  # of every group, or a stage would count as measured in part
            claims = [f"{group.folder}/covers-*.json" for group in plan.groups(task.stage)]
        elif task.kind is Kind.REDUCE:
            claims = [name, f"{task.folder}/exchange-*"]
        yield from _json(store, task.stage, name, claims)
        if task.kind is Kind.STATISTIC:
            continue
        done, wanted = store.exists(name), keys
        if task.kind is Kind.REDUCE and not done:
            there = listed(store.fs, store.path(task.folder))
            wanted = [n.removesuffix(".json") for n in there if n.startswith("exchange-") and n.endswith(".json")]
        yield from _parts(store, task.stage, task.folder, wanted, strict, done, claims, record=task.folder)


def _decided(plan: Plan, strict: bool) -> Iterator[Fault]:
    name = plan.selection_done
    yield from _json(plan.store, SELECTION, name)
    if plan.store.exists(name):
        folder = name.rpartition("/")[0]
        yield from _parts(plan.store, SELECTION, folder, [p.key for p in plan.partitions], strict, claims=(name,))


def _handed_off(plan: Plan, strict: bool) -> Iterator[Fault]:
    """The manifest, the shards that it names and the tokenizer."""
    store, name = plan.store, plan.manifest_name
    try:
        manifest = plan.manifest()
    except StoreError as error:
        yield Fault(name, error, SHARDS, claims=(name,))
        return
    if manifest is None:
        return
    there = listed(store.fs, store.path(plan.shards))
    for file, size, digest in files_of(manifest):
        full = f"{plan.shards}/{file}"
        found = there.get(file)
        try:
            if found is None:
                raise store.damaged(full, "missing")
            if size is not None and found[0] != size:
                raise store.damaged(full, f"has {found[0]:,} bytes, expected {size:,}: it was cut or replaced")
            if strict or size is None:  # the tokenizer, which is small
                store.check(full, found[0], digest, again=strict)
        except StoreError as error:
            yield Fault(full, error, SHARDS)


def files_of(manifest: Manifest) -> list[tuple[str, int | None, str]]:
    """Name, size where it is recorded, and sha256 of every file that a manifest names."""
    tokenizer = manifest.tokenizer
    return [(s.file, s.bytes, s.digest) for s in manifest.shards] + [(tokenizer.file, None, tokenizer.sha256)]


def _json(store: Store, step: str, name: str, claims: Sequence[str] | None = None) -> Iterator[Fault]:
    """`claims`: by default the file itself."""
    try:
        store.read_json(name)
    except StoreError as error:
        yield Fault(name, error, step, claims=(name,) if claims is None else tuple(claims))


def _parts(
    store: Store,
    step: str,
    folder: str,
    keys: Collection[str],
    strict: bool,
    required: bool = True,
    claims: Sequence[str] = (),
    record: str | None = None,
) -> Iterator[Fault]:
    """Of the parts of a folder those that are not what was recorded. `required`: one without a record is a fault, too.
    `record`: the folder whose file of the same key claims each, beside what claims them all."""
    there = listed(store.fs, store.path(folder))
    if not there and not required:
        return

    def fault(key: str, error: StoreError) -> Fault:
        mine = [] if record is None else [f"{record}/{key}.json"]
        return Fault(error.file, error, step, key, (*mine, *claims))

    unknown: list[tuple[str, tuple[int, str]]] = []
    for key in keys:
        name, found = f"{folder}/{key}.arrow", there.get(f"{key}.arrow")
        if f"{key}.json" not in there:
            if required:
                yield fault(key, store.damaged(name, "missing, or never finished"))
        elif found is None:
            yield fault(key, store.damaged(name, "missing"))
        elif strict or not store.ledger.sized(name, *found):
            unknown.append((key, found))

    def one(asked: tuple[str, tuple[int, str]]) -> Fault | None:
        key, (size, stamp) = asked
        name = f"{folder}/{key}.arrow"
        try:
            said = store.read_json(f"{folder}/{key}.json")
            if size != said["bytes"]:
                raise store.damaged(name, f"has {size:,} bytes, expected {said['bytes']:,}: it was cut or replaced")
            if strict:
                store.check(name, size, said["hash"])
            store.ledger.add(name, size, stamp, said["hash"], hashed=False)
        except StoreError as error:
            return fault(key, error)
        return None

    with ThreadPoolExecutor(1 if store.local else THREADS) as pool:
        yield from (found for found in pool.map(one, unknown) if found is not None)


ALONE = ("work.json", "progress.json", PLANNED, INPUTS)
"""Files beside the selections' own that a run keeps in its folder."""


KEPT = ("records/", "documents/", "signals/", "corpus/", "statistics/", "selection/", "inputs/")


def verify(reference: str, say: Callable[[str], None]) -> int:
    """Says one sentence for each file that is damaged or missing, and returns how many there are. `reference`: the folder of a
    run, for all its selections, or one selection of it. Raises RunError where there is no run."""
    root, name = parse_reference(reference)
    store = Store.at(root)
    names: list[str | None] = [None, *selections(store)] if name is None else [name]
    if not any(store.exists(file) for file in ("run.json", "selections", "records")):
        raise RunError(f"{root}: no run there; expected a folder that `winnow run` has written")
    said: set[str] = set()
    for error in _errors(store, names):
        about = error.file if isinstance(error, StoreError) else str(error)
        if about not in said:  # several selections have it
            said.add(about)
            say(str(error))
    return len(said)


def _errors(store: Store, names: list[str | None]) -> Iterator[StoreError | RunError]:
    yield from (fault.error for file in ALONE for fault in _json(store, SHOWN, file))
    seen: set[str] = set()
    for name in names:
        try:
            plan, _, _ = open_plan(store.root if name is None else f"{store.root}@{name}")
        except (StoreError, RunError) as error:
            yield error
            continue
        yield from _of_plan(plan, seen)
        if name is None and plan.shards and not store.exists(plan.manifest_name):  # a selection may have none yet
            yield store.damaged(plan.manifest_name, "missing")
    yield from _others(store, seen)


def _of_plan(plan: Plan, seen: set[str]) -> Iterator[StoreError]:
    """What is wrong with the files of a selection. That its steps are done is part of what was recorded of them."""
    store = plan.store
    for fault in faults(plan, strict=True):
        yield fault.error
    for task in plan.tasks.values():
        optional = task.kind in (Kind.WRITE, Kind.PURGE) or (plan.allow_unmeasured and task.kind is Kind.MEASURE)
        if task.done is not None and not optional and not store.exists(task.done):
            yield store.damaged(task.done, "missing")
    keys = [partition.key for partition in plan.partitions]
    yield from (fault.error for fault in _parts(store, INGEST, f"records/{plan.ingest}", keys, strict=False))
    seen |= {f"records/{plan.ingest}", f"documents/{plan.ingest}"}
    seen |= {f"signals/{node.name}/{plan.ingest}" for node in plan.pipeline.raw()}
    seen |= {task.folder for task in plan.tasks.values() if task.kind not in (Kind.STATISTIC, Kind.DECIDE)}


def _others(store: Store, seen: set[str]) -> Iterator[StoreError]:
    """Parts in the folder that no selection shown there uses: what earlier declarations left, which may be used again."""
    root = store.path("").rstrip("/")
    for path in sorted(store.fs.find(root)):
        name = path[len(root) + 1 :]
        folder, _, file = name.rpartition("/")
        if folder in seen or not name.startswith(KEPT):
            continue
        try:
            record = store.read_json(name) if file.endswith(".json") else None
            if record is not None and {"bytes", "hash"} <= set(record):
                store.check(f"{name.removesuffix('.json')}.arrow", record["bytes"], record["hash"])
        except StoreError as error:
            yield error
