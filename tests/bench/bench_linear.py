"""Documents per second of the `linear` stage beside scikit-learn's HashingVectorizer and LogisticRegression, in one run.

`python tests/bench/bench_linear.py [documents]` (needs scikit-learn): both are fitted on the same 400 texts with the same ranges of
n-grams and as many buckets, then score the same documents on one thread, by turns. Documents are made of the Korean paragraphs of
the real data folder when it lies beside the checkout, else of shipped sentences; every other one has its words cut to two
characters, which is what the models tell apart. scikit-learn is timed without the weights by rarity that ours has, which would
cost it more; the share of documents to which a pipeline with them gives the same label says that both do the same work.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from bench_fasttext import ROUNDS, rate, texts

from winnow.classifiers.linear_fit import fit_linear
from winnow.classifiers.linear_model import LinearFeatures
from winnow.classifiers.meaning import Meaning
from winnow.classifiers.recipe import Linear
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.linear import KIND

FITTED = 400
GRAMS = ((1, 3), (1, 4), (2, 5))


def cut(text: str) -> str:
    """Every word's first two characters."""
    return " ".join(word[:2] for word in text.split())


def main() -> None:
    """Prints one line per range of n-grams."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    corpus = [cut(text) if n % 2 else text for n, text in enumerate(texts(count))]
    examples = [text[:600] if n % 2 else cut(text[:600]) for n, text in enumerate(texts(FITTED))]
    labels = ["prose" if n % 2 else "list" for n in range(FITTED)]
    rows = [{"id": f"{n:032x}", "source": "bench", "text": text} for n, text in enumerate(corpus)]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    print(f"{count} documents, mean {statistics.mean(map(len, corpus)):.0f} characters")
    for minn, maxn in GRAMS:
        with TemporaryDirectory() as folder:
            model = Path(folder) / "bench.linear"
            meaning = Meaning(name="bench", positive="prose", labels=("list", "prose"))
            features = LinearFeatures(chars=100_000, minn=minn, maxn=maxn, bits=18)
            fit_linear(examples, labels, [1.0] * FITTED, 0.0, features, Linear(), meaning, model)
            stage = KIND(name="bench", settings=KIND.Settings(model=str(model)), pack=language_pack("ko"))
            opened = stage.open(stage.artifacts())
        hashed = HashingVectorizer(
            analyzer="char", ngram_range=(minn, maxn), n_features=1 << 18, binary=True, alternate_sign=False
        )
        theirs = make_pipeline(hashed, LogisticRegression()).fit(examples, labels)
        words = {"ngram_range": (minn, maxn), "n_features": 1 << 18, "binary": True, "alternate_sign": False}
        alike = make_pipeline(
            HashingVectorizer(analyzer="char_wb", norm=None, **words), TfidfTransformer(), LogisticRegression(C=4)
        )
        said = alike.fit(examples, labels).predict(corpus)
        same = [a == b for a, b in zip(opened.measure(batch).column("label").to_pylist(), said, strict=True)]
        rounds = [
            (
                rate(lambda: opened.measure(batch), count),  # noqa: B023
                rate(lambda: theirs.predict_proba(corpus), count),  # noqa: B023
            )
            for _ in range(ROUNDS)
        ]
        ours, other = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"characters {minn} to {maxn}: stage {ours:,.0f} documents/s; scikit-learn {other:,.0f} (ratio {ours / other:.1f}); "
            f"same label {statistics.mean(same):.1%}"
        )


if __name__ == "__main__":
    main()
