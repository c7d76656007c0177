"""The duplicates of a document: its cluster, which document stays for it, and some of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from winnow.pipelines.finished import Run
from winnow.pipelines.graph import Node

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
    it and the document in question, those of smallest id, at most MEMBERS of them."""

    stage: str
    id: str
    copies: int
    representative: Member | None
    members: tuple[Member, ...]


def clustering(run: Run) -> list[Node]:
    """The stages that group documents into clusters."""
    wanted = {"cluster", "copies", "representative"}
    return [node for node in run.plan.pipeline.measured() if wanted <= set(node.stage.signals())]


def clusters(run: Run, stage: str, wanted: Mapping[str, int]) -> dict[str, list[Member]]:
    """The representative and the members of smallest id of each cluster. `wanted`: cluster -> its copies.

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


def cluster_of(stage: str, cluster: str, copies: int, document: str, members: list[Member]) -> Cluster:
    """What to say of a document's cluster, given its representative and members of smallest id."""
    representative = next((m for m in members if m.id == cluster), None)
    others = [m for m in members if m.id not in (cluster, document)]
    return Cluster(stage, cluster, copies, representative, tuple(others[:MEMBERS]))
