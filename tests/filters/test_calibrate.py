"""The calibration command on files of every kind it reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from winnow.filters.calibrate import UnreadableText, documents, drops, main, measured, proposals
from winnow.filters.languages import language_pack

SENTENCE = "오늘은 날씨가 좋아서 공원에서 친구와 함께 책을 읽었다."


def write(folder: Path) -> None:
    (folder / "a.md").write_text("# 제목\n" + SENTENCE, "utf-8")
    with gzip.open(folder / "b.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps({"text": SENTENCE}) + "\n" for _ in range(4))
    (folder / "c.tsv").write_text(f'ID\ttext\n1\t{SENTENCE}\n2\t"그는 갔다.\n', "utf-8")
    (folder / "d.conllu").write_text(f"# text = {SENTENCE}\n1\t오늘은\n\n# text = 끝났다.\n", "utf-8")
    pl.DataFrame({"text": [SENTENCE]}).write_parquet(folder / "e.parquet")


def test_reads_every_kind_and_joins_rows_but_not_files(tmp_path):
    write(tmp_path)
    assert len(list(documents([tmp_path], ["text"], 0))) == 1 + 4 + 2 + 2 + 1
    joined = list(documents([tmp_path], ["text"], 2 * len(SENTENCE)))
    assert joined == ["# 제목\n" + SENTENCE, f"{SENTENCE}\n{SENTENCE}", f"{SENTENCE}\n{SENTENCE}"]


def test_what_it_cannot_read_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}\n', "utf-8")
    with pytest.raises(UnreadableText, match="none of the fields text, but body"):
        list(documents([tmp_path], ["text"], 0))
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(UnreadableText, match=r"a\.pdf: expected one of"):
        list(documents([tmp_path / "a.pdf"], ["text"], 0))


def test_proposals_are_quantiles_and_drops_count_texts():
    pack = language_pack("ko")
    frame = measured(iter([SENTENCE * n for n in range(1, 21)]), pack)
    table = {row["measure"]: row for row in proposals(frame, 0.05).to_dicts()}
    assert table["char_count"]["50%"] == pytest.approx(10.5 * len(SENTENCE), abs=1)
    assert table["word_count"]["at least"] < table["word_count"]["at most"]
    assert table["line_punctuation"]["at most"] is None and table["dup_lines"]["at least"] is None
    shares = drops(frame, pack)
    assert shares["gopher.too_long"] == 0 < shares["gopher.too_short"] <= shares["all"] <= 1


def test_prints_both_tables(tmp_path, capsys):
    write(tmp_path)
    assert (
        main(["--language", "ko", "--bad", str(tmp_path / "c.tsv"), "--where", "char_count > 5", "--", str(tmp_path)])
        == 0
    )
    printed = capsys.readouterr().out
    assert "9 good documents, 2 bad ones" in printed or "10 good documents, 2 bad ones" in printed
    assert "korean.few_endings" in printed and "sentence_end_share" in printed
