"""No text makes a measuring stage fail, and no measurement depends on the company that a document keeps in its batch."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from winnow.filters.edits import apply, edits
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED
from winnow.stages.opening import opened
from winnow.stages.registry import find, names

SETTINGS = {
    "fasttext": [{"model": "ko-quality"}],
    "kenlm": [
        {"model": str(Path(__file__).with_name("tiny.arpa")), "unit": unit, "normalize": normalize}
        for unit, normalize in (("word", "none"), ("character", "ccnet"), ("syllable", "fold"))
    ],
    "tokenize": [{"tokenizer": "ko-bpe"}],
    **{kind: [] for kind in ("importance", "linear", "lm_loss", "prior", "transformer")},
    "mixture": [],
    "datatrove": [],
    "function": [{"function": "tests.stages.plain_functions:long_enough"}],
    "rules": [{}, {"word_unit": "character", "packs": []}, {"word_unit": "segment", "packs": []}],
}
"""What a kind must be told; kinds that are not named here need nothing. Of the kinds without settings none ships a model,
`mixture` has no per-document part, and what a filter of datatrove takes is not ours."""

WORDS = [
    "안녕하세요.",
    "오늘의",
    "News",
    "날씨는",
    "https://example.com/a?b=1",
    "2024-01-02",
    "ㅋㅋㅋ",
    "가격:",
    "10,000원",
    "日本語",
    "ภาษาไทย",
    "the",
    "و",
    "السلام",
    "🙂",
    "#",
    "...",
    "-",
    "[1]",
]

HARD = {
    "empty": "",
    "white space": " \n\t\u3000\u2028 \n",
    "NUL": "\0\0가\0나\0\n\0",
    "emoji": "👩‍👩‍👧‍👦🇰🇷🙂🙃" * 50,
    "right to left": "مرحبا بالعالم \u202eabc\u202c שלום עולם. " * 20,
    "combining marks": "e" + "\u0301" * 2000,
    "jamo": "ㅋㅋㅋㅋ ㅠㅠ " * 100 + "".join(map(chr, range(0x1100, 0x1120))),
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x85\xa0\ufeff\u200b\u200d",
    "noncharacters": "\ufffe\uffff\U0010ffff\ufffd",
    "one word": "가" * 5000,
    "one line": "가나다라 마바사 " * 3000,
    "lines": "\n" * 5000 + "끝",
    "brackets": "{[(<" * 500,
    "digits": "0" * 3000 + " 010-1234-5678 " * 50,
    "dots and at": "a@" * 500 + "." * 3000,
    "markup": "<script>alert(1)</script>" * 40,
}


def batch(texts):
    columns = {
        "id": [f"{i:032x}" for i in range(len(texts))],
        "url": [None if i % 3 == 0 else f"http://host{i % 2}.example.kr/a/{i}?q=1" for i in range(len(texts))],
        "date": [None if i % 4 == 0 else "2024-05-06T07:08:09Z" for i in range(len(texts))],
        "source": ["test"] * len(texts),
        "title": [None if i % 2 else "제목" for i in range(len(texts))],
        "text": texts,
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA)


def stages():
    for kind in names("stages"):
        cls = find("stages", kind)
        if cls.sees in ("documents", "corpus"):
            for settings in SETTINGS.get(kind, [{}]):
                yield pytest.param((cls, settings), id="-".join([kind, *map(str, settings.values())]))


@pytest.fixture(params=stages())
def stage(request):
    cls, settings = request.param
    return cls(name="it", settings=cls.Settings(**settings), pack=language_pack("ko"))


def ordinary(count):
    rng = random.Random(3)
    return [
        "\n".join(" ".join(rng.choices(WORDS, k=rng.randint(1, 12))) for _ in range(rng.randint(0, 9)))
        for _ in range(count)
    ]


def rows(stage, documents):
    found = opened(stage).measure(documents)
    assert found.num_rows == documents.num_rows
    declared = {**stage.measured_signals(), **stage.hidden()}
    assert {name: found.schema.field(name).type for name in declared} == declared
    return found.to_pylist()


def same(a, b):
    return all(
        x == y or (isinstance(x, float) and np.isnan(x) and np.isnan(y))
        for x, y in zip(a.values(), b.values(), strict=True)
    )


def test_hard_texts_are_measured(stage):
    documents = batch(list(HARD.values()))
    for name, text, row in zip(HARD, HARD.values(), rows(stage, documents), strict=True):
        assert row.get("error") is None, name
        for signal, value in row.items():
            assert not isinstance(value, float) or np.isfinite(value), (name, signal)
        if stage.outputs.edits and stage.sees == "documents":
            apply(text, edits(row[EDITED]))


def test_a_row_does_not_depend_on_its_batch(stage):
    documents = batch([*HARD.values(), *ordinary(40)])
    order = list(range(documents.num_rows))
    random.Random(5).shuffle(order)
    whole = rows(stage, documents)
    for row, at in zip(rows(stage, documents.take(pa.array(order))), order, strict=True):
        assert same(row, whole[at])
    for start in range(0, documents.num_rows, 11):
        piece = documents.slice(start, 11)
        assert all(map(same, rows(stage, piece), whole[start : start + 11]))
    assert rows(stage, documents.slice(0, 0)) == []


@pytest.mark.parametrize("shape", ["prose", "one line", "one word", "digits"])
def test_a_text_of_millions_of_characters(stage, shape):
    text = {
        "prose": "\n".join([" ".join(WORDS)] * 60_000)[:5_000_000],  # ten megabytes; the others two to four
        "one line": " ".join(WORDS * 20_000),
        "one word": "가나" * 700_000,
        "digits": "12-3456 7890, " * 150_000,
    }[shape]
    (row,) = rows(stage, batch([text]))
    assert row.get("error") is None
