"""The whole line on the bundled crawl, on Ray, against the truth of every record: precision and recall per category."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import open_run

from .conftest import lay_out_sample
from .in_process import command
from .judge import judge

ROOT = Path(__file__).resolve().parents[2]


def decisions(run: winnow.Run) -> pl.DataFrame:
    """One row per response record: url, kept, stage, clause, text."""
    records = pl.concat([pl.DataFrame(run.plan.store.read(run.plan.records(p))) for p in run.plan.partitions])
    decided = run.documents(kept_only=False).select(
        "url",
        "text",
        kept=pl.col("selection.status") == 1,
        late_stage="selection.stage",
        late_clause="selection.clause",
    )
    return records.join(decided.collect(), on="url", how="left").select(
        "url",
        "text",
        pl.col("kept").fill_null(False),
        stage=pl.coalesce("stage", "late_stage"),
        clause=pl.coalesce("clause", "late_clause"),
    )


def truth_of(folder: Path) -> pl.DataFrame:
    return pl.read_ndjson(folder / "runs" / "sample" / "truth.jsonl", infer_schema_length=None)


@pytest.fixture(scope="module")
def judged(sample_run: Path) -> pl.DataFrame:
    run = open_run(sample_run / "runs" / "ko")
    table = judge(truth_of(sample_run), decisions(run), language="ko")
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=170, float_precision=3, tbl_hide_column_data_types=True):
        print(table)
    return table


def figure(judged: pl.DataFrame, category: str, column: str) -> float:
    return float(judged.filter(pl.col("category") == category).get_column(column).item())


def test_every_record_is_decided(judged: pl.DataFrame) -> None:
    assert figure(judged, "all", "pages") >= 2000
    assert figure(judged, "all", "undecided") == 0


def test_what_should_be_kept_is_kept(judged: pl.DataFrame) -> None:
    assert figure(judged, "all", "recall") >= 0.95
    assert figure(judged, "all", "precision") >= 0.97


@pytest.mark.parametrize(
    "category",
    ["en", "ja", "zh", "en_in_korean_frame", "links", "listing", "chatter", "abuse", "spam", "garbled", "gambling"],
)
def test_what_is_foreign_or_junk_is_dropped(judged: pl.DataFrame, category: str) -> None:
    assert figure(judged, category, "drop_recall") >= 0.97


@pytest.mark.parametrize("category", ["exact_duplicate", "near_duplicate"])
def test_of_duplicates_one_survives(judged: pl.DataFrame, category: str) -> None:
    assert figure(judged, category, "drop_recall") >= 0.95


@pytest.mark.parametrize(
    "category",
    [
        "euckr_meta",
        "euckr_header",
        "cp949",
        "lie_header_utf8",
        "lie_header_latin1",
        "lie_meta",
        "utf16",
        "utf8_bom",
        "ncr",
        "nfd",
    ],
)
def test_every_charset_comes_out_as_the_same_hangul(judged: pl.DataFrame, category: str) -> None:
    assert figure(judged, category, "text_recall") >= 0.97


def test_technical_records_are_counted_drops_or_failures(sample_run: Path) -> None:
    done = open_run(sample_run / "runs" / "ko").accounting["stages"]
    truth = truth_of(sample_run)
    statuses = truth.filter(pl.col("why") == "status").height
    assert done["crawl"]["dropped"]["crawl.status"] == statuses
    assert done["crawl"]["in"] == truth.height


def test_the_mixture_counts_and_neither_drops_nor_repeats(sample_run: Path) -> None:
    run = open_run(sample_run / "runs" / "ko")
    done, report = run.accounting, run.accounting["reports"]["mixture"]
    assert done["stages"]["mixture"]["in"] == done["stages"]["mixture"]["kept"] == done["kept"] == done["copies"]
    assert report["solver"] == "natural" and len(report["groups"]) > 3
    assert {group["epochs"] for group in report["groups"].values()} == {1.0}
    assert sum(group["documents"] for group in report["groups"].values()) == done["kept"]
    assert set(run.documents().select("selection.multiplicity").collect().to_series()) == {1}


def test_ray_and_the_calling_process_agree_on_the_sample(sample_run: Path) -> None:
    on_ray = open_run(sample_run / "runs" / "ko")
    sets = [f'sources.crawl.paths=["{sample_run}/runs/sample/sample.warc.gz"]', "stages.extract.engine=resiliparse"]
    folder = sample_run / "alone"
    quiet = Progress(quiet=True)
    alone = winnow.run(ROOT / "pipelines" / "ko.yaml", sets, folder=folder, local=True, progress=quiet)
    assert alone.accounting["stages"]["screen"] == on_ray.accounting["stages"]["screen"]
    assert alone.accounting["kept"] > 300


@pytest.mark.parametrize("language", ["en", "ja"])
def test_another_language_is_data(tmp_path: Path, language: str) -> None:
    lay_out_sample(tmp_path, records=1000)
    words = ["run", f"pipelines/{language}.yaml", "--set", "stages.extract.engine=resiliparse", "--local"]
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = open_run(tmp_path / "runs" / language)
    table = judge(truth_of(tmp_path), decisions(run), language=language)
    assert figure(table, "all", "precision") >= 0.9
    assert set(run.documents().select("language.label").collect().get_column("language.label")) == {language}
