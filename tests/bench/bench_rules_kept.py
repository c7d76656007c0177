"""What the rules keep of real texts by source: good Korean documents, UI strings, navigation, lists; and of a crawl;
and what the recipe's clauses of `quality` and `toxicity` then leave of the Korean ones.

    python tests/bench/bench_rules_kept.py [--check]

Pool: `../shared/data/ko-pool`, all its documents whatever their length, through the stages language, clean, rules,
quality and toxicity of `pipelines/ko.yaml`; copies (`dup-exact`) and older versions stand in rows of their own. Crawl:
`crawl/web-mixed` through the same of `ko.yaml`, and those of `en.yaml` up to the rules. What a row holds:

- good Korean pages: labelled Korean in the truth, of 40 words or more, neither contents nor a page of the set's host of
  broken pages. Contents pages: the chapter and appendix indexes of the manuals, known by their addresses (ch02.html
  beside ch02s01.html). With gold: those whose gold text holds 200 Hangul syllables.
- English: WCXB's page types; listings and collections are its lists of links, teasers and products, the junk here.

`--check` adds whether each figure is what was asked of it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
CONTENTS = re.compile(r"/(ch\d+|ap[a-e])\.html$")
SCRIPTURE = "bible-korrv"
NOT_KOREAN = "english-electron"
AFTER = ("quality", "toxicity")
WANTED = {
    "good, scripture apart": 0.95,
    "good: religion": 0.80,
    "ui-strings": -0.05,
    "navigation": -0.20,
    "lists-templates": -0.126,
    "crawl ko: good": 0.96,
    "crawl ko: contents": -0.10,
    "crawl en: article": 0.90,
    "crawl en: documentation": 0.70,
    "crawl en: listing and collection": -0.434,
}
"""At least, or, below 0, at most; the last and the lists: what was kept before these rules were calibrated."""


def run(language: str, source: str, folder: Path) -> pl.DataFrame:
    """Every document that the source gave, with `kept` (by the rules), the `clause` that drops it, and `selected`."""
    import winnow
    from winnow.pipelines.engine.progress import Progress

    off = ("dedup", "domain", "mixture", "personal", "shards")
    own = {"ko": off, "en": ("dedup", "personal", "shards")}[language]
    sets = [f"stages.{name}=null" for name in own]
    if source == "pool":
        files = json.dumps([str(path) for path in sorted((DATA / "ko-pool").glob("*.jsonl.gz"))])
        sets += [
            "sources.crawl=null",
            f"sources.pool={{use: jsonl, paths: {files}, id: id, title: id}}",
            "stages.urls=null",
        ]
    else:
        sets.append(f'sources.crawl.paths=["{DATA / "crawl" / "web-mixed.warc.gz"}"]')
    recipe = ROOT / "pipelines" / f"{language}.yaml"
    done = winnow.run(recipe, sets, folder=folder / f"{language}-{source}", local=True, progress=Progress(quiet=True))
    return (
        done.documents(kept_only=False)
        .select(
            "url",
            "title",
            words="rules.word_count",
            kept=(pl.col("selection.status") == 1) | pl.col("selection.stage").is_in(AFTER),
            selected=pl.col("selection.status") == 1,
            clause=pl.concat_str(
                "selection.stage", pl.col("selection.clause").str.split(".").list.last(), separator="."
            ),
        )
        .collect()
    )


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


Row = tuple[str, int, float, float, str]


def row(name: str, documents: pl.DataFrame) -> Row:
    """Name, documents, the shares that the rules keep and that are selected, and the rules' clauses that drop most."""
    dropped = Counter(documents.filter(~pl.col("kept")).get_column("clause").to_list())
    why = ", ".join(f"{clause} {count}" for clause, count in dropped.most_common(4))
    shares = [float(documents.get_column(column).mean() or 0.0) for column in ("kept", "selected")]  # type: ignore[arg-type]
    return name, documents.height, shares[0], shares[1], why


def pool(folder: Path) -> list[Row]:
    records = [
        (record["id"], path.name.removesuffix(".jsonl.gz"), record["kind"], record["domain"])
        for path in sorted((DATA / "ko-pool").glob("*.jsonl.gz"))
        for record in lines(path)
    ]
    labels = pl.DataFrame(records, schema=["title", "source", "kind", "domain"], orient="row")
    found = run("ko", "pool", folder).join(labels, on="title", how="inner")
    good = found.filter((pl.col("kind") == "good") & (pl.col("source") != NOT_KOREAN))
    rows = [row("good, scripture apart", good.filter(pl.col("source") != SCRIPTURE))]
    rows += [
        row(f"good: {domain}", good.filter(pl.col("domain") == domain))
        for domain in sorted(set(good["domain"].to_list()))
    ]
    rows += [
        row(f"good source: {name}", good.filter(pl.col("source") == name))
        for name in sorted(set(good["source"].to_list()))
    ]
    rows.append(row("ui-strings", found.filter(pl.col("source") == "ui-strings")))
    rows.append(row("navigation", found.filter(pl.col("source").is_in(["page-text-boilerplate", "html-raw"]))))
    noisy = found.filter(pl.col("kind") == "noisy")
    return rows + [
        row(name, noisy.filter(pl.col("source") == name))
        for name in sorted(set(noisy["source"].to_list()))
        if name != "ui-strings"
    ]


def crawl(folder: Path) -> list[Row]:
    truth = pl.DataFrame(
        [
            (t["uri"], t.get("lang"), t.get("page_type"), len(re.findall("[가-힣]", t.get("gold_text") or "")))
            for t in lines(DATA / "crawl" / "web-mixed.truth.jsonl.gz")
        ],
        schema={"url": pl.String, "lang": pl.String, "type": pl.String, "syllables": pl.Int64},
        orient="row",
    ).unique("url")
    korean = run("ko", "crawl", folder).join(truth.filter(pl.col("lang") == "ko"), on="url", how="inner")
    contents = pl.col("url").map_elements(lambda url: bool(CONTENTS.search(url)), return_dtype=pl.Boolean)
    broken = pl.col("url").str.contains("//bad.example.kr/")
    good = korean.filter(~contents & ~broken & (pl.col("words").is_null() | (pl.col("words") >= 40)))
    rows = [
        row("crawl ko: good", good),
        row("crawl ko: good, with gold", good.filter(pl.col("syllables") >= 200)),
        row("crawl ko: contents", korean.filter(contents)),
        row("crawl ko: broken", korean.filter(broken)),
    ]
    english = run("en", "crawl", folder).join(truth.filter(pl.col("lang") == "en"), on="url", how="inner")
    types = sorted(t for t in set(english["type"].to_list()) if t)
    rows += [row(f"crawl en: {name}", english.filter(pl.col("type") == name)) for name in types]
    listed = english.filter(pl.col("type").is_in(["listing", "collection"]))
    return [*rows, row("crawl en: listing and collection", listed)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="print whether the figures are what is asked of them")
    options = parser.parse_args()
    if not (DATA / "ko-pool").is_dir():
        print(f"skipped: {DATA / 'ko-pool'} is not there")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = pool(Path(folder)) + crawl(Path(folder))
    for name, count, share, selected, why in rows:
        print(f"{name:38}{count:6}  kept {share:.3f}  selected {selected:.3f}  {why}")
    if options.check:
        for name, _, share, _, _ in rows:
            if name in WANTED:
                wanted = WANTED[name]
                holds = share >= wanted if wanted > 0 else share <= -wanted
                print(f"check: {name}: {'holds' if holds else 'DOES NOT HOLD'} ({share:.3f}, asked {wanted:+g})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
