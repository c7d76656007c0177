"""The `kenlm` stage: KenLM's own figures, CCNet's, units, buckets, differences, hard texts, and models that are not sound."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path

import kenlm
import pyarrow as pa
import pytest
from pydantic import ValidationError

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.kenlm_file import check_model
from winnow.classifiers.kenlm_fit import GroupedText, KenlmFit, fit_kenlm
from winnow.classifiers.kenlm_units import Splitter, Units
from winnow.filters.languages import language_pack
from winnow.stages.base import StageError
from winnow.stages.kenlm import KIND
from winnow.testing import check_stage, documents

TINY = Path(__file__).with_name("tiny.arpa")
SENTENCES = [
    f"{who} {when} {where} {what}"
    for who in ("나는", "그는", "우리는", "동생은")
    for when in ("아침마다", "어제", "2024년에", "비 오는 날")
    for where in ("학교에", "시장에", "바닷가에", "도서관에")
    for what in ("간다.", "갔다.", "가지 않았다!", "가려고 한다.")
]


def stage(model: Path | str, **more: object) -> KIND:
    return KIND(name="lm", settings=KIND.Settings(model=str(model), **more), pack=language_pack("ko"))


def measured(one: KIND, *texts: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = one.measure(documents(texts)).to_pylist()
    return rows


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of the same sentences, by unit."""
    folder = tmp_path_factory.mktemp("kenlm")
    found = {}
    for name, options in {
        "word": KenlmFit(order=3),
        "syllable": KenlmFit(order=4, unit="syllable", normalize="fold"),
        "shuffled": KenlmFit(order=4, unit="syllable", normalize="fold", shuffled=True),
        "ccnet": KenlmFit(order=3, unit="sentencepiece", normalize="ccnet", pieces=80),
    }.items():
        found[name] = folder / f"{name}.arpa.gz"
        fit_kenlm([GroupedText(text, text) for text in SENTENCES], options, found[name])
    return found


def test_perplexity_is_kenlm_s_own(fitted: dict[str, Path]) -> None:
    own = kenlm.Model(str(fitted["word"]))
    texts = [*SENTENCES[:40], "모르는 낱말뿐인 글", "나는　학교에", "a\tb\x0bc\u00a0d"]
    for row, text in zip(measured(stage(fitted["word"]), *texts), texts, strict=True):
        assert row["perplexity"] == pytest.approx(own.perplexity(text), rel=1e-6)
        assert row["log10"] == pytest.approx(own.score(text), rel=1e-6)
        assert row["bits_per_char"] == pytest.approx(-own.score(text) * math.log2(10) / len(text), rel=1e-6)


def test_every_line_is_a_sentence_and_blank_ones_are_none(fitted: dict[str, Path]) -> None:
    own = kenlm.Model(str(fitted["word"]))
    first, second = SENTENCES[0], SENTENCES[9]
    (row,) = measured(stage(fitted["word"]), f"\n{first}\n \n{second}\n")
    assert row["log10"] == pytest.approx(own.score(first) + own.score(second))
    assert row["units"] == len(first.split()) + len(second.split()) + 2


def test_ccnet_s_pairs_of_models_are_recognised_and_scored_as_ccnet_does(fitted: dict[str, Path]) -> None:
    """CCNet: text normalised, encoded by SentencePiece, all of it one sentence, the perplexity rounded to a decimal and
    compared with the cutoffs."""
    pieces = Splitter(
        Units(unit="sentencepiece", normalize="ccnet"),
        pytest.importorskip("sentencepiece").SentencePieceProcessor(
            model_file=str(fitted["ccnet"].with_name("ccnet.sp.model"))
        ),
    )
    own = kenlm.Model(str(fitted["ccnet"]))
    # What CCNet's normalisation makes of them, by hand.
    normal = {
        "나는 1999년에\n시장에  갔다。": "나는 0000년에시장에  갔다.",
        "“DÉJÀ” — …「인용」　①２": '"deja"  -  ..."인용"\u3000①0',
        "  그는\t어제\x07 간다.  ": "그는어제 간다.",
    }
    texts = [*normal, *SENTENCES[:20]]
    expected = []
    for text in texts:
        plain = unicodedata.normalize("NFD", normal.get(text, text.replace("2024", "0000")))
        found = pieces.pieces.encode_as_pieces(plain)
        expected.append(10.0 ** (-own.score(" ".join(found)) / (len(found) + 1)))
    beside = stage(fitted["ccnet"])
    assert [row["perplexity"] for row in measured(beside, *texts)] == pytest.approx(expected, rel=1e-6)
    cuts = sorted(round(value, 1) for value in expected)
    head, middle = cuts[len(cuts) // 3], cuts[2 * len(cuts) // 3]
    buckets = [row["bucket"] for row in measured(stage(fitted["ccnet"], cutoffs=(head, middle)), *texts)]
    wanted = ["head" if round(v, 1) < head else "middle" if round(v, 1) < middle else "tail" for v in expected]
    assert buckets == wanted
    assert set(buckets) == {"head", "middle", "tail"}


def test_a_model_without_a_sidecar_has_the_units_that_are_asked_for() -> None:
    own = kenlm.Model(str(TINY))
    (plain,) = measured(stage(TINY), "나는 학교에 간다")
    assert plain["perplexity"] == pytest.approx(own.perplexity("나는 학교에 간다"), rel=1e-6)
    (parted,) = measured(stage(TINY, unit="syllable", normalize="fold"), "나는 A2 간다")
    assert parted["log10"] == pytest.approx(own.score("▁나 는 ▁a 0 ▁간 다"))
    (characters,) = measured(stage(TINY, unit="character"), "나는 A2\t\t간다\n\n다")
    assert characters["units"] == len("나 는 ▁ A 2 ▁ 간 다 </s> 다 </s>".split())


def test_quantiles_are_those_of_the_sidecar(fitted: dict[str, Path]) -> None:
    rows = measured(
        stage(fitted["syllable"], quantiles=(0.3, 0.6)), *SENTENCES, "", "그림 파일 형식 변환 오류 0x80070057"
    )
    buckets = [row["bucket"] for row in rows]
    assert set(buckets[:-2]) >= {"head", "middle"}
    assert buckets[-2:] == [None, "tail"]
    with pytest.raises(StageError, match=r"tiny.arpa has no sidecar with percentiles: set `cutoffs`"):
        stage(TINY, quantiles=(0.3, 0.6)).artifacts()


def test_the_difference_tells_word_salad_from_sentences(fitted: dict[str, Path]) -> None:
    one = stage(fitted["syllable"], against=str(fitted["shuffled"]))
    good, salad = measured(one, "우리는 어제 도서관에 가지 않았다!", "않았다! 도서관에 가지 우리는 어제")
    assert good["difference"] > 0 > salad["difference"]
    assert one.highlight("우리는 어제 도서관에 갔다.\n갔다. 도서관에 어제 우리는", "difference") == [(16, 31)]


def test_the_contract_and_hard_texts(fitted: dict[str, Path]) -> None:
    for name in fitted:
        check_stage(stage(fitted[name], against=str(TINY), cutoffs=(10, 100)))
    hostile = ["", "\n \n", "\0\0", "\x01\x02\x7f", "<s> </s> <unk> <s>", "긴" * 350_000, "길고 " * 250_000, "🈚" * 9]
    rows = measured(stage(fitted["syllable"], quantiles=(0.3, 0.6)), *hostile)
    for row in rows[:3]:
        assert (row["log10"], row["units"], row["perplexity"], row["bucket"]) == (0.0, 0, None, None)
    assert all(isinstance(row["perplexity"], float) and math.isfinite(row["perplexity"]) for row in rows[4:])


def test_marks_of_a_sentence_in_a_text_and_a_nul_earn_nothing() -> None:
    marked, unknown, split = measured(stage(TINY), "<s> 나는 </s>", "<unk> 나는 <unk>", "나는\0학교에 간다")
    assert marked["log10"] == unknown["log10"]
    assert split["units"] == 4


def test_a_model_of_another_language_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    out = tmp_path / "en.arpa"
    texts = [GroupedText(f"one line of {n} words", str(n)) for n in range(9)]
    fit_kenlm(texts, KenlmFit(order=2, holdout=0, language="en"), out)
    with pytest.raises(StageError, match=r"is of language en, not ko: expected a model of ko, or `language: en`"):
        stage(out).artifacts()
    for meant in ("en", "eng", "any"):
        assert stage(out, language=meant).artifacts()


def test_part_of_a_document_may_be_read() -> None:
    whole, part = measured(stage(TINY, chars=2), "  나는", "나는 학교에 간다")
    assert whole == part


def test_lines_that_cost_more_than_the_rest_are_highlighted(fitted: dict[str, Path]) -> None:
    text = f"{SENTENCES[0]}\n갭 뫟 @@@ 쀍\n{SENTENCES[1]}"
    spans = stage(fitted["syllable"]).highlight(text, "perplexity")
    assert [text[start:end] for start, end in spans] == ["갭 뫟 @@@ 쀍"]
    with pytest.raises(StageError, match="no signal 'score': expected one of log10"):
        stage(TINY).highlight(text, "score")


def test_settings_that_contradict_each_other_are_refused() -> None:
    for more in ({"cutoffs": (5, 3)}, {"quantiles": (0.3, 0.995)}, {"cutoffs": (1, 2), "quantiles": (0.3, 0.6)}):
        with pytest.raises(ValidationError, match=r"buckets end|shares from|expected one of them"):
            stage(TINY, **more)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "is empty: expected an ARPA file or a KenLM binary"),
        (lambda text: "<html>", "is no KenLM model: expected"),
        (lambda text: text[:140], "is cut off or damaged: its head says 4 2-grams, it has"),
        (lambda text: text.replace("\\end\\", ""), "is cut off: it does not end in"),
        (lambda text: text.replace("ngram 2=4", "ngram 2=5000000000000"), "says 5,000,000,000,000 2-grams, it has 4"),
        (lambda text: text.replace("ngram 2", "ngram 3"), "has 'ngram 3=4': expected ngram 2=COUNT"),
        (
            lambda text: text[: text.index("\n\\2-")].replace("ngram 2=4\n", "") + "\n\\end\\\n",
            "is of order 1: expected 2 to 6",
        ),
        (lambda text: text.replace("\\2-grams", "\\3-grams"), "section .3-grams: is out of place: expected .2-grams:"),
        (lambda text: text.replace("-0.7\t", "nan\t"), "is no probability: expected finite numbers"),
        (lambda text: text.replace("\t-0.25", "\tNaN"), "is no probability: expected finite numbers"),
        (lambda text: text.replace("-0.7\t", "0.7\t"), "KenLM cannot load .*: Positive log probability"),
        (lambda text: text.replace("-0.3\t나는", "x\t나는"), "KenLM cannot load .*: Could not parse"),
        (lambda text: text.replace("나는 학교에\n", "나는 없다\n"), "was not seen in the unigrams"),
        (lambda text: text.replace("0\t<s>\t-0.3\n", "").replace("1=6", "1=5"), "is missing <s>"),
        (
            lambda text: (
                "\\data\\\nngram 1=3\nngram 2=0\n\n\\1-grams:\n-1\t<unk>\n0\t<s>\n-1\t</s>\n\n\\2-grams:\n\n\\end\\\n"
            ),
            "is an empty model",
        ),
    ],
)
def test_a_model_that_is_not_sound_is_one_sentence(change, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.arpa"
    path.write_text(change(TINY.read_text("utf-8")), "utf-8")
    one = stage(path)
    with pytest.raises(StageError, match=said) as raised:
        one.open(one.artifacts())
    assert "\n" not in str(raised.value)


def test_words_that_look_like_no_number_are_words(tmp_path: Path) -> None:
    path = tmp_path / "nan.arpa"
    path.write_text(TINY.read_text("utf-8").replace("학교에", "nan"), "utf-8")
    (row,) = measured(stage(path), "나는 nan 간다")
    assert row["log10"] == pytest.approx(-1.0)


def test_a_cut_archive_is_one_sentence(fitted: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.arpa.gz"
    path.write_bytes(fitted["word"].read_bytes()[:-40])
    with pytest.raises(StageError, match="is cut off or damaged"):
        stage(path).artifacts()


def test_what_belongs_to_a_model_must_be_there(
    fitted: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StageError, match=r"no SentencePiece model .*tiny.sp.model for tiny.arpa"):
        stage(TINY, unit="sentencepiece").artifacts()
    (tmp_path / "x.sp.model").write_bytes(b"no model")
    with pytest.raises(StageError, match=r"x.sp.model is no SentencePiece model"):
        one = stage(TINY, pieces=str(tmp_path / "x.sp.model"))
        one.open(one.artifacts())
    with pytest.raises(StageError, match=r"model file '/nowhere/a.arpa' does not exist"):
        stage("/nowhere/a.arpa").artifacts()
    other = tmp_path / "word.arpa.gz"
    other.write_bytes(fitted["syllable"].read_bytes())
    (tmp_path / "word.json").write_bytes(fitted["word"].with_name("word.json").read_bytes())
    with pytest.raises(StageError, match="belongs to another model"):
        stage(other).artifacts()
    monkeypatch.setattr("winnow.classifiers.kenlm_model.find_spec", lambda name: None)
    with pytest.raises(StageError, match="the package kenlm is not installed: install kenlm-ex"):
        stage(TINY).artifacts()


def test_a_text_without_a_finite_probability_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one = stage(TINY)
    made = one.open(one.artifacts())
    scorer = made.scorer
    object.__setattr__(made, "scorer", type(scorer)(lambda line: math.nan, scorer.splitter, scorer.order))
    batch = made.measure(documents(["나는", ""]))
    assert batch.column("error").to_pylist() == [f"{TINY} gives it no finite probability", None]
    assert batch.column("log10").to_pylist() == [None, 0.0]
    assert batch.schema.field("units").type == pa.int64()


@pytest.mark.parametrize("kind", ["probing", "trie"])
def test_a_binary_that_is_cut_or_contradicts_itself_never_reaches_kenlm(kind: str, tmp_path: Path) -> None:
    """Both were made of tiny.arpa by KenLM's `build_binary`; the trie is quantized."""
    whole = TINY.with_name(f"tiny.{kind}.bin").read_bytes()
    path = tmp_path / "a.bin"
    path.write_bytes(whole)
    (row,) = measured(stage(path), "나는 학교에 간다")
    assert row["log10"] == pytest.approx(-1.0, abs=1e-2)
    for size in (60, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(StageError, match="is cut off: "):
            stage(path).artifacts()
    for at, value, said in [
        (88, b"\7", "is of order 7: expected 2 to 6"),
        (96, b"\x63", "is damaged: its head says type 99"),
        (115, b"\xff", "is cut off: its head says"),
        (49, b"4", "is a KenLM binary of another format"),
        (0, b"mmap lm http://kheafield.com/code incomplete\n\0", "was never finished"),
    ]:
        path.write_bytes(whole[:at] + value + whole[at + len(value) :])
        with pytest.raises(StageError, match=said):
            stage(path).artifacts()


def test_a_binary_that_ends_its_process_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(TINY.with_name("tiny.probing.bin").read_bytes())
    for ending, said in [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "KenLM ended by signal 11"),
        (
            "import sys; sys.exit('lm/x.cc:1 in f() threw FormatLoadException because `a < b\\'. Too small Byte: 7')",
            "Too small",
        ),
        ("import time; time.sleep(60)", "KenLM did not score its words within 0 s"),
    ]:
        monkeypatch.setattr("winnow.classifiers.kenlm_file._PROBE", ending)
        monkeypatch.setattr("winnow.classifiers.kenlm_file.PATIENCE", 0.1 if "sleep" in ending else 120)
        with pytest.raises(ModelError, match=said):
            check_model(path)
