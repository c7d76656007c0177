"""What the Korean language models that ship tell apart, on pages that they were not fitted on: the tables of their cards.

`python tests/bench/bench_kenlm_models.py [folder of models]` needs the real data folder beside the checkout. Of the sources that
the models were fitted on only groups count that the fit held out, of the others at most 150 pages of each, drawn by hash. A page is
kept at the value that keeps .95 of the held-out good pages; AUC: good pages against these.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash
from scipy.stats import rankdata

from winnow.filters.languages import language_pack
from winnow.stages.kenlm import KIND
from winnow.stages.opening import opened
from winnow.testing import documents

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
GROUP = r"^(law-kr|unesco-ko|bible-korrv):[^.]+|^.*"
GOOD = (
    *("acorn-blog", "bible-korrv", "cclguide", "gnome-help-ko", "law-kr", "nanet-book-reviews", "opensource-docs-ko"),
    *("python-docs-ko", "tensorflow-ko", "unesco-ko", "wikinews", "xwmooc-education"),
)
FORUM = ("petitions", "chatbot-qa", "nsmc")
NOISE = {
    "interface strings": ("ui-strings", "po-raw"),
    "pages with navigation": ("page-text-boilerplate", "html-raw"),
    "templates and lists": ("lists-templates",),
    "machine-translated manuals": (
        "msdocs-cpp-mt",
        "msdocs-vs-mt",
        "adobe-workfront-mt",
        "iot-for-beginners-mt",
        "d2l-ko-mt",
    ),
    "change logs": ("changelog-law",),
    "untranslated pages": ("english-under-ko",),
    "damaged encoding": ("damaged-encoding",),
}
PAGES, CHARS = 150, 10_000

Floats = npt.NDArray[np.float64]


def pages(source: str, data: Path = DATA) -> list[str]:
    """Of a source that was fitted on what was held out, of another one all; at most PAGES, by hash."""
    path = data / ("ko-sentiment-nsmc/train.jsonl.gz" if source == "nsmc" else f"ko-pool/{source}.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    if source in GOOD + FORUM:
        rows = [row for row in rows if _held_out(str(row["id"]))]
    elif source == "html-raw":
        rows = [row for row in rows if not row["id"].startswith("html-raw:d-i.")]
    rows.sort(key=lambda row: xxhash.xxh64_intdigest(str(row["id"]).encode()))
    return [row["text"] for row in rows[:PAGES] if row["text"].strip()]


def _held_out(name: str) -> bool:
    found = re.search(GROUP, name)
    return found is not None and xxhash.xxh64_intdigest(found[0].encode()) % 100 < 10


def shuffled(texts: list[str]) -> list[str]:
    """The words of each in random order, on one line."""
    made = []
    for text in texts:
        words = text.split()
        random.Random(text).shuffle(words)
        made.append(" ".join(words))
    return made


def values(texts: list[str], signal: str, **settings: str) -> Floats:
    """A signal of the stage; 0 for a text without any."""
    stage = KIND("lm", KIND.Settings(chars=CHARS, language="any", **settings), language_pack("ko"))
    return np.nan_to_num(opened(stage).measure(documents(texts)).column(signal).to_numpy(zero_copy_only=False))


def auc(good: Floats, other: Floats) -> float:
    """How often a page of the good is higher than one of the others."""
    ranks = rankdata(np.concatenate([good, other]))
    return float((ranks[: len(good)].sum() - len(good) * (len(good) + 1) / 2) / len(good) / len(other))


def main() -> None:
    """Prints a table in Markdown."""
    if not (DATA / "ko-pool").is_dir():
        print(f"skipped: {DATA} is not there")
        return
    folder = f"{sys.argv[1]}/" if len(sys.argv) > 1 else ""
    named = {
        name: f"{folder}{name}.kenlm" if folder else name for name in ("ko-prose", "ko-salad", "ko-good", "ko-forum")
    }
    sets = {f"good: {name}": pages(name) for name in GOOD}
    good = [text for texts in sets.values() for text in texts]
    sets = {"good: all": good, **sets} | {f"forum: {name}": pages(name) for name in FORUM}
    sets |= {f"{what}: {name}": pages(name) for what, names in NOISE.items() for name in names}
    sets["good, words shuffled"] = shuffled(good)
    sets["forum, words shuffled"] = shuffled([text for name in FORUM for text in pages(name)])
    signals = {
        "prose − salad": ("difference", {"model": named["ko-prose"], "against": named["ko-salad"]}),
        "good − forum": ("difference", {"model": named["ko-good"], "against": named["ko-forum"]}),
        "good alone": ("bits_per_char", {"model": named["ko-good"]}),
    }
    found = {}
    for title, (signal, settings) in signals.items():
        sign = -1.0 if signal == "bits_per_char" else 1.0
        found[title] = {name: sign * values(texts, signal, **settings) for name, texts in sets.items() if texts}
    print("| pages | number |" + "".join(f" {title}: kept | AUC |" for title in found))
    print("|---|---|" + "---|---|" * len(found))
    cuts = {title: float(np.quantile(measured["good: all"], 0.05)) for title, measured in found.items()}
    for name, texts in sets.items():
        cells = "".join(
            f" {np.mean(measured[name] >= cuts[title]):.2f} | {auc(measured['good: all'], measured[name]):.2f} |"
            for title, measured in found.items()
            if texts
        )
        print(f"| {name} | {len(texts)} |{cells}")
    print("\nkept from: " + ", ".join(f"{title} {cut:.3f}" for title, cut in cuts.items()) + " bits a character")


if __name__ == "__main__":
    main()
