"""What an audit says of an index: how many pages of the language it does not call by it."""

from __future__ import annotations

import math
from dataclasses import dataclass

DEFAULT = 4_000
"""Pages of a snapshot that are audited unless a declaration says otherwise, or a tenth of those that are read where that
is less. With nothing found among so many, at most one page in a thousand is missed; in a snapshot of 2.5 billion pages
of which 0.7% are Korean, that is a recall of at least 0.88."""

NORMAL = 1.959963984540054
"""Two-sided 95% of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Pages of the language that the index misses, and the recall of what it gives; each with a 95% interval."""

    missed: float
    missed_low: float
    missed_high: float
    recall: float | None  # None where neither the index nor the audit found a page
    recall_low: float | None
    recall_high: float | None


def wilson(found: int, of: int, z: float = NORMAL) -> tuple[float, float]:
    """The Wilson score interval of a share (E. B. Wilson, 1927); (0, 1) where nothing was looked at."""
    if of == 0:
        return 0.0, 1.0
    share, extra = found / of, z * z / of
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / of + extra / (4 * of)) / (1 + extra)
    return (0.0 if found == 0 else middle - half), (1.0 if found == of else middle + half)


def estimate(population: int, audited: int, found: int, selected_found: int) -> Recall:
    """The recall of an index, from a random sample of the pages that it passes over for their language alone.

    `population`: how many it passes over so; `audited`: of them, how many were looked at; `found`: of those, how many are
    in the language; `selected_found`: how many of the pages that it gives are. Raises ValueError for counts that cannot be."""
    if not 0 <= found <= audited <= population:
        raise ValueError(f"expected 0 <= found ({found}) <= audited ({audited}) <= population ({population})")
    low, high = wilson(found, audited)
    if audited == population:
        low = high = found / audited if audited else 0.0
    share = found / audited if audited else 0.0
    missed, least, most = share * population, max(low * population, found), high * population
    return Recall(
        missed,
        least,
        most,
        _recall(selected_found, missed),
        _recall(selected_found, most),
        _recall(selected_found, least),
    )


def _recall(found: int, missed: float) -> float | None:
    return found / (found + missed) if found + missed > 0 else None
