"""Documents per second of the `importance` stage beside the package `data-selection` on the same texts, in one run.

`python tests/bench/bench_importance.py [documents]`: texts of 1,500 characters of invented Korean words of Zipfian frequency.
Both cut, hash and weigh on one thread.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time

import numpy as np

from winnow.filters.ngram.importance import log_ratios, weighed

ROUNDS = 5


def texts(count: int) -> list[str]:
    """The same at every call."""
    dice = random.Random(1)
    words = [
        "".join(dice.choices("가나다라마바사아자차카타파하고은는이을를에서로", k=dice.randint(1, 5)))
        for _ in range(20_000)
    ]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [
        " ".join(w + "." * (dice.random() < 0.1) for w in dice.choices(words, weights, k=380)) for _ in range(count)
    ]


def main() -> None:
    """Prints one line."""
    from data_selection import HashedNgramDSIR

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    corpus = texts(count)
    target, raw = (weighed(part, np.zeros(10_000))[2].tolist() for part in (corpus[: count // 4], corpus))
    ratios = log_ratios(target, raw)
    with tempfile.TemporaryDirectory() as folder:
        theirs = HashedNgramDSIR([], [], folder, num_proc=1)
        theirs.log_diff = ratios
        some = corpus[: max(1, count // 10)]
        ours_rates, their_rates = [], []
        for _ in range(ROUNDS):
            start = time.process_time()
            ours = weighed(corpus, ratios)[0]
            middle = time.process_time()
            other = [theirs.importance_estimator(theirs.featurizer(text)) for text in some]
            ours_rates.append(count / (middle - start))
            their_rates.append(len(some) / (time.process_time() - middle))
    assert np.allclose(ours[: len(some)], other, atol=1e-9)
    fast, slow = statistics.median(ours_rates), statistics.median(their_rates)
    print(
        f"{count} documents, mean {statistics.mean(map(len, corpus)):.0f} characters: importance {fast:,.0f} documents/s, "
        f"data-selection {slow:,.0f}, ratio {fast / slow:.1f}"
    )


if __name__ == "__main__":
    main()
