"""Every language pack is sound: its clauses read signals that exist, its lists hold what the kernels can match, and it
keeps good text of its language and drops junk. A pack of one's own is checked as strictly, mistake by mistake."""

from __future__ import annotations

import html
import re
import tarfile
import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import yaml

from winnow.filters.languages import (
    FOLDER,
    BadLanguagePack,
    LanguagePack,
    UnknownLanguage,
    UnknownUnit,
    language_pack,
    languages,
)
from winnow.filters.pack_check import bound_problem, problems, sound_pack
from winnow.filters.rules.lexicon import key
from winnow.filters.rules.table import MEASURES, measure
from winnow.filters.script import RANGES

GOOD = yaml.safe_load(Path(__file__).with_name("good_texts.yaml").read_text("utf-8"))
GENRES = yaml.safe_load(Path(__file__).with_name("genres.yaml").read_text("utf-8"))
FILES = {
    "ar": "arb",
    "de": "deu_1996",
    "en": "eng",
    "es": "spa",
    "fr": "fra",
    "hi": "hin",
    "it": "ita",
    "ja": "jpn",
    "ko": "kor",
    "nl": "nld",
    "pl": "pol",
    "pt": "por_PT",
    "ru": "rus",
    "th": "tha",
    "vi": "vie",
    "zh": "cmn_hans",
}
UNITS = [(code, unit) for code in languages() for unit in (language_pack(code).word_unit, *language_pack(code).units)]


@pytest.mark.parametrize("code", languages())
def test_a_shipped_pack_has_no_problems(code):
    assert problems(language_pack(code)) == []
    assert language_pack(str(FOLDER / f"{code}.yaml")) == language_pack(code)


@pytest.mark.parametrize(("code", "unit"), UNITS)
def test_clauses_are_simple_comparisons_of_known_signals(code, unit):
    empty = pl.DataFrame({m.name: [1.0] for m in MEASURES})
    clauses = language_pack(code).rules(unit).clauses
    names = [clause for group in clauses.values() for clause in group]
    assert len(names) == len(set(names))
    for group in clauses.values():
        for expression in group.values():
            signal, operator, literal = expression.split()
            assert signal in empty.columns and operator in ("<=", ">=")
            assert float(literal) >= 0
            assert empty.select(pl.sql_expr(expression)).to_series().dtype == pl.Boolean


@pytest.mark.parametrize(("code", "unit"), UNITS)
def test_shares_are_bounded_within_what_a_share_can_be(code, unit):
    shares = {m.name for m in MEASURES if m.unit == "share"}
    for group in language_pack(code).rules(unit).clauses.values():
        for expression in group.values():
            signal, _, literal = expression.split()
            assert signal not in shares or 0 < float(literal) < 1


@pytest.mark.parametrize("code", languages())
def test_words_are_composed_and_without_white_space(code):
    pack = language_pack(code)
    units = [pack.rules(), *pack.units.values()]
    stop_words = [word for rules in units for word in rules.stop_words]
    for word in (*stop_words, *pack.endings, *pack.sentence_endings):
        assert word == unicodedata.normalize("NFC", word) and word == "".join(word.split()).lower()
    for word in pack.bad_words:
        assert word == unicodedata.normalize("NFC", word) and word == " ".join(word.split()).lower()


@pytest.mark.parametrize("code", languages())
def test_a_pack_says_what_it_is_and_where_it_is_from(code):
    pack = language_pack(code)
    assert pack.code == code and pack.provenance.endswith(".")
    assert not pack.own_script or pack.script in RANGES
    assert all(unicodedata.category(mark)[0] == "P" for mark in pack.terminal_punctuation)
    assert code in ("en", "ko") or pack.calibration


def test_thai_asks_for_no_punctuation():
    measured = {e.split()[0] for group in language_pack("th").clauses.values() for e in group.values()}
    assert "line_punctuation" not in measured and "sentence_end_share" not in measured


def dropped_by(text: str, pack: LanguagePack, unit: str) -> list[str]:
    """The clauses that drop a text, in one word unit."""
    if unit == "morpheme" and not find_spec("kiwipiepy"):
        pytest.skip("kiwipiepy is not installed")
    frame = pl.from_arrow(measure(pa.array([unicodedata.normalize("NFC", text)], pa.large_string()), pack, unit))
    assert isinstance(frame, pl.DataFrame)
    groups = pack.rules(unit).clauses
    usual = [name for name in pack.default_packs if name in groups] or list(groups)
    clauses = {name: e for group in usual for name, e in groups[group].items()}
    return [name for name, e in clauses.items() if not frame.select(pl.sql_expr(e)).item()]


@cache
def declaration(code: str, archive: Path) -> str:
    """The Universal Declaration of Human Rights, a line for each title and paragraph."""
    with tarfile.open(archive) as stored:
        member = stored.extractfile(f"udhr/udhr_{FILES[code]}.xml")
        assert member is not None
        found = re.findall(r"<(?:para|title)[^>]*>(.*?)</(?:para|title)>", member.read().decode(), re.DOTALL)
    return "\n".join(html.unescape(re.sub(r"<[^>]+>", "", line)).strip() for line in found)


@pytest.mark.parametrize(("code", "unit"), UNITS)
def test_a_pack_keeps_the_declaration_of_human_rights(code, unit, data):
    assert dropped_by(declaration(code, data / "lid-udhr" / "udhr.tar.gz"), language_pack(code), unit) == []


@pytest.mark.parametrize(("code", "unit"), UNITS)
def test_a_pack_keeps_a_paragraph_of_prose(code, unit):
    assert dropped_by(GOOD[code], language_pack(code), unit) == []


@pytest.mark.parametrize(("code", "title"), [(code, title) for code, texts in GENRES.items() for title in texts])
def test_a_pack_keeps_verse_songs_speech_and_manuals(code, title):
    pack = language_pack(code)
    assert dropped_by(GENRES[code][title], pack, pack.word_unit) == []


@pytest.mark.parametrize(("code", "unit"), UNITS)
def test_a_pack_drops_junk(code, unit):
    pack = language_pack(code)
    line = GOOD[code].split("\n")[0]
    assert "duplicate_lines" in dropped_by("\n".join([line] * 12), pack, unit)
    assert "duplicate_10grams" in dropped_by(" ".join([line] * 12), pack, unit)
    assert "few_alphabetic_words" in dropped_by("--- 12 :: 3,50 | ** 77 >> 4.9 ~ $ 8 % == 6 # " * 20, pack, unit)
    assert "too_short" in dropped_by(line[: len(line) // 3], pack, unit)
    assert "few_stop_words" in dropped_by("Qwzx Vbnm Ghjk Tyuz Plöx " * 20, pack, unit)
    assert "list" in dropped_by(
        "\n".join(GOOD[code].replace("\n", " ")[i : i + 4] for i in range(0, 150, 4)), pack, unit
    )


def test_korean_by_any_of_its_codes():
    assert language_pack("kor_Hang") == language_pack("kor") == language_pack("ko")
    with pytest.raises(UnknownLanguage, match="ko"):
        language_pack("kr")


def test_thresholds_are_refused_in_another_unit():
    pack = language_pack("ko")
    assert pack.rules() == pack.rules("whitespace") and pack.rules().clauses == pack.clauses
    assert "했" in pack.rules("morpheme").stop_words
    with pytest.raises(UnknownUnit, match=r"'segment'.*'whitespace' and 'morpheme'"):
        pack.rules("segment")


def test_a_unit_without_thresholds_names_the_pack_s_own_first():
    with pytest.raises(UnknownUnit, match=r"expected word_unit: whitespace or segment$"):
        language_pack("en").rules("morpheme")


def own(tmp_path: Path, *changes: tuple[str, str], more: str = "") -> str:
    """A pack file like the English one, changed."""
    text = (FOLDER / "en.yaml").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "xx.yaml"
    path.write_text(text + more, "utf-8")
    return str(path)


def test_a_pack_of_one_s_own_is_opened_by_path_and_read_anew(tmp_path, monkeypatch):
    path = own(tmp_path, ("code: en", "code: xx"))
    assert sound_pack(path).code == "xx"
    own(tmp_path, ("code: en", "code: yy"))
    assert sound_pack(path).code == "yy"
    monkeypatch.chdir(tmp_path)
    assert sound_pack("xx.yaml").code == "yy"
    assert "xx" not in languages()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("stop_words: &", "stop_word: &", "unknown key 'stop_word': expected one of code, .*; nearest: 'stop_words'"),
        ("script: Latn", "", "no key 'script': expected one"),
        ("provenance: ", "# ", "no key 'provenance': expected one"),
        ("word_unit: whitespace", "word_unit: spaces", "word_unit: expected one of whitespace, character, segment"),
        ("  segment:", "  segments:", "units.segments: expected one of whitespace.*nearest: 'segment'"),
        ("  segment:", "  morpheme:", "'morpheme' is for Korean"),
        ("  segment:", "  whitespace:", "units.whitespace: the pack's own word_unit"),
        ("  segment:", "  character:", "'the' is longer than the words of unit 'character'"),
        ("[the,", "[false,", r"stop_words.0: expected text, got false; write the word in quotes"),
        ("[the,", "[The,", "stop_words: 'The' matches nothing: expected lower case"),
        ("language_score: 0.65", "language_score: 1.5", "language_score: input should be less than 1, got '1.5'"),
        ("code: en", "code: English", "code: string should match"),
        ("mean_word_length <= 10", "mean_word_length <= 3141", "no mean_word_length reaches 3141.*at most 50"),
        ("dup_lines <= 0.5", "dup_lines <= 1.32", "dup_lines is a share: expected a bound between 0 and 1.*got 1.32"),
        ("lettered_words >= 0.8", "lettered_words >= 0", "lettered_words is a share"),
        ("spare_lines <=", "spare_line <=", "no signal 'spare_line'; nearest: 'spare_lines'"),
        ("default_packs: [gopher,", "default_packs: [gofer,", "no rule pack 'gofer', which default_packs names"),
        ("name: English", "name: English\nname: French", "the key 'name' twice"),
        ("hashtag_ratio <= 0.1", "hashtag_ratio", "gopher.hashes: expected a signal, one of <= >= < > and a number"),
    ],
)
def test_each_mistake_in_a_pack_is_one_sentence_with_its_file(tmp_path, old, new, sentence):
    path = own(tmp_path, (old, new))
    with pytest.raises(BadLanguagePack, match=sentence) as error:
        sound_pack(path)
    assert all(line.startswith(path) for line in str(error.value).splitlines())


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"[1, 2]", "got list"), (b"a: [", "not valid YAML"), (b"\xff", "UTF-8")]
)
def test_what_is_no_pack_is_refused(tmp_path, content, sentence):
    path = tmp_path / "xx.yaml"
    path.write_bytes(content)
    with pytest.raises(UnknownLanguage, match=sentence):
        sound_pack(str(path))


def test_a_pack_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownLanguage, match=re.escape(f"'packs/xx.yaml' (from {tmp_path}): No such file")):
        sound_pack("packs/xx.yaml")
    with pytest.raises(UnknownLanguage, match="No such file"):
        sound_pack(str(tmp_path / "xx.yaml"))
    with pytest.raises(UnknownLanguage, match="or the path of a pack's file"):
        language_pack("tr")


def test_bounds_that_mean_something():
    assert bound_problem("dup_lines", "share", 0.3) is None
    assert bound_problem("word_count", "count", 100_000) is None
    assert bound_problem("mtld", "ratio", 40) is None
    assert "share" in (bound_problem("dup_lines", "share", 1.0) or "")
    assert "reaches" in (bound_problem("newline_ratio", "ratio", 100) or "")


def test_keys_fold_capitals():
    assert key("THE") == key("the") != key("thé")
    assert key("МИР") == key("мир")


def test_stop_words_are_read_as_they_are_written(tmp_path: Path) -> None:
    """YAML 1.1 takes `no` and `on` for truth values, and Norwegian and Spanish have them."""
    text = (FOLDER / "es.yaml").read_text("utf-8")
    path = tmp_path / "no.yaml"
    pack = yaml.safe_load(text) | {"code": "no", "iso639_3": "nor", "stop_words": ["STOP"]}
    path.write_text(yaml.safe_dump(pack).replace("- STOP", "- no\n- on\n- y\n- 12").replace("'no'", "no"), "utf-8")
    read = sound_pack(str(path))
    assert read.code == "no" and read.stop_words == ("no", "on", "y", "12")
