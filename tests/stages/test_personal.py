"""The `personal` stage: columns, masks in texts and titles, failed rows, settings."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.filters.edits import apply, apply_column, edits
from winnow.filters.languages import language_pack
from winnow.filters.personal.found import KINDS
from winnow.pipelines.results.publish.card import PERSONAL
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED, RETITLED, StageError
from winnow.stages.personal import KIND

TEXT = "담당 홍가람 010-2345-6789, hong@naru.kr. 사업자등록번호 220-81-62517, 서울시 마포구 물결로 12"


def stage(language="ko", **chosen):
    return KIND(name="personal", settings=KIND.Settings(**chosen), pack=language_pack(language))


def documents(texts, titles=None):
    columns = {
        "id": [f"{i:032x}" for i in range(len(texts))],
        "url": [None] * len(texts),
        "date": [None] * len(texts),
        "source": ["test"] * len(texts),
        "title": titles or [None] * len(texts),
        "text": texts,
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA)


def test_measures_what_it_declares():
    personal = stage()
    batch = personal.measure(documents([TEXT, "", "아무 값도 없는 글"]))
    declared = {**personal.signals(), **personal.hidden(), "error": pa.string()}
    assert dict(zip(batch.schema.names, batch.schema.types, strict=True)) == declared
    first, *others = batch.to_pylist()
    assert {k: v for k, v in first.items() if k in KINDS and v} == {
        "emails": 1,
        "phones": 1,
        "business_numbers": 1,
        "addresses": 1,
    }
    assert first["masked"] == 2 and first["masked_share"] == (13 + 12) / len(TEXT)
    assert all(other["masked"] == 0 and not other[EDITED] for other in others)
    assert personal.clauses() == {} and PERSONAL.search(personal.kind)
    assert pickle.loads(pickle.dumps(personal)) == personal


def test_masks_texts_and_titles_with_one_numbering():
    batch = stage(numbered=True).measure(documents([TEXT], ["hong@naru.kr, kim@naru.kr 문의"]))
    row = batch.to_pylist()[0]
    masked = apply(TEXT, edits(row[EDITED]))
    assert masked == "담당 홍가람 [PHONE_1], [EMAIL_1]. 사업자등록번호 220-81-62517, 서울시 마포구 물결로 12"
    assert row[RETITLED] == "[EMAIL_1], [EMAIL_2] 문의" and row["emails"] == 1
    assert [e.rule for e in edits(row[EDITED])] == ["personal.phones", "personal.emails"]
    assert stage(titles=False).measure(documents(["글"], ["hong@naru.kr"])).to_pylist()[0][RETITLED] is None


def test_what_is_masked_is_chosen():
    chosen = stage(mask=["business_numbers", "addresses"], count=["emails", "addresses"])
    row = chosen.measure(documents([TEXT])).to_pylist()[0]
    assert "phones" not in chosen.signals() and row["emails"] == 1 and row["addresses"] == 1
    assert apply(TEXT, edits(row[EDITED])).endswith("사업자등록번호 [BUSINESS_NUMBER], [ADDRESS]")
    fixed = stage(style="fixed").measure(documents([TEXT])).to_pylist()[0]
    assert "010-0000-0000, email@example.com." in apply(TEXT, edits(fixed[EDITED]))


def test_the_region_is_the_languages_unless_given():
    text = documents(["Call (415) 482-7193 today, oder 030 4827193."])
    count = {
        (language, region): stage(language, region=region).measure(text).to_pylist()[0]["phones"]
        for language, region in (("en", None), ("ko", None), ("ko", "US"), ("en", "DE"))
    }
    assert count == {("en", None): 1, ("ko", None): 0, ("ko", "US"): 1, ("en", "DE"): 1}


def test_highlights():
    personal = stage()
    assert [TEXT[a:b] for a, b in personal.highlight(TEXT, "emails")] == ["hong@naru.kr"]
    assert [TEXT[a:b] for a, b in personal.highlight(TEXT, "business_numbers")] == ["220-81-62517"]
    assert [TEXT[a:b] for a, b in personal.highlight(TEXT, "masked_share")] == ["010-2345-6789", "hong@naru.kr"]
    with pytest.raises(StageError, match="nearest: 'phones'"):
        personal.highlight(TEXT, "phone")


def test_settings_are_refused_in_one_sentence():
    with pytest.raises(ValidationError, match=r"no region 'kr'.*nearest: 'KR'"):
        KIND.Settings(region="kr")
    with pytest.raises(ValidationError, match="expected style: typed"):
        KIND.Settings(style="fixed", numbered=True)
    with pytest.raises(ValidationError):
        KIND.Settings(mask=["phone"])


def test_the_region_of_a_language_is_nearest_to_its_code():
    for region, nearest in (("KO", "KR"), ("ja", "JP"), ("kr", "KR"), ("en", "US")):
        with pytest.raises(ValidationError) as error:
            KIND.Settings(region=region)
        (mistake,) = error.value.errors()
        assert mistake["msg"] == (
            f"no region '{region}': expected two capital letters of ISO 3166, such as KR; nearest: '{nearest}'"
        )


def test_a_kind_is_masked_beside_the_default_ones():
    row = stage(also_mask="business_numbers").measure(documents([TEXT])).to_pylist()[0]
    masked = apply(TEXT, edits(row[EDITED]))
    assert masked == "담당 홍가람 [PHONE], [EMAIL]. 사업자등록번호 [BUSINESS_NUMBER], 서울시 마포구 물결로 12"
    (span,) = stage(also_mask=["addresses"], mask=()).highlight(TEXT, "masked")
    assert TEXT[slice(*span)] == "서울시 마포구 물결로 12"
    one = stage(mask="emails", count="phones")
    row = one.measure(documents([TEXT])).to_pylist()[0]
    assert "[EMAIL]" in apply(TEXT, edits(row[EDITED])) and row["masked"] == 1 and row["phones"] == 1
    assert "emails" not in one.signals()


def test_a_row_that_is_no_text_fails_alone():
    rows = [b"hong@naru.kr", b"hong@naru.kr \xed\xa0\x80", b"\xff\xfe"]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    texts = pa.LargeStringArray.from_buffers(3, pa.py_buffer(offsets), pa.py_buffer(b"".join(rows)))
    batch = documents(["", "", ""])
    batch = batch.set_column(batch.schema.get_field_index("text"), DOCUMENT_SCHEMA.field("text"), texts)
    good, bad, other = stage().measure(batch).to_pylist()
    assert good["emails"] == 1 and good["error"] is None and other["error"] is None
    assert "not valid UTF-8 at byte" in bad["error"] and bad["emails"] is None and bad["masked_share"] is None


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["010-2345-6789", "hong@naru.kr", " ", "\n", "계좌 ", "110-123-456789", "가나", "😀", "\0", "٣"]
            )
        ).map("".join),
        max_size=6,
    ),
    st.integers(0, 6),
)
def test_batches_do_not_matter_and_masking_again_changes_nothing(texts, cut):
    personal = stage()
    whole = personal.measure(documents(texts))
    parts = [personal.measure(documents(part)) for part in (texts[:cut], texts[cut:])]
    assert pa.Table.from_batches(parts).to_pylist() == whole.to_pylist()
    masked = apply_column(documents(texts).column("text"), whole.column(EDITED))
    again = personal.measure(documents(masked.to_pylist()))
    assert sum(again.column("masked").to_pylist()) == 0
