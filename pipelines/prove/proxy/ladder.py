"""Tier 2: the sizes of DataDecide (arXiv:2504.11393) as settings of the same proxies, for GPUs.

Of DataDecide are the shapes, the batches in sequences of 2,048 tokens, 100 tokens a parameter, a cosine over all of them to
a hundredth of its peak, one per cent of it rising, and the peak rate of its ladder, 0.0047 (N / 108e6)^(-1/3). From there
differ: the tokenizer (fitted on the pool, where theirs is GPT-NeoX's), and that one model holds both embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from winnow.nearest import expected
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.results.table import RunError


@dataclass(frozen=True, slots=True)
class Size:
    """A row of DataDecide's table: parameters in millions, width, layers, heads, batch in sequences."""

    parameters: float
    width: int
    layers: int
    heads: int
    batch: int


SIZES = {
    "4M": Size(3.7, 64, 8, 8, 32),
    "6M": Size(6.0, 96, 8, 8, 32),
    "8M": Size(8.5, 128, 8, 8, 32),
    "10M": Size(9.9, 144, 8, 8, 32),
    "14M": Size(14.4, 192, 8, 8, 32),
    "16M": Size(16.0, 208, 8, 8, 32),
    "20M": Size(19.1, 192, 16, 8, 64),
    "60M": Size(57.1, 384, 16, 12, 96),
    "90M": Size(97.9, 528, 16, 12, 160),
    "150M": Size(151.9, 768, 12, 12, 192),
}


def settings_of(given: Mapping[str, Any], trained: int) -> ProxySettings:
    """The settings of tier 1 or 2 where `given` are declared; at tier 2 `size` names one of SIZES. Raises RunError."""
    rest = {key: value for key, value in given.items() if key != "size"}
    size = str(given.get("size", "4M"))
    if trained == 1 and "size" in given:
        raise RunError(f"proxy.size: {size} is of tier 2: expected --tier 2, or settings without it")
    if trained == 2 and size not in SIZES:
        raise RunError(f"proxy.size: {size}: {expected(size, list(SIZES))}")
    try:
        base = ladder(size).model_dump() if trained == 2 else {}
        return ProxySettings.model_validate({**base, **rest})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["proxy", *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            raise RunError(
                f"{where}: unknown; {expected(str(first['loc'][0]), list(ProxySettings.model_fields))}"
            ) from error
        message = first["msg"].removeprefix("Value error, ")
        raise RunError(f"{where}: {message[0].lower()}{message[1:]}") from error


def ladder(name: str, vocabulary: int = 32_000) -> ProxySettings:
    """The settings of one size. Raises KeyError for a name that SIZES lacks."""
    size = SIZES[name]
    rate = 0.0047 * (size.parameters / 108) ** (-1 / 3)
    return ProxySettings(
        vocabulary=vocabulary,
        vocabulary_characters=100_000_000,
        layers=size.layers,
        width=size.width,
        heads=size.heads,
        ffn=4 * size.width,
        context=2048,
        batch=size.batch,
        micro=16,
        warm_tokens=0,
        tokens=int(size.parameters * 1e8),
        rates=(round(rate, 5),),
        curve="cosine",
        warmup=0.01,
        averaged=1,
        overlap=512,
        device="cuda",
    )
