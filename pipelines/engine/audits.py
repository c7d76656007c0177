"""What a source's companions say of what it passes over, such as the recall of an index, for the accounting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from winnow.pipelines.engine.accounting import Accounts
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.plan import Plan


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
