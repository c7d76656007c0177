"""Importance weights of DSIR (Xie et al. 2023, "Data Selection for Language Models via Importance Resampling",
https://arxiv.org/abs/2302.03169), as its own package `data-selection` computes them.

Words are runs of letters, marks, digits and `_`, or of other characters but white space (NLTK's WordPunct), in small letters;
each word, and each pair of neighbours with a space between, falls into bucket SHA-256(UTF-8) modulo 10,000. The log-weight of a document is the sum over its n-grams of
ln(target + 1e-8) - ln(raw + 1e-8), shares of the buckets. It grows with length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from winnow.filters.kernel import Bytes, Ints, ReadBytes, ReadCodes, ReadInts, kernel, subroutine
from winnow.filters.ngram.features import BUCKETS, characters
from winnow.filters.ngram.symbols import OTHER, SPACE, WORD

SMOOTHING = 1e-8

_WORD, _SPACE = regex.compile(r"\w"), regex.compile(r"\s")

Floats = npt.NDArray[np.float64]


def _roots(power: int, of: int) -> tuple[int, ...]:
    """The first 32 bits of the fractional parts of the roots of the first primes, exactly (FIPS 180-4, 4.2.2, 5.3.3)."""
    primes = [n for n in range(2, 400) if all(n % d for d in range(2, int(n**0.5) + 1))][:of]
    found = []
    for prime in primes:
        scaled = prime << (32 * power)
        root = round(prime ** (1 / power) * 2**32)
        while root**power > scaled:
            root -= 1
        while (root + 1) ** power <= scaled:
            root += 1
        found.append(root & 0xFFFFFFFF)
    return tuple(found)


_FIRST = np.array(_roots(2, 8), np.uint32)
_ROUND = np.array(_roots(3, 64), np.uint32)


@subroutine
def _turned(value: Any, bits: Any) -> Any:
    return np.uint32((value >> np.uint32(bits)) | (value << np.uint32(32 - bits)))


@subroutine
def _digest(data: Any, a: Any, a_end: Any, b: Any, b_end: Any, state: Any, words: Any) -> None:
    """SHA-256 of data[a:a_end], and where b is not negative of a space and data[b:b_end] behind it, into `state`."""
    first = a_end - a
    size = first if b < 0 else first + 1 + b_end - b
    for k in range(8):
        state[k] = _FIRST[k]
    for block in range((size + 8) // 64 + 1):
        at = 64 * block
        for k in range(16):
            words[k] = np.uint32(0)
        for k in range(max(min(first - at, 64), 0)):
            words[k >> 2] |= np.uint32(data[a + at + k]) << np.uint32(24 - 8 * (k & 3))
        for k in range(max(first - at, 0), min(size - at, 64)):
            value = np.uint32(32) if at + k == first else np.uint32(data[b + at + k - first - 1])
            words[k >> 2] |= value << np.uint32(24 - 8 * (k & 3))
        if 0 <= size - at < 64:
            words[(size - at) >> 2] |= np.uint32(128) << np.uint32(24 - 8 * (size & 3))
        if size - at < 56:
            words[14], words[15] = np.uint32((8 * size) >> 32), np.uint32((8 * size) & 0xFFFFFFFF)
        h0, h1, h2, h3 = state[0], state[1], state[2], state[3]
        h4, h5, h6, h7 = state[4], state[5], state[6], state[7]
        for k in range(64):
            if k >= 16:
                x, y = words[(k + 1) & 15], words[(k + 14) & 15]
                low = _turned(x, 7) ^ _turned(x, 18) ^ (x >> np.uint32(3))
                high = _turned(y, 17) ^ _turned(y, 19) ^ (y >> np.uint32(10))
                words[k & 15] = np.uint32(words[k & 15] + low + words[(k + 9) & 15] + high)
            one = np.uint32(
                h7
                + (_turned(h4, 6) ^ _turned(h4, 11) ^ _turned(h4, 25))
                + ((h4 & h5) ^ (~h4 & h6))
                + _ROUND[k]
                + words[k & 15]
            )
            two = np.uint32((_turned(h0, 2) ^ _turned(h0, 13) ^ _turned(h0, 22)) + ((h0 & h1) ^ (h0 & h2) ^ (h1 & h2)))
            h7, h6, h5, h4 = h6, h5, h4, np.uint32(h3 + one)
            h3, h2, h1, h0 = h2, h1, h0, np.uint32(one + two)
        for k, value in enumerate((h0, h1, h2, h3, h4, h5, h6, h7)):
            state[k] = np.uint32(state[k] + value)


@subroutine
def _modulo(state: Any, buckets: Any) -> Any:
    left = np.uint64(0)
    for k in range(8):
        left = ((left << np.uint64(32)) | np.uint64(state[k])) % np.uint64(buckets)
    return np.int64(left)


@kernel
def weigh(
    points: ReadCodes,
    starts: ReadInts,
    classes: ReadBytes,
    data: ReadBytes,
    ratios: Floats,
    counts: Ints,
    weights: Floats,
    words: Ints,
) -> None:
    """For each document the sum of its n-grams' `ratios` [buckets] and how many words it has; `counts` [buckets] gets the
    n-grams of all added. `data`: the same text as UTF-8."""
    state, schedule = np.empty(8, np.uint32), np.empty(16, np.uint32)
    byte = 0
    for document in range(starts.size - 1):
        total, found = 0.0, 0
        before, before_end = -1, -1
        at = starts[document]
        while at < starts[document + 1]:
            kind = classes[points[at]]
            begin = byte
            while at < starts[document + 1] and classes[points[at]] == kind:
                point = points[at]
                byte += 1 + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000)
                at += 1
            if kind == SPACE:
                continue
            found += 1
            _digest(data, begin, byte, -1, -1, state, schedule)
            bucket = _modulo(state, counts.size)
            counts[bucket] += 1
            total += ratios[bucket]
            if before >= 0:
                _digest(data, before, before_end, begin, byte, state, schedule)
                bucket = _modulo(state, counts.size)
                counts[bucket] += 1
                total += ratios[bucket]
            before, before_end = begin, byte
        weights[document], words[document] = total, found


def weighed(texts: Sequence[str], ratios: Floats) -> tuple[Floats, Ints, Ints]:
    """Log-weight and number of words of each text, and the n-grams of all by bucket. `ratios`: `log_ratios`."""
    small = [text.lower() for text in texts]
    points, starts, classes = characters(small, _class)
    data: Bytes = np.frombuffer("".join(small).encode(), np.uint8)
    counts = np.zeros(BUCKETS, np.int64)
    weights, words = np.zeros(len(small)), np.zeros(len(small), np.int64)
    weigh(points, starts, classes, data, ratios, counts, weights, words)
    return weights, words, counts


def _class(character: str) -> int:
    """As NLTK's WordPunct cuts, whose `\\w` is that of `regex`: marks belong to words."""
    return WORD if _WORD.match(character) else SPACE if _SPACE.match(character) else OTHER


def log_ratios(target: Sequence[int], raw: Sequence[int]) -> Floats:
    """Of counts by bucket, neither without any: ln(target + 1e-8) - ln(raw + 1e-8), [BUCKETS]."""
    shares = [np.asarray(counts, np.float64) / sum(counts) for counts in (target, raw)]
    return np.asarray(np.log(shares[0] + SMOOTHING) - np.log(shares[1] + SMOOTHING))
