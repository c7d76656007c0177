"""The least language-ID score: max(0.3, min(0.9, median - standard deviation)) of the scores of good text that the
model puts in the language (FineWeb2, arXiv:2506.20920; there of GlotLID's scores on crawl)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from winnow.filters.fitting import FitError

LEAST, MOST = 0.3, 0.9


def cut_off(scores: Sequence[float]) -> float:
    """The cut-off for these scores, of which there must be one, rounded down to three decimals."""
    values = np.asarray(scores, np.float64)
    found = max(LEAST, min(MOST, float(np.median(values) - values.std())))
    return math.floor(found * 1000 + 1e-9) / 1000


def of_language(labels: Sequence[str], scores: Sequence[float], code: str, what: str, of: str) -> list[float]:
    """The scores of the texts that the model puts in the language. Raises FitError unless that is most of them; `what`:
    the name of the texts; `of`: the option that says their language."""
    own = [score for label, score in zip(labels, scores, strict=True) if label == code]
    if 2 * len(own) < len(labels):
        others = Counter(label for label in labels if label != code).most_common(3)
        shares = ", ".join(f"{count / len(labels):.0%} '{label}'" for label, count in others)
        raise FitError(
            f"{what}: {len(own) / max(len(labels), 1):.0%} of {len(labels):,} documents are in '{code}' by the language "
            f"model, and {shares}: expected most; is {of} right? (--language-score NUMBER does without the model)"
        )
    return own
