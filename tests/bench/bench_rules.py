"""All measures of the rules against datatrove's three filters, on the same documents in one run; and what each costs.

    python tests/bench/bench_rules.py [--check] [--documents 1500] [--subsample 50]

Korean: the gold texts of the mixed crawl and the Korean manuals of the data folder beside the checkout; English: the
crawl's. datatrove runs Gopher repetition, Gopher quality and FineWeb with thresholds that drop nothing, so that it too
computes every measure: with its default tokenizer (Kiwi for Korean, spaCy for English) on every n-th document, about
`--subsample` of them, and splitting at white space on three times as many. Each side is one process with one thread;
both are timed in processor seconds on the same documents, ours before and after datatrove's, the better one counting.

Then what each group of measures costs, in MB of UTF-8 per processor second: its own time within `measure`, on the
words that all share, and the splitting apart; once for each word unit. Then peak memory. `--check` adds whether the
ratios are at least 50 for Korean and 5 for English with datatrove's default tokenizers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import resource
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CRAWL = DATA / "crawl" / "web-mixed.truth.jsonl.gz"
FINEWEB2 = {"ko": "kor_Hang", "en": "eng_Latn"}
DEFAULT = {"ko": "Kiwi", "en": "spaCy"}
WANTED = {"ko": 50, "en": 5}
UNITS = (
    ("ko", "whitespace"),
    ("ko", "character"),
    ("ko", "segment"),
    ("ko", "morpheme"),
    ("en", "whitespace"),
    ("en", "segment"),
)
NEVER = 1e9
LEAST = 300  # characters of a manual: shorter files are indexes and stubs


class Timed(NamedTuple):
    """Documents measured, their UTF-8 bytes, and the processor seconds that it took."""

    documents: int
    size: int
    seconds: float


@cache
def corpus(language: str, most: int) -> list[str]:
    """At most `most` texts, spread over all there are, NFC."""
    with gzip.open(CRAWL, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    found = [record.get("gold_text") or "" for record in records if record.get("lang") == language]
    if language == "ko":
        manuals = sorted(path for ending in ("md", "mdx", "rst") for path in DATA.glob(f"ko-docs-*/**/*.{ending}"))
        found += [text for path in manuals if len(text := path.read_text("utf-8", errors="replace")) >= LEAST]
    found = [unicodedata.normalize("NFC", text) for text in found if text.strip()]
    return found[:: 1 + (len(found) - 1) // most]


def chosen(language: str, most: int, subsample: int) -> list[str]:
    texts = corpus(language, most)
    return texts[:: 1 + (len(texts) - 1) // subsample]


def column(texts: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.array(texts, pa.large_string())


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least of `rounds`, in seconds of this process's CPU time: what else runs on the machine counts less."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def size(texts: Sequence[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def winnow(language: str, most: int, subsample: int, rounds: int) -> Timed:
    """Every measure in the pack's own unit."""
    from winnow.filters.languages import language_pack
    from winnow.filters.rules.table import measure

    texts = chosen(language, most, subsample)
    pack, batch = language_pack(language), column(texts)
    measure(batch.slice(0, 1), pack)
    return Timed(len(texts), size(texts), seconds(lambda: measure(batch, pack), rounds))


def datatrove(language: str, most: int, subsample: int, tokenizer: str) -> Timed | str:
    """Its three filters; the reason where its tokenizer is not installed."""
    from datatrove.data import Document

    texts = chosen(language, most, subsample)
    filters = datatrove_filters(FINEWEB2[language])

    def run(part: Sequence[str]) -> None:
        for i, text in enumerate(part):
            document = Document(text=text, id=str(i))
            for one in filters:
                one.filter(document)

    with split_at_white_space(filters) if tokenizer == "white space" else nothing():
        try:
            run(texts[:1])  # loads the tokenizer
        except ImportError as error:
            return str(error)
        return Timed(len(texts), size(texts), seconds(lambda: run(texts), 1 if tokenizer == "Kiwi" else 2))


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


@contextmanager
def split_at_white_space(filters: list[Any]) -> Iterator[None]:
    """Makes the filters' modules split words at white space."""
    modules = [sys.modules[type(one).__module__] for one in filters]
    held = [module.split_into_words for module in modules]
    for module in modules:
        module.split_into_words = lambda text, language=None: text.split()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, before in zip(modules, held, strict=True):
            module.split_into_words = before  # type: ignore[attr-defined]


@contextmanager
def nothing() -> Iterator[None]:
    yield


def groups(language: str, unit: str, most: int, subsample: int) -> tuple[int, dict[str, float]] | str:
    """Bytes, and processor seconds of splitting, of what groups share, of every group of measures of the text, and of
    `measure` in all; the reason where the unit's segmenter is not installed. Best of three runs."""
    from winnow.filters.languages import language_pack
    from winnow.filters.rules import table
    from winnow.filters.segmenters import MissingSegmenter

    texts = chosen(language, most, subsample)
    pack, batch = language_pack(language), column(texts)
    try:
        table.measure(batch.slice(0, 1), pack, unit)
    except MissingSegmenter as error:
        return str(error)
    offsets, data = table.buffers(batch)
    best: dict[str, float] = {}
    for _ in range(3 if unit in ("whitespace", "character") else 1):
        start = time.process_time()
        table.measure(batch, pack, unit)
        whole = time.process_time() - start
        spent: Counter[str] = Counter()
        for first, last in table.pieces(offsets):
            piece = table.Texts(offsets[first : last + 1], data, pack, unit)
            parts: list[tuple[str, Callable[[], object]]] = [
                ("splitting", lambda piece=piece: piece.words),
                ("phrases", lambda piece=piece: piece.places),
                ("running_text", lambda piece=piece: piece.running),
            ]
            parts += [
                (group.name, lambda piece=piece, group=group: piece.records(group))
                for group in table.GROUPS
                if group.name != "url_shape"
            ]
            for label, work in parts:
                start = time.process_time_ns()
                work()
                spent[label] += (time.process_time_ns() - start) / 1e9
        if not best or whole < best["all"]:
            best = {**spent, "all": whole}
    return size(texts), best


def addresses(rows: int) -> float:
    """Rows per processor second of the measures of URL and date."""
    import pyarrow as pa

    from winnow.filters.languages import language_pack
    from winnow.filters.rules.table import measure

    with gzip.open(CRAWL, "rt", encoding="utf-8") as lines:
        urls = [json.loads(line)["uri"] for line in lines]
    given = pa.array((urls * (1 + rows // len(urls)))[:rows]), pa.array(["2024-02-29T10:20:30Z"] * rows)
    texts, pack = pa.array([""] * rows, pa.large_string()), language_pack("ko")

    def shape() -> object:
        return measure(texts, pack, urls=given[0], dates=given[1], groups=["url_shape"])

    shape()
    return rows / seconds(shape, 3)


def memory(language: str, most: int, copies: int) -> tuple[int, int, float, float, float]:
    """Bytes of a column and of one text; MiB before, the peak with the column, and with a text of one line besides."""
    import pyarrow as pa

    from winnow.filters.languages import language_pack
    from winnow.filters.rules.table import measure

    pack, texts = language_pack(language), corpus(language, most)
    many = pa.concat_arrays([column(texts)] * copies)
    long = column([" ".join(texts).replace("\n", " ")[:7_000_000]])
    measure(many.slice(0, 1), pack)
    before = peak()
    measure(many, pack)
    with_column = peak()
    measure(long, pack)
    return many.nbytes, long.nbytes, before, with_column, peak()


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    return held / 2**20 if sys.platform == "darwin" else held / 2**10


def figure(rate: float) -> str:
    """Bytes per second in MB/s, to three places."""
    return f"{rate / 1e6:,.0f}" if rate >= 1e8 else f"{rate / 1e6:.3g}"


def compare(ours: ProcessPoolExecutor, theirs: ProcessPoolExecutor, options: argparse.Namespace) -> dict[str, float]:
    """Prints documents per second and ratios; returns the ratio with each language's default tokenizer."""
    ratios: dict[str, float] = {}
    for language in ("ko", "en"):
        for tokenizer, some in ((DEFAULT[language], options.subsample), ("white space", 3 * options.subsample)):
            asked = (language, options.documents, some)
            first = ours.submit(winnow, *asked, 5).result()
            other = theirs.submit(datatrove, *asked, tokenizer).result()
            mine = min(first, ours.submit(winnow, *asked, 5).result(), key=lambda timed: timed.seconds)
            if isinstance(other, str):
                print(f"{language}  datatrove with {tokenizer}: not measured: {other}")
                continue
            ratio = other.seconds / mine.seconds
            if tokenizer != "white space":
                ratios[language] = ratio
            print(
                f"{language}  {mine.documents} documents, {mine.size / 1e6:.2f} MB: all our measures "
                f"{mine.documents / mine.seconds:,.0f} documents/s ({mine.size / mine.seconds / 1e6:.1f} MB/s), "
                f"datatrove's three filters with {tokenizer} {other.documents / other.seconds:,.1f}: ratio {ratio:,.1f}"
            )
    return ratios


def table(ours: ProcessPoolExecutor, options: argparse.Namespace) -> None:
    """Prints MB of UTF-8 per processor second by group of measures (rows) and word unit (columns)."""
    columns: dict[str, dict[str, str]] = {}
    for language, unit in UNITS:
        some = options.documents if unit in ("whitespace", "character") else options.subsample
        found = ours.submit(groups, language, unit, options.documents, some).result()
        if isinstance(found, str):
            print(f"{language} {unit}: skipped: {found}")
            continue
        read, spent = found
        columns[f"{language} {unit}"] = {name: figure(read / spent[name]) for name in spent}
        columns[f"{language} {unit}"]["MB read"] = f"{read / 1e6:.1f}"
    print("MB of UTF-8 per processor second, each group on the words that all share")
    print(" " * 14, *(f"{name:>14}" for name in columns))
    for name in max(columns.values(), key=len):
        print(f"{name:14}", *(f"{column.get(name, '-'):>14}" for column in columns.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="print whether the ratios are what is asked of them")
    parser.add_argument("--documents", type=int, default=1500, help="at most so many texts of a language")
    parser.add_argument("--subsample", type=int, default=50, help="texts for datatrove with its default tokenizer")
    options = parser.parse_args()
    if not CRAWL.is_file():
        print(f"skipped: {CRAWL} is not there")
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as ours, ProcessPoolExecutor(1, spawn) as theirs:
        ratios = compare(ours, theirs, options)
        table(ours, options)
        rows = ours.submit(addresses, 200_000).result()
        print(f"URL and date: {rows / 1e6:,.1f} million rows per processor second")
    with ProcessPoolExecutor(1, spawn) as fresh:
        held, long, before, after, last = fresh.submit(memory, "ko", options.documents, 8).result()
    print(
        f"peak memory: {before:,.0f} MiB with kernels and texts loaded, {after:,.0f} after a column of "
        f"{held / 2**20:,.0f} MiB, {last:,.0f} after one line of {long / 2**20:,.0f} MiB"
    )
    if options.check:
        for language, wanted in WANTED.items():
            ratio = ratios.get(language)
            holds = "not measured" if ratio is None else "holds" if ratio >= wanted else "DOES NOT HOLD"
            print(f"check: {language} at least {wanted}x datatrove with {DEFAULT[language]}: {holds}")


if __name__ == "__main__":
    main()
