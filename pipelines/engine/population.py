"""Which documents a stage's statistics are about: looked up once, remembered between passes.

Every pass asks every partition for the same columns again. A process keeps the first `REMEMBERED_BYTES` of them, 10 to 40
bytes a document, and reads the others anew, so memory does not grow with the corpus.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
import polars as pl

from winnow.pipelines.engine.frame import PartitionFrame
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.signals import ERROR, MEASURED
from winnow.pipelines.selection.statistics import Population

REMEMBERED_BYTES = 2**28

_REMEMBERED: dict[tuple[str, ...], tuple[Population, int]] = {}
_LOCK = Lock()


def population(view: PartitionFrame, node: Node) -> Population:
    """The population of a stage in a view's partition. Raises Unmeasured where it is not all measured."""
    name = (view.plan.store.root, view.plan.statistics(node.name), view.partition.key)
    if (remembered := _REMEMBERED.get(name)) is not None:
        return remembered[0]
    found = _look_up(view, node)
    with _LOCK:
        for old in [n for n in _REMEMBERED if n[:2] != name[:2]]:  # an earlier statistic's
            del _REMEMBERED[old]
        if sum(size for _, size in _REMEMBERED.values()) + found.bytes <= REMEMBERED_BYTES:
            _REMEMBERED[name] = (found, found.bytes)
    return found


def _look_up(view: PartitionFrame, node: Node) -> Population:
    seen, failed = view.seen(node), view.flag(node.name, ERROR)
    measured = view.flag(node.name, MEASURED)
    if not view.plan.allow_unmeasured:
        view.check_measured(node, seen, measured | failed)
        view.check_read(node, seen & ~failed)
    mask = seen & measured & ~failed
    frame = view.inputs([clause for clause in node.clauses if clause.statistics], computed=False)
    return Population(np.packbits(mask), frame.filter(pl.Series(mask)))
