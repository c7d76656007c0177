"""The clean stage: what it changes is recorded edit by edit, whatever the batch, and no text makes it fail."""

from __future__ import annotations

import json
import pickle
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.filters.edits import apply, apply_column, edits
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED, StageError
from winnow.stages.clean import Clean
from winnow.stages.opening import opened

PAGE = "로그인 | 회원가입\nì•ˆë…•하세요가 아니라\n¾È³çÇÏ¼¼¿ä\nＡＢＣ는 제\u200b로 폭\n본문입니다.\nⓒ 예시일보, 무단전재 및 재배포 금지"
CLEAN = "ì•ˆë…•하세요가 아니라\n안녕하세요\nABC는 제로 폭\n본문입니다."


def stage(language: str = "ko", **chosen: Any) -> Clean:
    return Clean(name="clean", settings=Clean.Settings(**chosen), pack=language_pack(language))


def batch(texts: Sequence[str]) -> pa.RecordBatch:
    count = len(texts)
    columns: dict[str, list[Any]] = {
        "id": [f"{i:032x}" for i in range(count)],
        "url": [None] * count,
        "date": [None] * count,
        "source": ["test"] * count,
        "title": [None] * count,
        "text": list(texts),
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA)


def measured(clean: Clean, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Signals of every text, `after` its edits and the edits."""
    documents = batch(texts)
    found = clean.measure(documents)
    found.validate(full=True)
    assert {
        name: found.schema.field(name).type for name in clean.signals() | clean.hidden()
    } == clean.signals() | clean.hidden()
    after = apply_column(documents.column("text"), found.column(EDITED)).to_pylist()
    return [row | {"after": text} for row, text in zip(found.to_pylist(), after, strict=True)]


def test_a_page_is_cleaned_and_every_change_has_its_rule() -> None:
    row = measured(stage(), [PAGE])[0]
    text = row["after"].split("\n")
    assert text[-3:] == CLEAN.split("\n")[-3:]
    assert (row["boilerplate_lines"], row["error"]) == (2, None)
    assert row["repaired_lines"] >= 1
    assert row["chars"] == len(row["after"])
    assert row["removed_share"] == pytest.approx(1 - len(row["after"]) / len(PAGE))
    rules = [edit["rule"] for edit in row[EDITED]]
    assert {
        "boilerplate.login",
        "boilerplate.copyright",
        "mojibake",
        "characters.width",
        "characters.invisible",
    } <= set(rules)
    assert row["edits"] == len(rules)


@pytest.mark.parametrize("end", ["\x85", "\r\x85", "\r", "\u2028", "\u2029", "\x0b", "\x0c"])
def test_lines_that_end_otherwise_are_lines_to_every_step(end: str) -> None:
    lines = [
        "로그인 | 회원가입",
        "본문입니다.",
        "GrÃ¶ÃŸe und HÃ¶he",
        "둘째 줄 \x9b1mABC\x9b0m",
        "ⓒ 예시일보, 무단전재 및 재배포 금지",
    ]
    assert measured(stage(), [end.join(lines)])[0]["after"] == "본문입니다.\nGröße und Höhe\n둘째 줄 ABC"


def test_clean_text_has_no_edits() -> None:
    row = measured(stage(), ["깨끗한 글입니다.\n둘째 줄도 그렇습니다."])[0]
    assert row[EDITED] == [] and row["edits"] == 0 and row["removed_share"] == 0


def test_damage_is_a_share_and_an_emptied_text_is_dropped_by_default() -> None:
    rows = measured(stage(), ["占쏙옙占쏙옙 글자", "로그인", ""])
    assert rows[0]["damaged_share"] == pytest.approx(6 / 9)
    assert [row["chars"] for row in rows[1:]] == [0, 0]
    assert stage().clauses() == {"empty": "chars >= 1"}


def test_steps_languages_and_width_are_settings() -> None:
    assert measured(stage(steps=()), [PAGE])[0]["after"] == PAGE
    assert measured(stage(steps=["boilerplate"], languages=["ja"]), ["ログイン\n로그인"])[0]["after"] == "로그인"
    assert measured(stage("ja"), ["ＡＢ！"])[0]["after"] == "AB！"
    assert measured(stage("ko"), ["ＡＢ！"])[0]["after"] == "AB!"
    assert (
        measured(stage("en", c4_lines=True), ["Title\nThis is one line.\nSee [1] this too."])[0]["after"]
        == "This is one line.\nSee  this too."
    )
    with pytest.raises(StageError, match=r"clean: no boilerplate phrases for 'kr': expected some of .*; nearest: '..'"):
        stage(languages=["kr"]).artifacts()
    with pytest.raises(ValidationError):
        stage(steps=["mojibak"])


def test_hard_texts_pass() -> None:
    hard = [
        "",
        "\n",
        "\x00",
        "😀👨‍👩‍👧",
        "مرحبا\u200f بالعالم",
        "שלום",
        "가" * 3_400_000,
        "한 줄입니다.\n" * 200_000,
        "é" * 150_000,
        "a\r\n\r\nb",
        "?" * 1000,
        "[1]" * 5000,
    ]
    for row, text in zip(measured(stage(c4_lines=False), hard), hard, strict=True):
        assert row["error"] is None
        assert apply(text, edits(row[EDITED])) == row["after"]


def test_bytes_that_are_no_text_fail_alone() -> None:
    documents = batch(["x", "yyyy", "z"])
    broken = pa.array(["로그인\n글".encode(), b"a\xed\xa0\x80b", b"\xff"], pa.large_binary())
    texts = pa.Array.from_buffers(pa.large_string(), 3, broken.buffers())
    rows = stage().measure(documents.set_column(5, "text", texts)).to_pylist()
    assert [row["error"] for row in rows] == [
        None,
        "the text is not valid UTF-8 at byte 1: invalid continuation byte",
        "the text is not valid UTF-8 at byte 0: invalid start byte",
    ]
    assert rows[0]["boilerplate_lines"] == 1 and rows[1]["edits"] is None


TEXT = st.lists(
    st.one_of(
        st.sampled_from(PAGE.split("\n")),
        st.text(st.sampled_from("가é¾È³çÃ©ＡｶﾞLogin댓글 3\u200b\r\u0301👨\u200d"), max_size=10),
    ),
    max_size=6,
).map(lambda lines: unicodedata.normalize("NFC", "\n".join(lines)))


@settings(max_examples=60)
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_twice_is_once_in_nfc_and_no_row_depends_on_its_batch(texts: list[str]) -> None:
    clean = stage()
    rows = measured(clean, texts)
    for text, row in zip(texts, rows, strict=True):
        assert unicodedata.is_normalized("NFC", row["after"])
        assert measured(clean, [text]) == [row]
        assert apply(text, edits(row[EDITED])) == row["after"]


@settings(max_examples=60)
@given(TEXT)
def test_a_cleaned_text_is_clean(text: str) -> None:
    once = measured(stage(), [text])[0]["after"]
    assert measured(stage(), [once])[0][EDITED] == []


def test_highlight_shows_what_would_be_edited() -> None:
    clean = stage()
    assert [PAGE[a:b] for a, b in clean.highlight(PAGE, "boilerplate_lines")] == [
        "로그인 | 회원가입\n",
        "\nⓒ 예시일보, 무단전재 및 재배포 금지",
    ]
    assert [PAGE[a:b] for a, b in clean.highlight(PAGE, "repaired_lines")][-1] == "¾È³çÇÏ¼¼¿ä"
    assert len(clean.highlight(PAGE, "edits")) == measured(clean, [PAGE])[0]["edits"]
    assert clean.highlight("a 占쏙옙", "damaged_share") == [(2, 5)]
    with pytest.raises(StageError, match="clean: no signal 'edit'; nearest: 'edits'"):
        clean.highlight(PAGE, "edit")


LONG = "\n".join(["머리글", *(f"{i}번째 문장은 이렇게 길게 씁니다." for i in range(6))])


def test_programs_are_joined_by_document(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    made = [("remove_lines(0, 0)", 0), ("drop_doc()", 1), (["keep_doc()"], 2), ("oops()\noops()", 3), (None, 5)]
    lines.write_text("\n".join(json.dumps({"id": f"{i:032x}", "program": program}) for program, i in made))
    table = tmp_path / "b.parquet"
    pq.write_table(pa.table({"id": [f"{6:032x}"], "program": [["remove_lines(0, 99)"]]}), table)
    clean = stage(programs=[str(lines), str(table)])
    artifacts = clean.artifacts()
    assert [len(artifact.digest) for artifact in artifacts] == [64, 64]
    rows = measured(pickle.loads(pickle.dumps(clean)), [LONG] * 7)
    assert [row["program"] for row in rows] == ["edited", "dropped", "kept", "refused", "none", "none", "dropped"]
    assert [row["bad_operations"] for row in rows] == [0, 0, 0, 2, 0, 0, 1]
    assert rows[0]["after"] == LONG.removeprefix("머리글\n")
    assert all(row["after"] == LONG for row in rows[1:])
    assert clean.clauses()["program"] == "program != 'dropped'"
    planned = {artifact.name: artifact.digest for artifact in artifacts}
    lines.write_text("")
    with pytest.raises(StageError, match=r"'1:a\.jsonl' changed during the run: planned with sha256"):
        opened(clean, planned)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("none.jsonl", None, "programs '.*none.jsonl': No such file"),
        ("a.txt", "", "expected a .jsonl or .parquet file"),
        ("b.jsonl", "{}", "line 1: expected an object with `id` and `program`"),
        ("c.jsonl", "{", "line 1: not JSON"),
        ("d.jsonl", '{"id": "1", "program": 3}', "line 1: expected `program` to be a text or a list of texts, got 3"),
        (
            "e.jsonl",
            '{"id": "1", "program": ""}\n{"id": "1", "program": ""}',
            "line 2: document '1' has a program already",
        ),
        ("f.parquet", "no", "not Parquet"),
    ],
)
def test_files_of_programs_that_cannot_be_used_are_refused(
    tmp_path: Path, name: str, content: str | None, complaint: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(StageError, match=f"clean: .*{complaint}"):
        stage(programs=str(path)).artifacts()
