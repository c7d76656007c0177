"""Interpolated modified Kneser-Ney (Chen and Goodman 1999) with back-off weights, as KenLM's `lmplz` estimates it (Heafield et
al. 2013), in memory: about 60 bytes for each unit of text and order.

The probabilities are lmplz's: orders below the highest count the units seen *before* an n-gram (where it begins a sentence,
how often it occurs); D1, D2, D3+ of each order come from the numbers of n-grams counted once to four times, `FALLBACK` standing
in where these give none, as with `--discount_fallback`; unigrams are interpolated with the uniform distribution, of which
`<unk>` has one part; `<s>` has probability 1. A pruned n-gram gives its mass to the back-off of its context, as does one with
a unit outside the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

UNK, BOS, EOS = 0, 1, 2
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class Grams:
    """The n-grams of one order that were not pruned, sorted by their units from the first: `units` [n-grams, order], `log10`
    of their probabilities, `backoff` (log10; none of the highest order)."""

    units: Codes
    log10: Floats
    backoff: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A model. `discounts`: D1, D2, D3+ of each order; `fallback`: the orders whose counts gave none."""

    grams: tuple[Grams, ...]
    discounts: tuple[tuple[float, float, float], ...]
    fallback: tuple[int, ...]


@dataclass(slots=True)
class _Order:
    """All n-grams of one order, by number. `at`: where in the text one ends; `prefix`, `suffix`: those of the order below
    without its last and first unit; `raw`: occurrences; `begins`: starts a sentence."""

    at: Ints
    prefix: Ints
    suffix: Ints
    raw: Ints
    begins: Flags
    number: Ints
    """Of each place in the text the n-gram that ends there, -1 where none does."""


def estimate(
    text: Codes, size: int, order: int, prune: Sequence[int] = (0,), vocabulary: Flags | None = None
) -> Estimate:
    """A model of `text`: sentences of units 3 to `size` - 1, each between BOS and EOS, units numbered as they first appear.

    `prune`: n-grams that occur this often or less are left out, by order, the last for all above (none of the unigrams).
    `vocabulary` [size]: the units that the model keeps; all when None. Raises ValueError where no unit is in the text."""
    if len(text) == 0 or text.max() <= EOS:
        raise ValueError("no unit to estimate a model of")
    orders = _counted(text.astype(np.int64), size, order)
    adjusted = [_adjusted(orders, n) for n in range(order)]
    discounts, fallback = _discounts(orders, adjusted, text)
    kept = _kept(orders, text, prune, vocabulary)
    found: list[tuple[Flags, Floats, Floats]] = []
    below = np.full(1, 1.0 / (kept[0].sum() - 1))  # <unk> included, <s> excluded
    for n, (one, counts) in enumerate(zip(orders, adjusted, strict=True)):
        contexts = len(orders[n - 1].at) if n else 1
        taken = np.array([0.0, *discounts[n]])[np.minimum(counts, 3)]
        total = np.bincount(one.prefix, counts, contexts)
        freed = np.bincount(one.prefix, np.where(kept[n], taken, counts), contexts)
        used = total > 0
        backoff = np.divide(freed, total, out=np.ones(contexts), where=used)
        probability = (counts - taken) / total[one.prefix] + backoff[one.prefix] * below[one.suffix]
        if n == 0:
            probability[BOS] = 1.0
        else:
            found[-1][2][:] = _log10(backoff)
        found.append((kept[n], probability, np.zeros(len(counts))))
        below = probability
    grams = []
    for n, (one, (keep, probability, backoff)) in enumerate(zip(orders, found, strict=True)):
        units = text[one.at[keep, None] + np.arange(-n, 1)] if n else np.flatnonzero(keep).astype(np.int32)[:, None]
        grams.append(Grams(units, _log10(probability[keep]), backoff[keep]))
    return Estimate(tuple(grams), discounts, fallback)


def _log10(shares: Floats) -> Floats:
    """At least -99, which stands for 0 in ARPA files."""
    return np.asarray(np.log10(np.clip(shares, 1e-99, 1.0)))


def _counted(text: Ints, size: int, order: int) -> list[_Order]:
    places = np.arange(len(text))
    depth = places - np.maximum.accumulate(np.where(text == BOS, places, 0))
    raw = np.bincount(text, minlength=size)
    last = np.zeros(size, np.int64)
    last[text] = places
    none = np.zeros(size, np.int64)
    orders = [_Order(last, none, none, raw, np.arange(size) == BOS, text)]
    for n in range(1, order):
        below = orders[-1]
        ends = np.flatnonzero(depth >= n)
        keys = below.number[ends - 1] * size + text[ends]
        _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        at = ends[first]
        number = np.full(len(text), -1)
        number[ends] = inverse
        orders.append(_Order(at, below.number[at - 1], below.number[at], counts, depth[at] == n, number))
    return orders


def _adjusted(orders: list[_Order], n: int) -> Ints:
    """Counts of the n-grams of orders[n] as Kneser and Ney take them."""
    one = orders[n]
    if n + 1 == len(orders):
        counts = one.raw.copy()
    else:
        counts = np.where(one.begins, one.raw, np.bincount(orders[n + 1].suffix, minlength=len(one.raw)))
    if n == 0:
        counts[[UNK, BOS]] = 0
    return counts


def _discounts(
    orders: list[_Order], adjusted: list[Ints], text: Codes
) -> tuple[tuple[tuple[float, float, float], ...], tuple[int, ...]]:
    found, fallback = [], []
    last = _last(text, len(orders))
    for n, (one, counts) in enumerate(zip(orders, adjusted, strict=True)):
        numbers = np.bincount(np.minimum(counts, 5), minlength=6)
        number = int(one.number[last])
        if n + 1 < len(orders) and number >= 0:
            # lmplz takes the occurrences of the n-grams that it comes to last, not their adjusted counts.
            numbers[min(int(counts[number]), 5)] -= 1
            numbers[min(int(one.raw[number]), 5)] += 1
        once, twice, thrice, four = (int(k) for k in numbers[1:5])
        discounts = FALLBACK
        if once and twice and thrice:
            y = once / (once + 2 * twice)
            own = (1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice)
            if all(0 <= d <= k for k, d in enumerate(own, 1)):
                discounts = own
        if discounts is FALLBACK:
            fallback.append(n + 1)
        found.append(discounts)
    return tuple(found), tuple(fallback)


def _last(text: Codes, order: int) -> int:
    """Where the n-gram ends that comes last when n-grams are sorted from their last unit to their first."""
    ends = np.flatnonzero(text != BOS)
    back = ends.copy()
    for _ in range(order):
        units = text[back]
        most = units == units.max()
        ends, back = ends[most], back[most]
        back = np.where(text[back] == BOS, back, back - 1)  # before a sentence there are more of its marks
    return int(ends[0])


def _kept(orders: list[_Order], text: Codes, prune: Sequence[int], vocabulary: Flags | None) -> list[Flags]:
    own = np.ones(len(orders[0].raw), np.bool_) if vocabulary is None else vocabulary.copy()
    own[[UNK, BOS, EOS]] = True
    kept = [own]
    for n, one in enumerate(orders[1:], 1):
        often = one.raw > prune[min(n, len(prune) - 1)]
        kept.append(often & kept[-1][one.prefix] & own[text[one.at]])
    return kept
