"""The duplicates of a document: its cluster, which document stays for it, and some of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from winnow.pipelines.engine.graph import Node
from winnow.pipelines.results.table import Run
from winnow.stages.minhash import MinHash

MEMBERS = 5
"""Other members of a cluster that are named beside the representative."""


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a cluster."""

    id: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The documents that one stage takes for copies of each other. `id` is the representative's. `members`: others than
    it and the document in question, those of smallest id, at most MEMBERS of them. `known`: the representative is a
    document of an earlier run, counted in `copies`; `earlier`: what the index that it is in was made from (`run`,
    `groups`, `index`, ...), empty where that cannot be told any more."""

    stage: str
    id: str
    copies: int
    representative: Member | None
    members: tuple[Member, ...]
    known: bool = False
    earlier: dict[str, Any] = field(default_factory=dict)


def clustering(run: Run) -> list[Node]:
    """The stages that group documents into clusters."""
    wanted = {"cluster", "copies", "representative"}
    return [node for node in run.plan.pipeline.measured() if wanted <= set(node.stage.signals())]


def clusters(run: Run, stage: str, wanted: Mapping[str, int]) -> dict[str, list[Member]]:
    """The representative and the members of smallest id of each cluster. `wanted`: cluster -> its copies in this run.

    Reads the cluster column of one partition at a time, until all copies are met.
    """
    found: dict[str, list[Member]] = {cluster: [] for cluster, copies in wanted.items() if copies > 1}
    left = sum(wanted[cluster] for cluster in found)
    signal = f"{stage}.cluster"
    for view in run.views() if left else ():
        rows = view.frame([signal]).with_row_index("row").filter(pl.col(signal).is_in(list(found)))
        if rows.is_empty():
            continue
        named = view.documents(["id", "url"])[rows.get_column("row").to_list()]
        for cluster, (identity, url) in zip(rows.get_column(signal), named.rows(), strict=True):
            found[cluster].append(Member(identity, url))
        for cluster, members in found.items():
            members.sort(key=lambda m: (m.id != cluster, m.id))
            del members[MEMBERS + 2 :]
        left -= len(rows)
        if left <= 0:
            break
    return found


def cluster_of(
    node: Node, cluster: str, copies: int, document: str, members: list[Member], known: bool = False
) -> Cluster:
    """What to say of a document's cluster, given its representative and members of smallest id."""
    if known:
        earlier = node.stage.earlier(cluster) if isinstance(node.stage, MinHash) else None
        others = [m for m in members if m.id != document]
        return Cluster(node.name, cluster, copies, None, tuple(others[:MEMBERS]), True, earlier or {})
    representative = next((m for m in members if m.id == cluster), None)
    others = [m for m in members if m.id not in (cluster, document)]
    return Cluster(node.name, cluster, copies, representative, tuple(others[:MEMBERS]))
