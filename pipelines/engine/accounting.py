"""Accounts: rows in = kept + dropped + failed at every stage, added up from the parts, and what stops a run; what a
source's companions say of what it passes over."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.signals import ERROR, read_signals
from winnow.pipelines.selection.guards import Guard, figures
from winnow.pipelines.selection.verdict import FAILED, KEPT, PENDING, UNSEEN
from winnow.stages.reading.batches import unplaced

WIPE_OUT_ROWS = 20
"""A stage that keeps none of at least so many rows stops the run, whatever its guards."""

WORST = 3
"""Sources and inputs that the sentence about a broken guard names."""

_NUMBER = re.compile(r"\d[\d,.]*")

Accounts = dict[str, Any]
"""Stage or source name -> in, kept, failed, dropped (clause -> rows), and pending where a selection measured nothing."""


def add(total: Accounts, more: Mapping[str, Any]) -> None:
    """Add accounts to accounts."""
    for name, account in more.items():
        into = total.setdefault(name, {"in": 0, "kept": 0, "failed": 0, "dropped": {}})
        for key in ("in", "kept", "failed"):
            into[key] += account[key]
        if account.get("pending"):
            into["pending"] = into.get("pending", 0) + account["pending"]
        for clause, rows in account["dropped"].items():
            into["dropped"][clause] = into["dropped"].get(clause, 0) + rows


@dataclass
class Tally:
    """What one task saw: rows per stage, seconds per stage, damage. Added up by the driver."""

    stages: Accounts = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    measured: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    damage: list[dict[str, Any]] = field(default_factory=list)

    def count(
        self, stage: str, rows: int, kept: int, failed: int, dropped: Mapping[str, int], pending: int = 0
    ) -> None:
        """Add rows to a stage's account."""
        account = {"in": rows, "kept": kept, "failed": failed, "dropped": dropped, "pending": pending}
        add(self.stages, {stage: account})

    def verdict(self, node: Node, status: npt.NDArray[np.uint8], first: npt.NDArray[np.int16]) -> None:
        """Add a stage's verdict to its account."""
        by_status = np.bincount(status, minlength=5).tolist()
        by_clause = np.bincount(first[first >= 0], minlength=len(node.clauses)).tolist()
        dropped = {c.name: n for c, n in zip(node.clauses, by_clause, strict=True) if n}
        seen = len(status) - by_status[UNSEEN]
        self.count(node.name, seen, by_status[KEPT], by_status[FAILED], dropped, by_status[PENDING])


def added(plan: Plan, results: Iterable[Mapping[str, Any]]) -> tuple[Accounts, dict[str, Accounts]]:
    """The accounts of partitions' results (`index`, `stages`), in all and by source."""
    total: Accounts = {}
    by_source: dict[str, Accounts] = {name: {} for name in plan.pipeline.sources}
    for result in sorted(results, key=lambda r: int(r["index"])):
        add(total, result["stages"])
        add(by_source[plan.partitions[result["index"]].source], result["stages"])
    return total, by_source


def grouped(plan: Plan, results: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Accounts]]:
    """The same by the group of the inputs, such as a snapshot, then by source; of sources that have groups alone."""
    groups: dict[str, dict[str, Accounts]] = {}
    for result in results:
        partition = plan.partitions[result["index"]]
        if partition.group:
            add(groups.setdefault(partition.group, {}).setdefault(partition.source, {}), result["stages"])
    return dict(sorted(groups.items()))


def joined(before: Mapping[str, Mapping[str, Accounts]], after: Mapping[str, Mapping[str, Accounts]]) -> dict[str, Any]:
    """Accounts by group and source of earlier stages and of later ones, together."""
    return {
        group: {name: {**accounts, **after.get(group, {}).get(name, {})} for name, accounts in sources.items()}
        for group, sources in before.items()
    }


def reconcile(stages: Accounts) -> None:
    """Raises RunError where rows got lost."""
    for name, account in stages.items():
        out = account["kept"] + account["failed"] + sum(account["dropped"].values()) + account.get("pending", 0)
        if account["in"] != out:
            raise RunError(f"rows do not reconcile at stage '{name}': {account['in']:,} in, {out:,} accounted for")


def check_guards(
    plan: Plan,
    stages: Accounts,
    by_source: Mapping[str, Accounts],
    parts: Sequence[Mapping[str, Any]] = (),
    final: Mapping[str, Any] | None = None,
) -> None:
    """Raises RunError where a guard does not hold, with the figures and the worst sources and inputs.

    `parts`: the partitions' own accounts. `final`: the finished selection's kept_documents and kept_tokens, in all
    under `""` and by source; without it, guards that need it wait.
    """
    for name, account in stages.items():
        now: dict[str, Any] = dict(figures(account))
        if final is not None:
            now |= final[name if name in plan.pipeline.sources else ""]
        broken = next((g for g in plan.pipeline.guards[name] if (final or not g.final) and not g.holds(now)), None)
        wiped = account["in"] >= WIPE_OUT_ROWS and account["kept"] == 0 and not account.get("pending")
        if not broken and not wiped:
            continue
        clauses = ", ".join(f"{c} {n:,}" for c, n in sorted(account["dropped"].items(), key=lambda x: -x[1])[:5])
        what = f"guard '{broken.text}'" if broken else "it must keep something"
        ends = (
            f"; the selection holds {now['kept_documents']:,} documents, {now['kept_tokens']:,} tokens" if final else ""
        )
        causes = "; ".join(_causes(plan, stage=name)) if account["failed"] else ""
        failed = f"failed {account['failed']:,}" + (f": {causes}" if causes else "")
        raise RunError(
            f"stage '{name}' keeps {account['kept']:,} of {account['in']:,} rows ({what}; dropped by "
            f"{clauses or 'nothing'}; {failed}){ends}; worst: {_worst(plan, name, by_source, parts, _lost(broken))}; "
            "nothing was selected"
        )


def check_failures(plan: Plan, stages: Accounts, failed: int) -> None:
    """Raises RunError where more rows failed than `max_failures` allows, with the causes."""
    pipeline = plan.pipeline
    records = sum(stages[s]["in"] for s in pipeline.sources if s in stages)
    allowed = pipeline.max_failures if pipeline.max_failures >= 1 else pipeline.max_failures * records
    if failed > allowed:
        raise RunError(
            f"{failed:,} of {records:,} records failed, more than max_failures {pipeline.max_failures:g} allows; the causes: "
            + "; ".join(_causes(plan))
        )


def check_damage(accounting: Mapping[str, Any], strict: bool) -> None:
    """Raises RunError where input was damaged and that is an error."""
    if strict and accounting["damage"]:
        first = accounting["damage"][0]
        raise RunError(
            f"{len(accounting['damage'])} damaged stretches in the input (--strict): {first['file']} at byte "
            f"{first['offset']:,}: {first['cause']}"
        )


def _lost(guard: Guard | None) -> str:
    """Which share a guard is about: of dropped rows unless it says failed ones."""
    return "fail" if guard and {"guard.fail", "guard.failed"} & set(guard.clause.signals) else "drop"


def _worst(
    plan: Plan, name: str, by_source: Mapping[str, Accounts], parts: Sequence[Mapping[str, Any]], lost: str
) -> str:
    """The sources, and the inputs where they are known, that lost most at a stage."""
    shares = [(f"source '{s}'", accounts[name]) for s, accounts in by_source.items() if name in accounts]
    inputs = []
    for result in parts:
        segments = plan.partitions[result["index"]].segments
        if segments and name in result["stages"]:
            first = segments[0]
            more = f" and {len(segments) - 1} more" if len(segments) > 1 else ""
            if first.start > 0 or first.end < first.file.size:
                more = f" from byte {first.start:,}{more}"
            inputs.append((f"{first.file.url}{more}", result["stages"][name]))
    chosen = []
    for found in (shares, inputs):
        ranked = sorted(found, key=lambda x: (-figures(x[1])[lost], -x[1]["in"], x[0]))
        verb = {"drop": "dropped", "fail": "failed"}[lost]
        chosen += [f"{label} {figures(a)[lost]:.1%} of {a['in']:,} {verb}" for label, a in ranked[:WORST] if a["in"]]
    return "; ".join(chosen) or "unknown"


def _causes(plan: Plan, most: int = 3, stage: str | None = None) -> list[str]:
    """The most frequent causes of failure, with their rows and the first place that is known; of one stage or source, or of
    all. Causes that differ in their numbers alone are one."""
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    first: dict[str, str] = {}
    for name, error, rows in _failures(plan):
        if stage is not None and name != stage:
            continue
        cause, place = unplaced(error)
        kind = f"{name} {_NUMBER.sub('#', cause)}"
        counts[kind] += rows
        shown.setdefault(kind, cause if stage else f"{name}: {cause}")
        if place is not None:
            first.setdefault(kind, place)
    return [
        f"{shown[kind]} ({rows:,}; the first: {first[kind]})" if kind in first else f"{shown[kind]} ({rows:,})"
        for kind, rows in counts.most_common(most)
    ]


def _failures(plan: Plan) -> Iterator[tuple[str, str, int]]:
    """Stage or source, cause and rows: from the records, and from what each stage measured."""
    tolerant = replace(plan, allow_unmeasured=True)
    for partition in plan.partitions:
        if plan.store.record(plan.records(partition)) is None:
            continue
        rows = pl.DataFrame(plan.store.read(plan.records(partition), ["status", "stage", "value"]))
        failed = rows.filter(pl.col("status") == FAILED).group_by("stage", "value", maintain_order=True).len()
        yield from ((stage, cause or "no cause is known", count) for stage, cause, count in failed.iter_rows())
        for node in (n for n in plan.pipeline.measured() if n.measures):
            errors = pl.DataFrame(read_signals(tolerant, node, partition, [ERROR], own=True)).drop_nulls()
            counted = errors.group_by(ERROR, maintain_order=True).len()
            yield from ((node.name, cause, count) for cause, count in counted.iter_rows())


def audits(plan: Plan, groups: Mapping[str, Mapping[str, Accounts]]) -> dict[str, Any]:
    """Source name -> a report with figures by group. Nothing without a stage that identifies languages, the last of
    which says what is found."""
    identifying = [name for name, node in plan.pipeline.nodes.items() if node.stage.outputs.language]
    kept = KeptInStore(plan.store)
    out: dict[str, Any] = {}
    for name, source in plan.pipeline.sources.items():
        if identifying and source.companions():
            found = {
                group: source.audited(group, identifying[-1], accounts, kept) for group, accounts in groups.items()
            }
            out[name] = {"groups": {group: figures for group, figures in found.items() if figures}}
    return {name: report for name, report in out.items() if report["groups"]}
