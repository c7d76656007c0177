"""Hashed word n-grams, as DSIR counts them (Xie et al. 2023, "Data Selection for Language Models via Importance Resampling").

Words are runs of letters, digits and `_`, or runs of other characters but white space (NLTK's WordPunct), in small letters;
each word and each pair of neighbours falls into one of 10,000 buckets. The divergence of a target's buckets from an arm's
is their cross entropy less the target's own entropy, so that differences between arms are differences of cross entropy,
which has a figure for each document. Counts get one half added in each bucket, where DSIR adds 1e-8 to a probability: a
bucket that an arm lacks would otherwise decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import Bytes, Codes, Ints, ReadBytes, ReadCodes, ReadInts, inline, kernel
from winnow.filters.ngram.symbols import OTHER, SPACE, WORD, points_of

BUCKETS = 10_000
ADDED = 0.5

_PRIME = np.uint64(0x100000001B3)
_START = np.uint64(0xCBF29CE484222325)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@inline
def _bucket(value: Any, buckets: Any) -> Any:
    value ^= value >> np.uint64(32)
    value *= _MIX
    value ^= value >> np.uint64(29)
    return np.int64(value % np.uint64(buckets))


@kernel
def hashed(points: ReadCodes, starts: ReadInts, classes: ReadBytes, buckets: int, out: Ints, ends: Ints) -> None:
    """The bucket of every word and every pair of neighbours, document by document: `out` has room for two a character;
    `ends[d]` is where those of document d end."""
    used = 0
    for document in range(starts.size - 1):
        before = np.uint64(0)
        first = True
        at = starts[document]
        while at < starts[document + 1]:
            kind = classes[points[at]]
            if kind == SPACE:
                at += 1
                continue
            word = _START
            while at < starts[document + 1] and classes[points[at]] == kind:
                word = (word ^ np.uint64(points[at])) * _PRIME
                at += 1
            out[used] = _bucket(word, buckets)
            used += 1
            if not first:
                out[used] = _bucket((before * _MIX + word) * _PRIME, buckets)
                used += 1
            before, first = word, False
        ends[document] = used


def buckets_of(texts: Sequence[str]) -> tuple[Ints, Ints]:
    """Buckets of all n-grams, int64, and where each document's begin, int64 [texts + 1]."""
    points, starts, classes = characters([text.lower() for text in texts])
    out, ends = np.empty(2 * len(points), np.int64), np.zeros(len(texts), np.int64)
    hashed(points, starts, classes, BUCKETS, out, ends)
    bounds = np.concatenate([np.zeros(1, np.int64), ends])
    return out[: bounds[-1]], bounds


def _class(character: str) -> int:
    return WORD if character.isalnum() or character == "_" else SPACE if character.isspace() else OTHER


def characters(texts: Sequence[str], classify: Callable[[str], int] = _class) -> tuple[Codes, Ints, Bytes]:
    """Code points of all texts, int32; where each text's begin, int64 [texts + 1]; the class of each code point, uint8."""
    points = points_of("".join(texts)).astype(np.int32)
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    classes = np.zeros(int(points.max(initial=0)) + 1, np.uint8)
    seen = np.zeros(len(classes), np.bool_)
    seen[points] = True
    for point in np.flatnonzero(seen).tolist():
        classes[point] = classify(chr(point))
    return points, starts, classes


def cost(arm: Ints) -> npt.NDArray[np.float64]:
    """-log2 of each bucket's probability, [BUCKETS], from an arm's buckets."""
    counts = np.bincount(arm, minlength=BUCKETS) + ADDED
    return np.asarray(np.log2(counts.sum()) - np.log2(counts))
