"""Charsets: real EUC-KR and mislabelled pages come out as Hangul, and other legacy charsets as themselves."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.charset import LIKELY, codec, declared, decode, disguised

KOREAN = "한국어로 쓴 문서입니다. 아파치 웹서버는 모든 주소에서 요청을 기다린다. 똠방각하와 펲시콜라."
FRENCH = "L'été dernier, nous avons mangé à la crêperie où l'hôtesse fêtait Noël."
RUSSIAN = "Это обычный русский текст, который нужен для проверки кодировки страницы."
JAPANESE = "日本語の文章をここに書いています。これは文字コードのテストです。"
CHINESE = "这是一个简体中文的测试文本，用来检查网页的字符编码是否正确。"


def page(text: str, encoding: str, meta: str | None = None) -> bytes:
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    body = f"<p>{text}</p>" * 5
    return f"<html><head>{head}<title>x</title></head><body>{body}</body></html>".encode(encoding)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        *((name, "cp949") for name in ("EUC-KR", "ks_c_5601-1987", "windows-949", "x-windows-949", "UHC")),
        ("johab", "johab"),
        ("ISO-2022-KR", "iso2022_kr"),
        ("gb2312", "gb18030"),
        ("Shift_JIS", "cp932"),
        ("iso-8859-1", "cp1252"),
        ("US-ASCII", "cp1252"),
        (" 'utf8' ", "utf-8"),
        ("no-such-charset", None),
        ("base64", None),
        ("", None),
    ],
)
def test_labels_mean_what_browsers_take_them_to_mean(label: str, expected: str | None) -> None:
    assert codec(label) == expected


@pytest.mark.parametrize(
    ("payload", "label"),
    [
        (b'<meta charset="euc-kr">', "euc-kr"),
        (b"<META HTTP-EQUIV='Content-Type' CONTENT='text/html; CHARSET=ks_c_5601-1987'>", "ks_c_5601-1987"),
        (b'<?xml version="1.0" encoding="EUC-KR"?>', "EUC-KR"),
        (b'<!-- <meta charset="utf-8"> --><meta charset=cp949>', "cp949"),
        (b" " * 5000 + b"<meta charset=cp949>", None),
        (b"", None),
    ],
)
def test_the_declaration_is_read_from_the_first_four_kilobytes(payload: bytes, label: str | None) -> None:
    assert declared(payload) == label


@pytest.mark.parametrize(
    ("encoding", "meta", "header", "charset"),
    [
        ("cp949", "euc-kr", None, "cp949"),
        ("cp949", None, "EUC-KR", "cp949"),
        ("cp949", "euc-kr", "UTF-8", "cp949"),
        ("cp949", "utf-8", "utf-8", "cp949"),
        ("cp949", "iso-8859-1", "iso-8859-1", "cp949"),
        ("cp949", "gb2312", None, "cp949"),
        ("cp949", None, None, "cp949"),
        ("utf-8", "euc-kr", "euc-kr", "utf-8"),
        ("utf-8", "iso-8859-1", None, "utf-8"),
        ("utf-8-sig", "euc-kr", None, "utf-8"),
        ("utf-16", "euc-kr", None, "utf-16-le"),
        ("utf-16-le", None, None, "utf-16-le"),
        ("utf-16-be", "utf-8", "utf-16", "utf-16-be"),
        ("utf-32-le", None, None, "utf-32-le"),
        ("johab", "johab", None, "johab"),
        ("iso2022_kr", "iso-2022-kr", None, "iso2022_kr"),
        ("iso2022_kr", None, None, "iso2022_kr"),
    ],
)
def test_korean_pages_come_out_as_hangul(encoding: str, meta: str | None, header: str | None, charset: str) -> None:
    text = KOREAN if encoding not in ("johab", "iso2022_kr") else KOREAN.replace("똠", "").replace("펲", "")
    done = decode(page(text, encoding, meta), header)
    assert done.charset == charset
    assert text in done.text


@pytest.mark.parametrize("declare", [True, False])
@pytest.mark.parametrize("likely", [None, "cp949"])
@pytest.mark.parametrize(
    ("text", "encoding", "label"),
    [
        (FRENCH, "cp1252", "iso-8859-1"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (JAPANESE, "cp932", "Shift_JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (CHINESE, "gb18030", "gb2312"),
        (CHINESE, "utf-8", "utf-8"),
    ],
)
def test_other_languages_are_not_bent_to_korean(
    text: str, encoding: str, label: str, likely: str | None, declare: bool
) -> None:
    assert text in decode(page(text, encoding, label if declare else None), None, likely).text


def test_damage_costs_characters_not_the_page() -> None:
    cut = page(KOREAN, "utf-8", "utf-8")[:-41]
    assert decode(cut).charset == "utf-8"
    dirty = page(KOREAN, "cp949", "euc-kr").replace(b"<p>", b"<p>\xff\x00", 1)
    done = decode(dirty, "euc-kr")
    assert done.charset == "cp949"
    assert KOREAN in done.text
    assert "\x00" not in done.text


@given(st.binary(max_size=4000), st.sampled_from([None, "utf-8", "euc-kr", "utf-16", "johab", "hz", "?"]))
def test_any_bytes_decode_to_text_that_utf8_can_carry(payload: bytes, header: str | None) -> None:
    done = decode(payload, header, LIKELY["Hang"])
    done.text.encode("utf-8", "strict" if not done.charset.startswith("utf-16") else "replace")
    disguised(payload)


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=20))
def test_utf8_hangul_survives_any_label(text: str) -> None:
    assert decode(text.encode(), "euc-kr").text == text


def test_pages_of_the_built_crawl_decode_as_their_truth_says(data: Path) -> None:
    from warcio.archiveiterator import ArchiveIterator

    folder = data / "warc-ko-built"
    with gzip.open(folder / "truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        truth = {row["uri"]: row for row in map(json.loads, lines)}
    seen: Counter[tuple[str, bool]] = Counter()
    with (folder / "ko-built.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            row = truth.get(record.rec_headers.get_header("WARC-Target-URI"))
            if record.rec_type != "response" or row is None or row["true_encoding"] == "-":
                continue
            payload = record.content_stream().read()
            if payload[:2] == b"\x1f\x8b":
                payload = zlib.decompress(payload, 31)
            content_type = record.http_headers.get_header("Content-Type") or ""
            header = re.search(r"charset=([\w-]+)", content_type)
            done = decode(payload, header[1] if header else None, "cp949")
            seen[row["case"], done.charset == row["true_encoding"]] += 1
    assert sum(seen.values()) > 500
    assert [case for (case, right) in seen if not right] == []


@pytest.mark.parametrize("declare", [True, False])
@pytest.mark.parametrize(
    ("folder", "charset", "least"),
    [
        ("EUC-KR", "cp949", 1.0),
        ("iso-2022-kr", "iso2022_kr", 1.0),
        ("utf-8", "utf-8", 1.0),
        ("SHIFT_JIS", "cp932", 1.0),
        ("Big5", "big5hkscs", 1.0),
        ("EUC-JP", "euc_jp", 0.95),
        ("GB2312", "gb18030", 0.95),
    ],
)
def test_real_legacy_feeds(folder: str, charset: str, least: float, declare: bool, data: Path) -> None:
    files = sorted((data / "robust-charset-chardet" / folder).iterdir())
    right = 0
    for file in files:
        payload = file.read_bytes()
        if not declare:
            payload = re.sub(rb"(?i)(charset|encoding)(\s*=)", rb"nothing\2", payload)
        right += decode(payload, None, "cp949").charset == charset
    assert right >= least * len(files)


def test_the_genuine_euckr_manual_decodes_without_loss(data: Path) -> None:
    files = sorted((data / "ko-html-apache-euckr" / "html").rglob("*.euc-kr"))
    assert len(files) > 10
    for file in files:
        done = decode(file.read_bytes(), "iso-8859-1")
        assert done.charset == "cp949", file.name
        assert "\ufffd" not in done.text
