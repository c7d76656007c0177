"""Logistic regression with squared weights by dual coordinate ascent (Yu, Huang and Lin 2011), over rows of hashed n-grams.

    least over w:  |w|^2 / 2 + sum_i cost_i * log(1 + exp(-sign_i * w.x_i)),  x_i: the rarities of its buckets, brought to length 1, and 1

One thread, rows in an order that a seed decides, and no library's dot product, whose rounding depends on threads and processor:
the same rows give the same weights, bit for bit.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import READ_ONLY, ReadCodes, ReadInts, kernel

Floats = npt.NDArray[np.float64]
ReadFloats = Annotated[npt.NDArray[np.float64], READ_ONLY]

TOLERANCE = 1e-3
"""The fit ends with the pass in which no multiplier moves by more than this share of its cost."""


@kernel
def ascend(
    found: ReadCodes,
    bounds: ReadInts,
    rarities: ReadFloats,
    signs: ReadFloats,
    costs: ReadFloats,
    epochs: int,
    seed: int,
    tolerance: float,
    weights: Floats,
    multipliers: Floats,
) -> int:
    """Row i has the buckets found[bounds[i]:bounds[i + 1]], each of some rarity. `weights` [buckets + 1], its last the bias, and `multipliers` [rows]
    begin with 0 and are written; returns the passes made."""
    rows = signs.size
    bias = weights.size - 1
    order = np.arange(rows)
    state = np.uint64(seed) * np.uint64(2) + np.uint64(0x9E3779B97F4A7C15)
    for epoch in range(epochs):
        for n in range(rows - 1, 0, -1):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            other = np.int64((state >> np.uint64(1)) % np.uint64(n + 1))
            order[n], order[other] = order[other], order[n]
        moved = 0.0
        for row in order:
            total, squares = 0.0, 0.0
            for at in range(bounds[row], bounds[row + 1]):
                rarity = rarities[found[at]]
                total += weights[found[at]] * rarity
                squares += rarity * rarity
            if squares == 0.0:
                continue
            value = 1.0 / math.sqrt(squares)
            margin = signs[row] * (total * value + weights[bias])
            before, cost = multipliers[row], costs[row]
            low, high, now = 0.0, cost, before
            for _ in range(30):
                power = margin + 2.0 * (now - before)
                share = 1.0 / (1.0 + math.exp(min(power, 700.0)))
                gap = now - cost * share
                if abs(gap) < 1e-9 * cost:
                    break
                if gap > 0:
                    high = now
                else:
                    low = now
                now -= gap / (1.0 + 2.0 * cost * share * (1.0 - share))
                if not low < now < high:
                    now = 0.5 * (low + high)
            step = now - before
            if step == 0.0:
                continue
            multipliers[row] = now
            moved = max(moved, abs(step) / cost)
            step *= signs[row]
            weights[bias] += step
            step *= value
            for at in range(bounds[row], bounds[row + 1]):
                weights[found[at]] += step * rarities[found[at]]
        if moved < tolerance:
            return epoch + 1
    return epochs
