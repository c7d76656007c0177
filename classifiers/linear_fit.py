"""Fits a linear model: n-grams of the texts, one logistic regression a column, weights as int8."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.classifiers.ascent import TOLERANCE, ascend
from winnow.classifiers.linear_model import Header, LinearFeatures, Weights, address, cut_up, write_model
from winnow.classifiers.meaning import Meaning
from winnow.classifiers.recipe import Linear
from winnow.filters.kernel import Bytes, Codes, Ints

LARGEST, LARGEST_RARITY = 127, 255
"""Of an int8 weight, and of an uint8 rarity."""


def fit_linear(
    texts: Sequence[str],
    labels: Sequence[str],
    copies: Sequence[float],
    balance: float,
    features: LinearFeatures,
    settings: Linear,
    meaning: Meaning,
    path: Path,
) -> None:
    """Writes the model. `copies`: how often each text counts. As with fastText's lines, a window of a text is an example with
    the text's label, and `balance` is by windows."""
    if features.on in ("host", "url"):
        texts = [address(text, features.on) for text in texts]
    bounds, found, owners = rows_of([unicodedata.normalize("NFC", text) for text in texts], features)
    places = np.array([meaning.labels.index(label) for label in labels], np.int64)[owners]
    costs = np.array(copies, np.float64)[owners]
    sums = np.bincount(places, costs, len(meaning.labels))
    costs *= settings.c * (sums.max() / np.maximum(sums, 1e-9))[places] ** balance
    columns = range(len(meaning.labels)) if meaning.positive is None else [meaning.labels.index(meaning.positive)]
    rarities, unit = rarities_of(found, len(bounds) - 1, 1 << features.bits)
    values = rarities.astype(np.float64) * unit
    weights, bias = np.empty((1 << features.bits, len(columns))), []
    for column, place in enumerate(columns):
        signs = np.where(places == place, 1.0, -1.0)
        fitted = np.zeros(len(weights) + 1)
        ascend(
            found, bounds, values, signs, costs, settings.epochs, settings.seed, TOLERANCE, fitted, np.zeros(len(signs))
        )
        weights[:, column] = fitted[:-1] * rarities
        bias.append(float(fitted[-1]))
    small, scales = quantized(weights)
    header = Header(**meaning.model_dump(), features=features, scales=tuple(scales.tolist()), bias=tuple(bias))
    write_model(path, header, rarities, small)


def rows_of(texts: Sequence[str], features: LinearFeatures) -> tuple[Ints, Codes, Ints]:
    """The windows of all texts: where the buckets of each begin, int64 [windows + 1], the buckets, and the text of each."""
    found: list[Codes] = []
    sizes: list[Ints] = []
    owners: list[Ints] = []
    done = 0
    for rows, segments in cut_up(pa.array(texts, pa.large_string()), features):
        owners.append(segments.owners + done)
        for _, bounds, buckets in segments.buckets():
            found.append(buckets.copy())
            sizes.append(np.diff(bounds))
        done += rows
    counts = np.concatenate(sizes) if sizes else np.zeros(0, np.int64)
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    empty = np.zeros(0, np.int32)
    return bounds, np.concatenate([empty, *found]), np.concatenate([np.zeros(0, np.int64), *owners])


def rarities_of(found: Codes, rows: int, buckets: int) -> tuple[Bytes, float]:
    """Of each bucket ln((rows + 1) / (rows that have it + 1)) + 1 in units of the second value, uint8; 0 where none has it."""
    held = np.bincount(found, minlength=buckets)
    rarity = np.where(held > 0, np.log((rows + 1) / (held + 1)) + 1, 0.0)
    unit = float(rarity.max(initial=1.0)) / LARGEST_RARITY
    return np.rint(rarity / unit).astype(np.uint8), unit


def quantized(weights: npt.NDArray[np.float64]) -> tuple[Weights, npt.NDArray[np.float64]]:
    """int8 weights and the scale of each column."""
    scales = np.abs(weights).max(axis=0) / LARGEST
    scales[scales == 0] = 1.0
    return np.rint(weights / scales).astype(np.int8), scales
