"""The bundled sample: the same bytes each time, a readable crawl, and a truth that fits it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from winnow.pipelines.sample.cases import COUNTS, ENCODED, FULL, JUNK_COUNTS, TECHNICAL, scaled
from winnow.pipelines.sample.documents import MOST_SHARED, NEAR, WEIGHTS, composites, overlap
from winnow.pipelines.sample.encode import ENCODINGS
from winnow.pipelines.sample.generate import FILE, TRUTH, generate
from winnow.pipelines.sample.page import TEMPLATES
from winnow.pipelines.sample.texts import DOMAINS, Text, korean, originals

from .judge import judge

FOREIGN = ("en", "ja", "zh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("sample")).parent


@pytest.fixture(scope="module")
def truth(folder: Path) -> pl.DataFrame:
    return pl.read_ndjson(folder / TRUTH, infer_schema_length=None)


@pytest.fixture(scope="module")
def bodies(folder: Path) -> dict[str, tuple[bytes, dict[str, str]]]:
    """URL -> payload with transfer codings undone, and the HTTP header fields."""
    return dict(responses(folder / FILE))


def responses(path: Path) -> Iterator[tuple[str, tuple[bytes, dict[str, str]]]]:
    from warcio.archiveiterator import ArchiveIterator

    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, check_digests="raise"):
            if record.rec_type == "response":
                fields = {name.lower(): value for name, value in record.http_headers.headers}
                yield record.rec_headers["WARC-Target-URI"], (record.content_stream().read(), fields)


def every_original() -> list[Text]:
    return [text for stem in (*(f"ko-{d}" for d in DOMAINS), *FOREIGN) for text in originals(stem)]


def test_originals_are_as_many_as_promised() -> None:
    assert len(every_original()) >= 120
    assert all(len(korean(domain)) >= 9 for domain in DOMAINS)
    assert len(originals("en")) >= 20
    assert len(originals("ja")) >= 16
    assert len(originals("zh")) >= 12
    assert len({text.body for text in every_original()}) == len(every_original())


def test_originals_are_composed_text_with_paragraphs() -> None:
    for text in every_original():
        assert len(text.paragraphs) >= 3, text.id
        assert unicodedata.is_normalized("NFC", text.body), text.id
        assert "\ufffd" not in text.body, text.id
        assert all(paragraph[-1] in ".!?。”\"'」" for paragraph in text.paragraphs), text.id


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = generate(tmp_path / "a", records=300)
    second = generate(tmp_path / "b", records=300)
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "a" / TRUTH).read_bytes() == (tmp_path / "b" / TRUTH).read_bytes()


def test_another_seed_gives_another_sample_of_the_same_composition(tmp_path: Path) -> None:
    first, second = (generate(tmp_path / str(seed), records=300, seed=seed) for seed in (1, 2))
    assert first.read_bytes() != second.read_bytes()
    composition = [
        pl.read_ndjson(path.parent / TRUTH, infer_schema_length=None)["category"].value_counts().sort("category")
        for path in (first, second)
    ]
    assert composition[0].equals(composition[1])


def test_language_changes_keep_and_not_the_crawl(tmp_path: Path) -> None:
    korean_crawl, english_crawl = (generate(tmp_path / code, records=200, language=code) for code in ("ko", "en"))
    assert korean_crawl.read_bytes() == english_crawl.read_bytes()
    rows = pl.read_ndjson(english_crawl.parent / TRUTH, infer_schema_length=None)
    assert set(rows.filter("keep")["language"]) == {"en"}


def test_records_and_categories_are_counted(truth: pl.DataFrame) -> None:
    assert truth.height == FULL >= 2000
    assert truth["url"].n_unique() == FULL
    counts = dict(truth["category"].value_counts().iter_rows())
    expected = scaled(FULL)
    expected["original"], expected["composite"] = (
        min(expected["original"], sum(len(korean(domain)) for domain in DOMAINS)),
        expected["original"] + expected["composite"] - counts["original"],
    )
    assert counts == expected
    assert 0.4 <= truth["language"].eq("ko").sum() / FULL <= 0.8
    assert set(truth["template"]) == set(TEMPLATES)
    assert len(TEMPLATES) >= 10


@pytest.mark.parametrize("records", [len(COUNTS), 100, 777, 2400, 5000])
def test_every_size_has_every_category(records: int) -> None:
    counts = scaled(records)
    assert sum(counts.values()) == records
    assert min(counts.values()) >= 1


def test_bad_requests_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"too few.*{len(COUNTS)}"):
        generate(tmp_path, records=5)
    with pytest.raises(ValueError, match="expected one of ko, en, ja"):
        generate(tmp_path, language="xx")
    with pytest.raises(ValueError, match="were asked for"):
        composites(originals("zh")[:3], 500, 1)


def test_truth_is_consistent(truth: pl.DataFrame) -> None:
    dropped = set(JUNK_COUNTS) | set(TECHNICAL)
    for row in truth.iter_rows(named=True):
        assert row["keep"] == row["keep_for"]["ko"]
        assert sum(row["keep_for"].values()) <= 1
        if row["keep"]:
            assert row["language"] == "ko"
            assert row["why"] is None
            assert row["gold"]
        elif not row["either"]:
            assert row["why"] is not None
        if row["category"] in dropped:
            assert not any(row["keep_for"].values())
        if row["category"] in ("original", "composite", "exact_duplicate", "near_duplicate"):
            assert row["domain"] in DOMAINS
        for span in row["personal"]:
            assert row["gold"][span["start"] : span["end"]] == span["value"]


def test_groups_hold_one_survivor_and_true_duplicates(truth: pl.DataFrame) -> None:
    for (_,), members in truth.filter(pl.col("group").is_not_null()).group_by("group"):
        base = members.filter(pl.col("group_kind").is_null())
        assert base.height == 1
        assert base["keep_for"].to_list()[0][base["language"][0]]
        for row in members.filter(pl.col("group_kind").is_not_null()).iter_rows(named=True):
            alike = overlap(base["gold"][0], row["gold"], row["language"])
            assert alike == 1 if row["group_kind"] == "exact" else NEAR[0] <= alike <= NEAR[1]


def test_composites_are_no_duplicates_of_each_other() -> None:
    for pool in (korean("technology"), originals("ja")):
        made = [*pool, *composites(pool, 40, 1)]
        for at, one in enumerate(made):
            for other in made[at + 1 :]:
                assert overlap(one.body, other.body, one.language) <= max(0.45, MOST_SHARED)


def test_resident_numbers_have_a_wrong_check_digit(truth: pl.DataFrame) -> None:
    numbers = [s["value"] for spans in truth["personal"] for s in spans if s["kind"] == "resident"]
    assert numbers
    for number in numbers:
        digits = [int(digit) for digit in number if digit.isdigit()]
        check = (11 - sum(weight * digit for weight, digit in zip(WEIGHTS, digits[:-1], strict=True)) % 11) % 10
        assert len(digits) == 13
        assert check != digits[-1]


def test_every_record_is_a_gzip_member_and_a_valid_warc_record(folder: Path, truth: pl.DataFrame) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    data = (folder / FILE).read_bytes()
    kinds: dict[str, int] = {}
    urls = []
    # From an open file: fastwarc reads a BytesIO forty times more slowly.
    with (folder / FILE).open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=False):
            assert data[record.stream_pos : record.stream_pos + 2] == b"\x1f\x8b"
            kinds[str(record.record_type)] = kinds.get(str(record.record_type), 0) + 1
            if record.record_type == WarcRecordType.response:
                assert record.verify_block_digest()
                urls.append(record.headers["WARC-Target-URI"])
    assert kinds["response"] == FULL
    assert kinds["warcinfo"] == 1
    assert kinds["request"] > 100
    assert kinds["revisit"] > 10
    assert urls == truth["url"].to_list()
    assert gzip.decompress(data).startswith(b"WARC/1.1\r\nWARC-Type: warcinfo\r\n")


def test_pages_hold_their_text_in_their_true_charset(
    truth: pl.DataFrame, bodies: dict[str, tuple[bytes, dict[str, str]]]
) -> None:
    from html import unescape

    plain = truth.filter(
        (pl.col("keep") & (pl.col("category") != "nested")) | pl.col("category").is_in([*FOREIGN, "spam", "abuse"])
    )
    assert set(ENCODED) <= set(plain["encoding"])
    for row in plain.iter_rows(named=True):
        payload, _ = bodies[row["url"]]
        codec = {"euc-kr": "cp949"}.get(row["charset_true"], row["charset_true"])
        page = unicodedata.normalize("NFC", unescape(payload.decode(codec)))
        for paragraph in row["gold"].split("\n"):
            assert paragraph in page, row["url"]


def test_headers_lie_where_they_should(truth: pl.DataFrame, bodies: dict[str, tuple[bytes, dict[str, str]]]) -> None:
    for row in truth.filter(pl.col("encoding").is_in(list(ENCODED))).iter_rows(named=True):
        payload, fields = bodies[row["url"]]
        declared = ENCODINGS[row["encoding"]].header
        assert fields["content-type"].partition("charset=")[2] == (declared or "")
        assert payload.startswith(ENCODINGS[row["encoding"]].bom)
    for row in truth.filter(pl.col("encoding") == "lie_header_utf8").iter_rows(named=True):
        with pytest.raises(UnicodeDecodeError):
            bodies[row["url"]][0].decode("utf-8")


def test_only_cp949_can_hold_the_rare_syllables(truth: pl.DataFrame) -> None:
    for gold in truth.filter(pl.col("encoding") == "cp949")["gold"]:
        with pytest.raises(UnicodeEncodeError):
            "".join(letter for letter in gold if "가" <= letter <= "힣").encode("iso2022_kr")


def test_the_command_runs(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "out"), "--records", "60", "--seed", "3", "--language", "ja"]
    done = subprocess.run(
        [sys.executable, "-m", "winnow.pipelines.sample.generate", *arguments],
        capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert FILE in done.stdout


def decide(truth: pl.DataFrame) -> pl.DataFrame:
    return truth.select(
        "url", pl.col("keep").alias("kept"), pl.col("why").alias("stage"), clause=pl.lit(None, pl.String), text="gold"
    )


def total(figures: pl.DataFrame) -> dict[str, float]:
    return figures.row(by_predicate=pl.col("category") == "all", named=True)


def test_the_judge_finds_nothing_wrong_with_the_truth(truth: pl.DataFrame) -> None:
    figures = judge(truth, decide(truth))
    assert total(figures)["right"] == total(figures)["pages"] == FULL
    for name in ("precision", "recall", "drop_precision", "drop_recall", "expected_stage", "text_recall"):
        assert total(figures)[name] == 1.0


def test_the_judge_accepts_any_survivor_of_a_group(truth: pl.DataFrame) -> None:
    swapped = decide(truth).with_row_index("row")
    group = truth.filter(pl.col("group_kind") == "exact")["group"][0]
    members = truth.with_row_index("row").filter(pl.col("group") == group)
    base, copy = (members.filter(pl.col("group_kind").is_null() == null)["row"][0] for null in (True, False))
    exchanged = swapped.with_columns(
        kept=pl.when(pl.col("row") == base).then(False).when(pl.col("row") == copy).then(True).otherwise("kept"),
        stage=pl.when(pl.col("row") == base).then(pl.lit("dedup")).when(pl.col("row") != copy).then("stage"),
    )
    assert total(judge(truth, exchanged.drop("row")))["right"] == FULL
    both = swapped.with_columns(kept=pl.col("kept") | (pl.col("row") == copy))
    assert total(judge(truth, both.drop("row")))["right"] == FULL - 1


def test_the_judge_counts_errors_and_silence(truth: pl.DataFrame) -> None:
    spam = truth["category"] == "spam"
    keeps_spam = decide(truth).with_columns(kept=pl.col("kept") | spam)
    row = judge(truth, keeps_spam).row(by_predicate=pl.col("category") == "spam", named=True)
    assert (row["right"], row["kept"], row["precision"], row["drop_recall"]) == (0, row["pages"], 0.0, 0.0)
    silent = judge(truth, decide(truth).filter(~spam)).row(by_predicate=pl.col("category") == "spam", named=True)
    assert (silent["undecided"], silent["right"], silent["drop_recall"]) == (silent["pages"], 0, 0.0)


def test_the_judge_refuses_what_it_cannot_judge(truth: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="'kept'"):
        judge(truth, decide(truth).drop("kept"))
    with pytest.raises(ValueError, match="more than once"):
        judge(truth, pl.concat([decide(truth), decide(truth).head(1)]))
