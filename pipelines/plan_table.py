"""What a plan looks like to a person: what is cached, what will run and why, and the work to expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from winnow.pipelines.console import say
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.plan import Plan, pending, pending_of, why_again
from winnow.pipelines.engine.planning import say_faults
from winnow.pipelines.engine.reselect import to_measure
from winnow.pipelines.engine.stored import Fault
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.results.inspect import print_report


def show_plan(plan: Plan, console: Console, found: Sequence[Fault] = ()) -> None:
    """Stages, partitions, what is cached, what will run and why, the documents that must be measured, and the work to
    expect from earlier runs. `found`: stored files that are not what was recorded."""
    todo, total = pending(plan), len(plan.partitions)
    before = (plan.store.read_json("run.json", hint=True) or {}).get("facts", {})
    spent = plan.store.read_json("work.json", hint=True) or {"seconds": {}, "rows": {}}
    rates = {n: spent["seconds"].get(n, 0.0) / rows for n, rows in spent["rows"].items() if rows}
    accounting = _last_accounting(plan)
    documents = to_measure(plan) if any(todo.values()) else {}
    columns = ("stage", "kind", "level", "keep", "partitions to run", "documents to measure", "why", "predicted")
    table = Table(*columns, title=f"{plan.pipeline.name}: {total} partitions")
    ingest = todo["ingest"]
    for source in plan.pipeline.sources.values():
        mine = sum(p.source == source.name for p in plan.partitions)
        why = "" if not ingest else "not read yet"
        table.add_row(source.name, source.kind, "0", "", f"{min(ingest, mine)}/{mine}", "", why, "")
    for name, node in plan.pipeline.nodes.items():
        count = todo.get(name, ingest)
        why = why_again(before.get(name), plan.facts[name]) if count else "cached"
        rows = documents.get(name, accounting.get(name, {}).get("in", 0) * min(count, total) // max(total, 1))
        predicted = f"{rates[name] * rows:.1f} s" if count and name in rates and rows else ""
        keep = "\n".join(f"{c.name.removeprefix(name + '.')}: {c.text}" for c in node.clauses[:4])
        more = f"\n… {len(node.clauses) - 4} more" if len(node.clauses) > 4 else ""
        table.add_row(
            name,
            node.stage.kind,
            str(plan.level_of(name)),
            keep + more,
            f"{count}/{total}" if name in todo else f"{ingest}/{total}",
            "" if name not in documents else "known later" if rows is None else f"{rows:,}",
            why,
            predicted,
        )
    chosen = "" if todo["selection"] else "cached"
    table.add_row("selection", "", "", "", f"{todo['selection']}/{total}", "", chosen, "")
    console.print(table)
    _show_expected(plan, console)
    say_faults(found, plan.store, lambda sentence: say(sentence, console))
    if not any(todo.values()) and not found:
        console.print("nothing to do")


def show_graph(plan: Plan, console: Console) -> None:
    """Every task, each after those that it depends on: what of it is to run, where its results are, whose results it reads,
    and whose decisions say which rows it covers."""
    table = Table("step", "task", "to run", "results", "reads", "rows kept by", box=None, pad_edge=False)
    for column in table.columns[3:]:
        column.overflow = "fold"
    for task in plan.tasks.values():
        apart = task.kind not in (Kind.EXCHANGE, Kind.DECIDE)
        count, of = pending_of(plan, task), 1 if task.kind is Kind.WRITE else len(plan.partitions)
        table.add_row(
            f"{task.level}{'+' if task.step % 2 else ''}",
            task.name,
            f"{count}/{of}" if apart else "",
            task.folder if task.kind is not Kind.DECIDE else "",
            ", ".join(task.value_deps),
            "; or ".join(", ".join(stages) for stages in task.filters if stages),
        )
    console.print(table)
    say("a step with + needs all partitions; a decision is computed where it is needed", console)


def _show_expected(plan: Plan, console: Console) -> None:
    """What sources that find their inputs themselves will fetch, by group."""
    for name, source in plan.pipeline.sources.items():
        expected = source.expected(KeptInStore(plan.store))
        if expected:
            print_report(f"{name}: to fetch", {"groups": expected}, console)


def _last_accounting(plan: Plan) -> dict[str, Any]:
    last = plan.store.read_json("run.json", hint=True)
    accounting = (
        plan.store.read_json(f"selection/{last['plan']['tasks']['select'][0]}/done.json", hint=True) if last else None
    )
    return dict(accounting["stages"]) if accounting else {}
