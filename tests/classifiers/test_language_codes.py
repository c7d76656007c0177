"""What models and users call a language is one code."""

from __future__ import annotations

import pytest

from winnow.classifiers.language_id import CODES, LANGUAGE_NAMES, code_of_name, language_code


@pytest.mark.parametrize(
    ("code", "labels"),
    [
        ("ko", ["ko", "kor", "kor_Hang", "__label__ko", "__label__kor_Hang", "KO", "ko-KR"]),
        ("zh", ["zh", "zho", "zho_Hans", "cmn_Hani", "chi", "__label__zh", "zh-TW"]),
        ("ar", ["ar", "ara", "arb_Arab"]),
        ("et", ["et", "est", "ekk_Latn"]),
        ("fa", ["fa", "fas", "pes_Arab", "per"]),
        ("no", ["no", "nor", "nob_Latn", "nb"]),
        ("sq", ["sq", "sqi", "als_Latn"]),
        ("gsw", ["gsw", "__label__als"]),
        ("ceb", ["ceb", "ceb_Latn"]),
        ("en", ["en", "eng", "eng_Latn", "__label__en"]),
        ("ja", ["ja", "jpn", "jpn_Jpan"]),
    ],
)
def test_names_of_one_language_are_one_code(code: str, labels: list[str]) -> None:
    assert {language_code(label) for label in labels} == {code}


def test_the_table_is_sound() -> None:
    targets = set(CODES.values())
    assert all(len(code) == 2 for code in targets)
    assert all(language_code(code) == code for code in targets)
    assert set(LANGUAGE_NAMES.values()) <= targets


@pytest.mark.parametrize(
    ("name", "code"), [("turkish", "tr"), ("Korean", "ko"), ("korian", "ko"), ("scottish gaelic", "gd"), ("qaa", None)]
)
def test_the_name_of_a_language_leads_to_its_code(name: str, code: str | None) -> None:
    assert code_of_name(name) == code
