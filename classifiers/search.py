"""Which settings a fit tries, in which order: always the same, so that a fit with a search repeats bit for bit. (fastText's own
autotune stops by the clock.)"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

from winnow.classifiers.recipe import Linear, Recipe, Search, Train

Kind = Literal["fasttext", "linear"]

FASTTEXT: tuple[dict[str, Any], ...] = (
    {},
    {"epoch": 10},
    {"minn": 1, "maxn": 3},
    {"balance": 1.0, "epoch": 10},
    {"word_ngrams": 2},
    {"lr": 0.2, "epoch": 15},
    {"dim": 32},
    {"minn": 2, "maxn": 5},
    {"minn": 1, "maxn": 3, "lr": 0.2, "epoch": 15},
    {"word_ngrams": 2, "epoch": 10},
    {"minn": 3, "maxn": 6, "epoch": 10},
    {"dim": 32, "epoch": 10, "lr": 0.2},
    {"lr": 1.0, "epoch": 5},
)
LINEAR: tuple[dict[str, Any], ...] = (
    {},
    {"balance": 1.0},
    {"words": 2},
    {"c": 16.0, "balance": 1.0},
    {"c": 1.0},
    {"maxn": 3, "words": 1},
    {"maxn": 5},
    {"c": 16.0},
    {"across": True},
    {"words": 2, "balance": 1.0},
    {"maxn": 6, "words": 1, "balance": 1.0},
    {"minn": 2, "maxn": 5},
)
"""Changes of the recipe's own settings, the likeliest to help first."""


def candidates(recipe: Recipe, kind: Kind, labels: int) -> Iterator[Recipe]:
    """The recipe with each of the settings to try. Buckets are as many as the size allows."""
    search = recipe.search or Search(tries=1)
    section = "train" if kind == "fasttext" else "linear"
    for change in islice(FASTTEXT if kind == "fasttext" else LINEAR, search.tries):
        own = {name: value for name, value in change.items() if name != "balance"}
        settings: Train | Linear = getattr(recipe, section).model_copy(update=own)
        if search.size is not None:
            settings = _fitting(settings, search.size, 1 if recipe.positive is not None else labels)
        yield recipe.model_copy(update={section: settings, "balance": change.get("balance", recipe.balance)})


def _fitting(settings: Train | Linear, size: int, columns: int) -> Train | Linear:
    """With buckets that a file of so many bytes has room for: a byte a column and bucket, with fastText a byte for `dsub`
    dimensions and one for the norm, of which a third is left for the words."""
    if isinstance(settings, Linear):
        bits = max(8, min(24, (int(size * 1.1) // (columns + 1)).bit_length() - 1))
        return settings.model_copy(update={"bits": bits})
    of_row = -(-settings.dim // settings.dsub) + settings.qnorm
    return settings.model_copy(update={"bucket": max(1000, min(settings.bucket, int(size * 0.66) // of_row))})
