"""The duplicates of documents: their clusters, which document stays for each, and some of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from winnow.pipelines.results.table import Rows, Run

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


def clusters_of(run: Run, records: Sequence[Mapping[str, Any]], part: Callable[[int], Rows]) -> list[list[Cluster]]:
    """The clusters of each record (columns `id`, `partition`, `row`)."""
    out: list[list[Cluster]] = [[] for _ in records]
    places = [(at, record["partition"], record["row"]) for at, record in enumerate(records) if record["row"] >= 0]
    for stage in run.clustering() if places else ():
        names = [f"{stage}.{bare}" for bare in ("cluster", "copies", "known") if f"{stage}.{bare}" in run.signals()]
        mine: dict[int, tuple[str, int, bool]] = {}
        for at, partition, row in places:
            cluster, copies, *earlier = part(partition).documents(names, np.array([row])).row(0)
            if cluster is not None:
                mine[at] = (cluster, copies, any(earlier))
        members = _members(run, stage, {cluster: copies - known for cluster, copies, known in mine.values()})
        for at, (cluster, copies, known) in mine.items():
            all_ = members.get(cluster, [])
            representative = None if known else next((m for m in all_ if m.id == cluster), None)
            others = [m for m in all_ if m.id != records[at]["id"] and (known or m.id != cluster)][:MEMBERS]
            look = getattr(run.pipeline.nodes[stage].stage, "earlier", None) if known else None
            made = (look(cluster) if look else None) or {}
            out[at].append(Cluster(stage, cluster, copies, representative, tuple(others), known, made))
    return out


def _members(run: Run, stage: str, wanted: Mapping[str, int]) -> dict[str, list[Member]]:
    """The representative and the members of smallest id of each cluster. `wanted`: cluster -> its copies in this run.

    Reads the cluster column of some partitions at a time, until all copies are met.
    """
    found: dict[str, list[Member]] = {cluster: [] for cluster, copies in wanted.items() if copies > 1}
    left, signal = sum(wanted[cluster] for cluster in found), f"{stage}.cluster"
    for frame in run.read([signal, "id", "url"], pl.col(signal).is_in(list(found))) if left else ():
        for cluster, identity, url in frame.rows():
            found[cluster].append(Member(identity, url))
        for cluster, members in found.items():
            members.sort(key=lambda m: (m.id != cluster, m.id))
            del members[MEMBERS + 2 :]
        left -= len(frame)
        if left <= 0:
            break
    return found
