"""Documents per second of the `rules` measures and of datatrove's same filters, in one process and one run.

    python tests/bench/bench_rules.py [--documents 1500] [--subsample 40] FILES.jsonl.gz...

FILES hold one document per row in `gold_text` or `text`, with its `lang`; without FILES the crawl set beside the
checkout is read. datatrove runs Gopher repetition, Gopher quality and FineWeb with thresholds that drop nothing, so
that it too computes every measure: once splitting words at white space, once (on the first `--subsample`
documents) with its default tokenizer, Kiwi for Korean and spaCy for English.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from winnow.filters.languages import language_pack
from winnow.filters.lexicon import lexicon

CRAWL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crawl" / "web-mixed.truth.jsonl.gz"
NEVER = 1e9


def texts(paths: Sequence[Path], language: str, most: int) -> list[str]:
    found: list[str] = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                text = record.get("gold_text") or record.get("text") or ""
                if record.get("lang") == language and text.strip():
                    found.append(unicodedata.normalize("NFC", text))
    return (found * (1 + most // max(1, len(found))))[:most]


def rate(work: Callable[[], object], count: int, rounds: int) -> float:
    """Best of `rounds`, in documents per second of this process's CPU time (what else runs on the machine counts less)."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return count / best


def datatrove_filters(language: str) -> list[Any]:
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    return [
        GopherRepetitionFilter(
            language=language,
            **dict.fromkeys(("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac"), NEVER),
            top_n_grams=tuple((n, NEVER) for n in (2, 3, 4)),
            dup_n_grams=tuple((n, NEVER) for n in range(5, 11)),
        ),
        GopherQualityFilter(
            language=language,
            min_doc_words=0,
            max_doc_words=10**9,
            min_avg_word_length=0,
            max_avg_word_length=10**9,
            max_symbol_word_ratio=NEVER,
            max_bullet_lines_ratio=NEVER,
            max_ellipsis_lines_ratio=NEVER,
            max_non_alpha_words_ratio=1e-9,
            min_stop_words=1,
            stop_words=[],
        ),
        FineWebQualityFilter(
            language=language,
            line_punct_thr=0.0,
            short_line_thr=NEVER,
            char_duplicates_ratio=NEVER,
            new_line_ratio=NEVER,
        ),
    ]


def datatrove(filters: list[Any], documents: list[str]) -> None:
    from datatrove.data import Document

    for i, text in enumerate(documents):
        document = Document(text=text, id=str(i))
        for one in filters:
            one.filter(document)


def split_at_white_space(filters: list[Any]) -> Callable[[], None]:
    """Makes the filters' modules split words at white space; returns what undoes it."""
    import sys

    from datatrove.utils import text as held

    modules = [sys.modules[type(one).__module__] for one in filters]
    for module in modules:
        module.split_into_words = lambda text, language=None: text.split()  # type: ignore[attr-defined]

    def undo() -> None:
        for module in modules:
            module.split_into_words = held.split_into_words  # type: ignore[attr-defined]

    return undo


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path, default=[CRAWL])
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--subsample", type=int, default=40)
    options = parser.parse_args()
    for needed in options.files:
        if not needed.is_file():
            print(f"skipped: {needed} is not there")
            return
    start = time.perf_counter()
    from winnow.filters.rules import measure

    print(f"kernels ready after {time.perf_counter() - start:.1f} s (cold only where numba's cache was empty)")
    for code, theirs in (("ko", "kor_Hang"), ("en", "eng_Latn")):
        documents = texts(options.files, code, options.documents)
        if not documents:
            print(f"{code}: no documents in {', '.join(map(str, options.files))}")
            continue
        pack = language_pack(code)
        column = pa.array(documents, pa.large_string())
        measure(column[:10], lexicon(pack), False)
        ours = rate(lambda c=column, p=pack: measure(c, lexicon(p), False), len(documents), 5)
        characters = sum(map(len, documents)) // len(documents)
        print(f"{code}: {len(documents)} documents of {characters} characters on average, one thread")
        print(f"  winnow rules, all measures        {ours:10,.0f} docs/s")
        filters = datatrove_filters(theirs)
        undo = split_at_white_space(filters)
        sample = documents[: min(len(documents), 5 * options.subsample)]
        plain = rate(lambda f=filters, s=sample: datatrove(f, s), len(sample), 2)
        undo()
        print(f"  datatrove, white space            {plain:10,.1f} docs/s   ratio {ours / plain:8,.1f}")
        sample = documents[: options.subsample]
        ours_sample = rate(
            lambda s=sample, p=pack: measure(pa.array(s, pa.large_string()), lexicon(p), False), len(sample), 20
        )
        try:
            datatrove(filters, sample[:1])
        except ImportError as error:
            print(f"  datatrove, default tokenizer      not measured: {error}")
            continue
        default = rate(lambda f=filters, s=sample: datatrove(f, s), len(sample), 1)
        print(
            f"  datatrove, default tokenizer      {default:10,.1f} docs/s   ratio {ours_sample / default:8,.1f} "
            f"(first {len(sample)} documents, ours {ours_sample:,.0f} docs/s on them)"
        )


if __name__ == "__main__":
    main()
