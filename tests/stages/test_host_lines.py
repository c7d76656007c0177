"""Lines that a host repeats: what a plain count in Python says, whatever the partitions, buckets and batches."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.filters.edits import apply_column
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED
from winnow.stages.host_lines import HostLines
from winnow.stages.opening import opened

Document = tuple[str | None, str]  # URL, text


@dataclass(frozen=True)
class MemoryPart:
    index: int
    table: pa.Table

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def read(self, columns: Sequence[str]) -> pa.Table:
        return self.table.select(list(columns))


def stage(**chosen: Any) -> HostLines:
    return HostLines(name="lines", settings=HostLines.Settings(**chosen), pack=language_pack("ko"))


def batch(documents: Sequence[Document], first: int = 0) -> pa.RecordBatch:
    count = len(documents)
    columns: dict[str, list[Any]] = {
        "id": [f"{first + i:032x}" for i in range(count)],
        "url": [url for url, _ in documents],
        "date": [None] * count,
        "source": ["test"] * count,
        "title": [None] * count,
        "text": [text for _, text in documents],
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA)


def cleaned(lines: HostLines, groups: Sequence[Sequence[Document]], buckets: int = 1) -> list[tuple[str, int]]:
    """Text after the edits and number of removed lines of every document."""
    parts, texts, first = [], [], 0
    for index, group in enumerate(groups):
        documents = batch(group, first)
        first += len(group)
        measured = opened(lines).measure(documents)
        assert {name: measured.schema.field(name).type for name in lines.hidden()} == lines.hidden()
        parts.append(
            MemoryPart(
                index,
                pa.table(
                    {"id": documents.column("id")} | dict(zip(measured.schema.names, measured.columns, strict=True))
                ),
            )
        )
        texts.append(documents.column("text"))
    tables = (
        [opened(lines).exchange(bucket, buckets, parts) for bucket in range(buckets)] if lines.buckets(first) else []
    )
    found = []
    for text, reduced in zip(texts, opened(lines).reduce(parts, tables), strict=True):
        reduced.validate(full=True)
        found += zip(
            apply_column(text, reduced.column(EDITED)).to_pylist(),
            reduced.column("repeated_lines").to_pylist(),
            strict=True,
        )
    return found


def expected(documents: Sequence[Document], least: int, share: float, keep_first: bool) -> list[tuple[str, int]]:
    hosts = [(url or "").split("/")[2] if url else None for url, _ in documents]
    seen: dict[tuple[str, str], list[int]] = defaultdict(list)
    sizes = Counter(hosts)
    for number, (host, (_, text)) in enumerate(zip(hosts, documents, strict=True)):
        for line in {line.strip() for line in text.split("\n")} if host else ():
            seen[host or "", line].append(number)
    result = []
    for number, (host, (_, text)) in enumerate(zip(hosts, documents, strict=True)):
        kept = []
        for line in text.split("\n"):
            those = seen.get((host or "", line.strip()), [])
            repeated = len(line.strip()) >= 2 and len(those) >= max(least, share * sizes[host])
            if not repeated or (keep_first and those[0] == number):
                kept.append(line)
        result.append(("\n".join(kept), len(text.split("\n")) - len(kept)))
    return result


LINES = st.lists(
    st.sampled_from(["메뉴 목록", "홈 > 뉴스", "본문입니다.", " 본문입니다. ", "", "a", "전혀 다른 줄"]), max_size=6
)
DOCUMENTS = st.tuples(st.sampled_from([None, "https://a.kr/1", "https://b.kr/2"]), LINES.map("\n".join))


@settings(max_examples=80)
@given(
    st.lists(DOCUMENTS, min_size=2, max_size=12),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.5]),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 12),
)
def test_it_removes_what_a_plain_count_would(
    documents: list[Document], least: int, share: float, keep_first: bool, buckets: int, cut: int
) -> None:
    lines = stage(documents=least, share=share, keep_first=keep_first)
    assert cleaned(lines, [documents[:cut], documents[cut:]], buckets) == expected(documents, least, share, keep_first)


def test_a_menu_goes_and_what_is_said_once_stays() -> None:
    documents: list[Document] = [
        (f"HTTPS://User@News.Example.KR:443/{i}", f"로그인 | 회원가입\n기사 {i}의 본문입니다.\n저작권자 예시일보")
        for i in range(12)
    ]
    documents.append(("https://other.kr/", "로그인 | 회원가입\n다른 누리집"))
    found = cleaned(stage(), [documents])
    assert found[3] == ("기사 3의 본문입니다.", 2)
    assert found[-1] == ("로그인 | 회원가입\n다른 누리집", 0)


def test_the_document_with_the_smallest_id_keeps_the_line() -> None:
    documents: list[Document] = [("https://a.kr/", f"안내문입니다\n{i}번 글") for i in range(10)]
    found = cleaned(stage(keep_first=True), [documents[:4], documents[4:]])
    assert found[0][0] == "안내문입니다\n0번 글"
    assert all(text == f"{i}번 글" for i, (text, _) in enumerate(found) if i)


def test_lines_outside_the_lengths_are_not_counted() -> None:
    documents: list[Document] = [("https://a.kr/", "ab\nabcd\nabcdefgh")] * 10
    assert cleaned(stage(shortest=3, longest=5), [documents])[0] == ("ab\nabcdefgh", 1)


def test_hard_texts_pass() -> None:
    hard = [
        "",
        "\n",
        "\n\n\n",
        "\x00",
        "😀👨‍👩‍👧\n😀",
        "مرحبا\u200f\nשלום",
        "x" * 10_000_000,
        "줄\n" * 100_000,
        "끝\r\n끝",
    ]
    documents: list[Document] = [("https://a.kr/", text) for text in hard]
    assert [text for text, _ in cleaned(stage(), [documents, []])] == hard


def test_bytes_that_are_no_text_fail_alone() -> None:
    rows = batch([("https://a.kr/", "좋은 글"), ("https://a.kr/", "xxxx"), ("http://[bad/", "주소 없는 글")])
    broken = pa.array([b"\xec\xa2\x8b\xec\x9d\x80", b"x\xed\xa0\x80", b"y"], pa.large_binary())
    texts = pa.Array.from_buffers(pa.large_string(), 3, broken.buffers())
    measured = opened(stage()).measure(rows.set_column(5, "text", texts))
    errors = measured.column("error").to_pylist()
    assert errors[0] is None and errors[2] is None
    assert errors[1] == "the text is not valid UTF-8 at byte 1: invalid continuation byte"
    assert measured.column("_host").to_pylist()[1:] == [None, None]


def test_settings_that_fit_nothing_are_refused_and_a_stage_travels() -> None:
    with pytest.raises(ValidationError, match="shortest is 9 and longest 3: expected shortest <= longest"):
        HostLines.Settings(shortest=9, longest=3)
    lines = stage()
    assert pickle.loads(pickle.dumps(lines)).settings == lines.settings
    documents: list[Document] = [("https://a.kr/", "같은 줄")] * 10
    cleaned(lines, [documents])
    assert opened(lines).report() == {"distinct": 1, "removed": 10, "documents": 10}
