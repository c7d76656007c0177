"""datatrove's filters in a pipeline of ours decide as they do in datatrove, with every reason as a clause."""

from __future__ import annotations

import importlib.metadata
import json
import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tests.needs import needs
from tests.pipelines.in_process import command
from winnow.filters.edits import apply_column
from winnow.filters.languages import language_pack
from winnow.pipelines.results.table import open_run
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED, StageError

pytest.importorskip("datatrove")

from tests.stages import filters_for_datatrove
from winnow.stages import datatrove as adapter
from winnow.stages.datatrove import Datatrove, DatatroveSettings

needs("spacy")

OWN = f"{filters_for_datatrove.__name__}:Sized"
WORDS = [
    "the",
    "town",
    "of",
    "and",
    "library",
    "with",
    "reading",
    "children",
    "have",
    "been",
    "that",
    "evening",
    "to",
    "river",
    "bridge",
    "lamp",
    "market",
    "be",
    "old",
]


def prose(seed: int) -> str:
    """Lines of words, some of which are short, repeated, bulleted or without an end."""
    draw = random.Random(seed)
    lines = []
    for _ in range(draw.randint(1, 14)):
        line = " ".join(draw.choices(WORDS, k=draw.randint(1, 20)))
        lines.append(draw.choice(["", "", "", "- ", "# "]) + line + draw.choice([".", ".", ".", "", "...", "!"]))
    if draw.random() < 0.2:
        lines *= 2
    return draw.choice(["\n", "\n", "\n\n"]).join(lines)


@pytest.fixture(scope="module")
def texts(optional_data: Path | None) -> list[str]:
    """Texts of our own, and where the data is there the Korean and English pages of a crawl."""
    import gzip

    found = [prose(seed) for seed in range(80)]
    if optional_data is not None:
        with gzip.open(optional_data / "crawl" / "web-mixed.truth.jsonl.gz", "rt", encoding="utf-8") as lines:
            found += [text for row in map(json.loads, lines) if (text := row.get("gold_text"))][:80]
    return found


def batch(texts: list[str]) -> pa.RecordBatch:
    rows = [
        {"id": f"{n:032x}", "url": f"https://x.example/{n}", "date": None, "source": "s", "title": None, "text": text}
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def stage(name: str, **settings: Any) -> Datatrove:
    return Datatrove("d", DatatroveSettings(filter=name, **settings), language_pack("en"))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("GopherQualityFilter", {}),
        ("GopherQualityFilter", {"min_doc_words": 10, "min_stop_words": None}),
        ("GopherRepetitionFilter", {}),
        ("FineWebQualityFilter", {}),
        ("C4QualityFilter", {"filter_no_terminal_punct": False}),
        ("C4ParagraphFilter", {}),
        ("RegexFilter", {"regex_exp": "river bridge"}),
    ],
)
def test_it_decides_as_datatrove_by_itself(texts: list[str], name: str, settings: dict[str, Any]) -> None:
    import datatrove.pipeline.filters as filters
    from datatrove.data import Document

    kind = getattr(filters, name, None) or getattr(
        __import__("datatrove.pipeline.filters.c4_filters", fromlist=[name]), name
    )
    own = kind(**settings)
    alone = [Document(text, str(n), metadata={"url": f"https://x.example/{n}"}) for n, text in enumerate(texts)]
    kept = {document.id: document.text for document in own.run(iter(alone))}
    use = name if hasattr(filters, name) else f"datatrove.pipeline.filters.c4_filters:{name}"
    ours = stage(use, settings=settings)
    out = ours.measure(batch(texts))
    assert [str(n) in kept for n in range(len(texts))] == out.column("kept").to_pylist()
    dropped = {k.removeprefix("dropped_"): int(s.total) for k, s in own.stats.stats.items() if k.startswith("dropped_")}
    assert Counter(r for r in out.column("reason").to_pylist() if r) == dropped
    if EDITED in out.schema.names:
        after = apply_column(batch(texts).column("text"), out.column(EDITED)).to_pylist()
        assert all(after[int(n)] == text for n, text in kept.items())
    assert (EDITED in out.schema.names) == (name == "C4QualityFilter")


def test_reasons_are_clauses_in_the_order_of_the_code() -> None:
    assert list(stage("GopherQualityFilter").clauses())[:2] == ["gopher_short_doc", "gopher_long_doc"]
    assert list(stage("GopherRepetitionFilter").clauses())[-3:] == ["top_n_gram", "duplicated_n_n_grams", "filtered"]
    assert stage("GopherRepetitionFilter").clauses()["top_n_gram"] == "reason is null or reason not like 'top_%_gram'"
    own = stage(OWN).clauses()
    assert list(own) == ["under_least_characters", "it_s_x", "has_y", "filtered"]
    assert own["it_s_x"] == "reason is null or reason != 'it''s x'"
    assert stage("RegexFilter", settings={"regex_exp": "x"}).clauses() == {"filtered": "kept"}


def test_a_filter_of_ones_own_runs_with_its_reasons_and_failures(tmp_path: Path) -> None:
    texts = ["tiny", "has an x", "has a y", "quiet now", "raise", "keep this\nskip this\nand this", "plain words"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "d.yaml").write_text(f"""name: d
language: en
sources: {{docs: {{use: jsonl, paths: [in.jsonl]}}}}
stages:
  sized: {{use: datatrove, filter: "{OWN}"}}
max_failures: 1
""")
    ran = command("run", "d.yaml", "--folder", "run", "--local", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    run = open_run(tmp_path / "run")
    account = run.accounting["stages"]["sized"]
    dropped = {f"sized.{name}": 1 for name in ("under_least_characters", "it_s_x", "has_y", "filtered")}
    assert account == {"in": 7, "kept": 2, "failed": 1, "dropped": dropped}
    kept = run.documents().collect().filter(pl.col("selection.multiplicity") > 0)["text"].to_list()
    assert sorted(kept) == ["keep this\nand this", "plain words"]


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("GopherQualityFiltr", {}, ["no 'GopherQualityFiltr'", "nearest: 'GopherQualityFilter'"]),
        ("GopherQualityFilter", {"min_words": 3}, ["takes no setting 'min_words'", "min_doc_words"]),
        ("GopherQualityFilter", {"exclusion_writer": 1}, ["takes no setting 'exclusion_writer'"]),
        ("SamplerFilter", {}, ["one stream for all documents", "sample(0.5)"]),
        ("json:JSONDecoder", {}, ["is no filter", "BaseFilter"]),
        ("datatrove.pipeline.filters.base_filter:BaseFilter", {}, ["does not define filter"]),
    ],
)
def test_what_is_no_filter_is_refused(name: str, settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(StageError) as refused:
        made = stage(name, settings=settings)
        made.clauses(), made.artifacts()
    for word in words:
        assert word in str(refused.value)


def test_its_version_settings_and_language_are_its_identity() -> None:
    first = stage("GopherQualityFilter").identity()
    assert first["code"] == f"datatrove {importlib.metadata.version('datatrove')}"
    assert first["given"] == {"language": "eng"}
    assert first != stage("GopherQualityFilter", settings={"min_doc_words": 3}).identity()
    assert stage(OWN).identity()["code"] != first["code"]
    korean = Datatrove("d", DatatroveSettings(filter="GopherQualityFilter"), language_pack("ko"))
    assert korean.identity()["given"] == {"language": "kor"}
    assert pickle.loads(pickle.dumps(korean)) == korean


def test_without_datatrove_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(adapter, "version", absent)
    adapter.filter_class.cache_clear()
    with pytest.raises(StageError, match=r"needs the package datatrove: pip install 'winnow\[datatrove\]'"):
        stage("GopherQualityFilter").clauses()
    adapter.filter_class.cache_clear()
