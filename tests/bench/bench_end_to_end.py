"""The whole line against datatrove on one crawl, both with trafilatura, target Korean, in one run.

`python tests/bench/bench_end_to_end.py [WARC] [--rounds N]` [--kiwi] (default: ../shared/data/crawl/web-mixed.warc.gz, 1 round).
datatrove reads one WARC file per task, so the crawl is first cut into as many files as there are workers. Both chains
run on the same number of workers and do: read, extract, language ID at .65, Gopher repetition and quality, FineWeb
quality, MinHash (14 x 8). datatrove with whitespace words, and with `--kiwi` also with its Korean tokenizer (its default);
ours as `pipelines/ko.yaml` without the hand-off, including starting Ray. datatrove needs libmagic and python-magic.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WARC = ROOT.parent / "shared" / "data" / "crawl" / "web-mixed.warc.gz"
WORKERS = 2

PEER = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.lid import FT176LID
from datatrove.utils.word_tokenizers import WordTokenizer, simple_span_tokenize

class Whitespace(WordTokenizer):
    def word_tokenize(self, text): return text.split()
    def sent_tokenize(self, text): return text.splitlines()
    def span_tokenize(self, text): return list(simple_span_tokenize(text, self.sent_tokenize(text)))

source, out, model, words, workers = sys.argv[1:6]
workers = int(workers)
FT176LID.MODEL_URL = model
import datatrove.utils.lid
datatrove.utils.lid.cached_asset_path_or_download = lambda url, **_: url
language = Whitespace() if words == "whitespace" else "kor_Hang"
config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)
stop = ["의", "다", "이", "는", "에", "을", "한", "년", "하", "은", "를", "했", "고", "에서", "가", "있", "으로", "인", "월", "로", "되"]

def go(steps, tasks):
    LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=workers, logging_dir=f'{out}/logs/{len(steps)}-{tasks}', skip_completed=False).run()

if __name__ == '__main__':  # its workers import this file
    go([
        WarcReader(source, glob_pattern="*.warc.gz"),
        Trafilatura(favour_precision=False, timeout=10, deduplicate=False),
        LanguageFilter("ko"),
        GopherRepetitionFilter(language=language),
        GopherQualityFilter(language=language, stop_words=stop, min_avg_word_length=1),
        FineWebQualityFilter(language=language),
        JsonlWriter(f"{out}/kept"),
    ], workers)
    go([JsonlReader(f"{out}/kept"), MinhashDedupSignature(f"{out}/signatures", config=config, language=language)], workers)
    go([MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)], 14)
    go([MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)], 1)
    go([JsonlReader(f"{out}/kept"), MinhashDedupFilter(f"{out}/remove"), JsonlWriter(f"{out}/final")], workers)
"""


def cut(warc: Path, folder: Path, pieces: int) -> int:
    """Deal the crawl's records to `pieces` files, member by member; returns the number of response records."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.warcwriter import WARCWriter

    files = [(folder / f"part-{n}.warc.gz").open("wb") for n in range(pieces)]
    writers = [WARCWriter(f, gzip=True) for f in files]
    records = 0
    with warc.open("rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type == "response":
                writers[records % pieces].write_record(record)
                records += 1
    for file in files:
        file.close()
    return records


def timed(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:200]}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - started


def show(number: int, who: str, seconds: dict[str, float], records: int) -> None:
    spent, ratio = seconds[who], seconds[who] / seconds["winnow"]
    print(f"round {number}: {who}: {spent:.1f} s, {records / spent:.1f} records/s, winnow {ratio:.1f}x", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("warc", nargs="?", type=Path, default=WARC)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--copies", type=int, default=1, help="the crawl so many times over: Ray's start weighs less")
    parser.add_argument("--kiwi", action="store_true", help="also with datatrove's own Korean tokenizer (minutes)")
    options = parser.parse_args()
    if not options.warc.is_file():
        print(f"skipped: {options.warc} is not there")
        return
    from winnow.classifiers.artifacts import resolve
    from winnow.pipelines.results.table import open_run

    model = str(resolve("lid.176").path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cut").mkdir()
        crawl = folder / "crawl.warc.gz"
        with crawl.open("wb") as file:
            for _ in range(options.copies):
                file.write(options.warc.read_bytes())
        records = cut(crawl, folder / "cut", WORKERS)
        (folder / "peer.py").write_text(PEER, "utf-8")
        print(f"{records:,} response records, {WORKERS} workers, trafilatura in both")
        for number in range(options.rounds):
            ours = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(ROOT / "pipelines" / "ko.yaml")]
            ours += ["--set", f'sources.crawl.paths=["{crawl}"]', "--folder", str(folder / f"run-{number}")]
            ours += ["--workers", str(WORKERS), "--set", "stages.shards=null", "--set", "stages.mixture=null"]
            seconds = {"winnow": timed(ours, folder)}
            show(number, "winnow", seconds, records)
            print(f"round {number}: kept by winnow {open_run(folder / f'run-{number}').accounting['kept']:,}")
            for words in ("whitespace", "Kiwi")[: 2 if options.kiwi else 1]:
                out = folder / f"peer-{words}"
                peer = [sys.executable, str(folder / "peer.py"), str(folder / "cut"), str(out), model, words]
                seconds[f"datatrove, {words} words"] = timed([*peer, str(WORKERS)], folder)
                show(number, f"datatrove, {words} words", seconds, records)
                kept = sum(
                    len(gzip.decompress(f.read_bytes()).splitlines()) for f in (out / "final").glob("*.jsonl.gz")
                )
                print(f"round {number}: kept by datatrove {kept:,}")
                shutil.rmtree(out)


if __name__ == "__main__":
    main()
