"""`winnow fit language`, as a person runs it: Turkish, for which there is no pack, and a language that nobody speaks."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

import winnow
from winnow.filters.fitting import FitError
from winnow.filters.fitting.clauses import Limits
from winnow.filters.languages import language_pack, languages
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.fit_commands import show
from winnow.pipelines.fit_language import Request, fit_language, write_pack
from winnow.pipelines.fit_texts import Reading, Sample
from winnow.pipelines.results.table import open_run

from . import in_process

QUIET = Progress(quiet=True)


def command(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return in_process.command("fit", "language", *words, cwd=cwd)


def zipfian(seed: int, words: int = 120, noise: float = 0.0) -> str:
    """A page of an invented language: 2,000 words of Zipfian frequency, sentences of about twelve, some lines short."""
    dice = random.Random(seed)
    out: list[str] = []
    for number in range(words):
        rank = min(int(dice.paretovariate(0.9)), 2000)
        word = "".join(random.Random(rank).choices("abdegiklmnorstuvz", k=2 + rank.bit_length()))
        out.append("1234" if dice.random() < noise else word)
        if number % 12 == 11:
            out[-1] += "." if dice.random() < 0.9 else "?"
            out.append("\n" if dice.random() < 0.4 else "")
    return " ".join(out).replace(" \n ", "\n")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good text (`good`) and crawl (`crawl`: half as good, half numbers or one line over and over). Nobody
    changes it."""
    folder = tmp_path_factory.mktemp("invented")
    for name, rows in (("good", 300), ("crawl", 300)):
        (folder / name).mkdir()
        for file in range(3):
            lines = []
            for row in range(file * rows // 3, (file + 1) * rows // 3):
                seed = row if name == "good" else 10_000 + row
                text = zipfian(seed, 80 + seed % 90)
                if name == "crawl" and row % 4 == 1:
                    text = zipfian(seed, noise=0.6)
                if name == "crawl" and row % 4 == 3:
                    text = "\n".join([zipfian(seed, 12)] * 12)
                lines.append(json.dumps({"text": text}))
            (folder / name / f"{file}.jsonl").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def invented(texts: Path, tmp_path: Path) -> Path:
    """A copy of them, to be changed and added to."""
    return Path(shutil.copytree(texts, tmp_path, dirs_exist_ok=True))


def request(folder: Path, **more: object) -> Request:
    settings: dict[str, object] = {"reference": (str(folder / "good"),), "crawl": (str(folder / "crawl"),)}
    return Request("qaa", language_score=0.5, **{**settings, **more})  # type: ignore[arg-type]


def test_an_invented_language_gets_a_pack_that_tells_its_good_pages(invented):
    fitted = fit_language(request(invented))
    out = invented / "qaa.yaml"
    write_pack(fitted, out)
    pack = language_pack(str(out))
    assert (pack.code, pack.iso639_3, pack.script, pack.own_script, pack.word_unit) == (
        *("qaa", "qaa", "Latn", False, "whitespace"),
    )
    assert len(pack.stop_words) >= 8 and pack.language_score == 0.5
    assert fitted.together["reference"] < 0.1 < 0.4 < fitted.together["crawl"]
    assert {f.how for f in fitted.clauses} >= {"tail", "base"}
    words = next(f for f in fitted.clauses if f.clause.name == "few_alphabetic_words")
    assert words.crawl is not None and words.reference <= 0.01 < words.crawl


def test_the_same_texts_give_the_same_bytes_in_any_files_and_order(invented):
    first = fit_language(request(invented)).text
    again = (str(invented / "good" / "2.jsonl"), str(invented / "good" / "0.jsonl"), str(invented / "good" / "1.jsonl"))
    assert fit_language(request(invented, reference=again)).text == first
    patterns = (str(invented / "go*" / "*.jsonl"), str(invented / "good"))
    assert fit_language(request(invented, reference=patterns)).text == first
    (invented / "good" / "0.jsonl").rename(invented / "good" / "other.jsonl")
    assert fit_language(request(invented)).text == first


def test_a_sample_is_bounded_and_the_same_in_any_order():
    texts = [f"text {i}" for i in range(500)]
    forward, backward = Sample(40), Sample(40)
    for text in texts:
        forward.add(text, text)
    for text in [*reversed(texts), texts[7]]:
        backward.add(text, text)
    assert forward.texts() == backward.texts() and len(forward.texts()) == 40 and len(forward.held) == 40
    assert (forward.seen, backward.seen) == (500, 501)


def test_a_base_reference_keeps_the_quantiles(invented):
    base = invented / "base"
    base.mkdir()
    dice = random.Random(3)
    vocabulary = ["the", "of", "and", "river", "mountain", "people", "walk", "every", "along", "with", "government"]
    pages = [" ".join(dice.choices(vocabulary, k=100)) + "." for _ in range(150)]
    (base / "en.jsonl").write_text("\n".join(json.dumps({"text": page}) for page in pages), "utf-8")
    fitted = fit_language(request(invented, base_reference=(str(base),), crawl=()))
    length = next(f for f in fitted.clauses if f.clause.name == "long_words")
    assert length.how == "matched" and length.match is not None and length.match.beyond
    assert "en" in fitted.pack.provenance and "no crawl" in fitted.pack.provenance


def test_what_cannot_be_fitted_is_one_sentence(invented, tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("\n".join(zipfian(i) for i in range(20)), "utf-8")
    with pytest.raises(FitError, match=r"reference: 1 different document: expected at least 100.*--lines makes each"):
        fit_language(request(invented, reference=(str(few),)))
    with pytest.raises(FitError, match=r"nothing\.txt: no such file or folder"):
        fit_language(request(invented, reference=("nothing.txt",)))
    with pytest.raises(FitError, match="none of the fields body, but text"):
        fit_language(request(invented, reading=Reading(fields=("body",))))
    with pytest.raises(FitError, match=r"crawl: 0 different documents in 'qaa'.*expected at least 100"):
        (tmp_path / "blank.jsonl").write_text('{"text": " "}\n', "utf-8")
        fit_language(request(invented, crawl=(str(tmp_path / "blank.jsonl"),)))
    with pytest.raises(FitError, match="no language pack for 'xx'"):
        fit_language(request(invented, base="xx"))
    with pytest.raises(FitError, match="maps thresholds of 'qaa' itself, and the base is 'ko'"):
        fit_language(request(invented, base="ko", from_unit="morpheme"))
    with pytest.raises(
        FitError, match=r"reference: 300 different documents: expected at least 1,000, .*0\.001 .*--tail"
    ):
        fit_language(request(invented, limits=Limits(tail=0.001)))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"unit": "word"},
            "--unit word: expected one of whitespace, character, segment, morpheme; nearest: 'whitespace'",
        ),
        ({"from_unit": "morphemes"}, "--from-unit morphemes: expected one of .*; nearest: 'morpheme'$"),
        ({"script": "Latin"}, "--script Latin: expected a code of ISO 15924 such as Latn$"),
        ({"iso639_3": "tr"}, "--iso639-3 tr: expected a code of ISO 639-3"),
        ({"crawl": ("nope",)}, "nope: no such file or folder: expected the folder of a run, or texts"),
        ({"reference": ("nope",)}, "nope: no such file or folder: expected texts"),
    ],
)
def test_a_wrong_option_is_told_with_what_it_may_be(invented, more, sentence):
    with pytest.raises(FitError, match=sentence):
        fit_language(request(invented, **more))


def test_the_name_of_a_language_is_told_its_code():
    with pytest.raises(FitError, match=r"--lang turkish: .* one of ISO 639, such as tr; nearest: 'tr'"):
        fit_language(Request("turkish", ("nothing.txt",)))
    with pytest.raises(FitError, match=r"--lang klingonisch: .* such as tr$"):
        fit_language(Request("klingonisch", ("nothing.txt",), language_score=0.5))


def test_too_few_documents_are_told_what_to_do(invented):
    page = invented / "page.txt"
    page.write_text("\n".join(zipfian(i) for i in range(20)), "utf-8")
    with pytest.raises(FitError) as error:
        fit_language(request(invented, reference=(str(page),)))
    assert "reference: 1 different document: expected at least 100, since" in str(error.value)
    assert "give more text, or --lines makes each line of a .txt or .md file a row" in str(error.value)
    with pytest.raises(FitError, match=r"give more text, or join fewer characters than --join 90000$"):
        fit_language(request(invented, reference=(str(page),), reading=Reading(join=90_000, lines=True)))


def test_a_pack_is_not_written_over_nor_under_another_kind_of_name(invented):
    fitted = fit_language(request(invented))
    out = invented / "qaa.yaml"
    out.write_text("mine", "utf-8")
    with pytest.raises(FitError, match="is there already"):
        write_pack(fitted, out)
    assert out.read_text("utf-8") == "mine"
    write_pack(fitted, out, force=True)
    assert language_pack(str(out)).code == "qaa" and not list(invented.glob(".qaa*"))
    with pytest.raises(FitError, match=r"ends in \.yaml"):
        write_pack(fitted, invented / "qaa.txt")


def test_korean_thresholds_go_from_morphemes_to_eojeol(tmp_path, korean, capsys):
    pytest.importorskip("kiwipiepy", reason="needs the extra 'ko'")
    pages = [korean(seed, 60 + seed % 50) for seed in range(120)]
    pages = [page + f"\n{i}번째 안내문입니다. " + "꼭 읽어 주세요. " * (i % 7) for i, page in enumerate(pages)]
    (tmp_path / "ko.jsonl").write_text("\n".join(json.dumps({"text": page}) for page in pages), "utf-8")
    fitted = fit_language(
        Request(
            *("ko", (str(tmp_path / "ko.jsonl"),)),
            from_unit="morpheme",
            language_score=0.65,
            limits=Limits(same_texts=True),
        )
    )
    assert fitted.pack.word_unit == "whitespace" and fitted.pack.endings == language_pack("ko").endings
    found = {f.clause.name: f for f in fitted.clauses}
    assert [f"{f.clause.signal} {f.clause.operator} {f.clause.base:g}" for f in fitted.clauses] == [
        expression for group in language_pack("ko").rules("morpheme").clauses.values() for expression in group.values()
    ]
    fewer, longer = found["too_short"], found["long_words"]
    assert fewer.threshold is not None and 15 <= fewer.threshold < 40  # of 50: an eojeol has about two morphemes
    assert longer.threshold is not None and longer.threshold > longer.clause.base
    assert found["duplicate_lines"].threshold == found["duplicate_lines"].clause.base  # lines have no unit
    show(fitted, Console(width=200))
    printed = capsys.readouterr().out
    assert "its quantile" in printed and "thresholds of morpheme words as thresholds of whitespace words" in printed
    write_pack(fitted, tmp_path / "ko.yaml")


def test_a_model_that_does_not_know_the_language_says_so(invented):
    done = command("--lang", "qaa", "--reference", "good", "--out", "qaa.yaml", cwd=invented)
    assert done.returncode == 1 and "does not know the language 'qaa'" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def turkish(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Sentences as README has them unpacked, and Turkish crawl made of 300 that are held out: pages of six, and pages that say one over and over."""
    folder = tmp_path_factory.mktemp("turkish")
    with tarfile.open(data / "lid-lingua/language-testdata/sentences.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    lines = (folder / "sentences" / "tr.txt").read_text("utf-8").splitlines()
    (folder / "tr").mkdir()
    (folder / "tr" / "good.txt").write_text("\n".join(lines[:700]), "utf-8")
    held = lines[700:]
    pages = [" ".join(held[i : i + 3]) + "\n" + " ".join(held[i + 3 : i + 6]) for i in range(295)]
    pages += [f"{line}\n" * 15 for line in held[:150]]
    rows = [{"id": str(i), "url": f"https://example.org/{i}", "text": page} for i, page in enumerate(pages)]
    (folder / "pages.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return folder


def declaration(folder: Path, name: str, language: str, stages: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        f"""name: {name}
language: {language}
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{folder}/pages.jsonl"]}}
stages:
{stages}""",
        "utf-8",
    )
    return path


def test_turkish_has_a_pack_after_one_command_and_a_declaration_runs_with_it(turkish):
    assert "tr" not in languages()
    seen = declaration(turkish, "seen", "en", '  language: {use: langid, keep: "score >= 0"}\n')
    run = winnow.run(seen, folder=turkish / "runs/seen", local=True, progress=QUIET)
    assert run.documents(kept_only=False).select(pl.len()).collect().item() == 445
    done = command(
        *("--lang", "tr", "--name", "Turkish", "--reference", "tr", "--base-reference", "sentences/en.txt", "--lines"),
        *("--join", "600", "--crawl", "runs/seen", "--out", "tr.yaml"),
        cwd=turkish,
    )
    assert done.returncode == 0, done.stderr
    assert "stop words: ve bir" in done.stdout and "Turkish (tur_Latn)" in done.stdout
    pack = language_pack(str(turkish / "tr.yaml"))
    assert (pack.code, pack.iso639_3, pack.script, pack.own_script) == ("tr", "tur", "Latn", False)
    assert {"ve", "bir", "bu", "için", "ile"} <= set(pack.stop_words) and "the" not in pack.stop_words
    assert 0.3 <= pack.language_score <= 0.9
    assert pack.calibration["reference"]["documents"] >= 100  # type: ignore[index, call-overload]
    length = float(pack.clauses["gopher"]["long_words"].split()[-1])
    assert 10 < length <= 21  # Turkish words are longer than English ones; FineWeb2's tur_Latn has 21

    rules = "  language: {use: langid}\n  rules: {use: rules, packs: [gopher]}\n"
    language = str(turkish / "tr.yaml")
    ours = winnow.run(
        declaration(turkish, "ours", language, rules), folder=turkish / "runs/ours", local=True, progress=QUIET
    )
    documents = open_run(ours.folder).documents(kept_only=False).select("url", "selection.clause").collect()
    over_and_over = documents["url"].str.split("/").list.last().cast(pl.Int32) >= 295
    repeated, whole = documents.filter(over_and_over), documents.filter(~over_and_over)
    assert repeated["selection.clause"].is_not_null().mean() > 0.95  # type: ignore[operator]
    assert whole["selection.clause"].is_null().mean() > 0.9  # type: ignore[operator]


def test_the_wrong_language_is_told(turkish):
    done = command(
        *("--lang", "tr", "--reference", "sentences/az.txt", "--lines", "--join", "600", "--out", "az.yaml"),
        cwd=turkish,
    )
    assert done.returncode == 1 and "are in 'tr' by the language model" in done.stderr and "'az'" in done.stderr
    assert not (turkish / "az.yaml").exists()


def test_the_base_reference_must_be_in_the_base_s_language(turkish):
    done = command(
        *("--lang", "tr", "--reference", "tr", "--base-reference", "sentences/de.txt", "--lines", "--join", "600"),
        *("--out", "de.yaml"),
        cwd=turkish,
    )
    assert done.returncode == 1 and "base reference: 0% of" in done.stderr and "'de'" in done.stderr
    assert "is --base-reference right?" in done.stderr and not (turkish / "de.yaml").exists()


def test_joined_sentences_alone_make_no_clause_on_words_tighter(turkish):
    reading = Reading(join=600, lines=True)
    limits = Limits(joined=True)
    alone = fit_language(Request("tr", (str(turkish / "tr"),), reading=reading, limits=limits))
    english = (str(turkish / "sentences/en.txt"),)
    both = fit_language(Request("tr", (str(turkish / "tr"),), base_reference=english, reading=reading, limits=limits))
    gopher = alone.pack.clauses["gopher"]
    assert (gopher["short_words"], gopher["long_words"]) == ("mean_word_length >= 3", "mean_word_length <= 10")
    assert both.pack.clauses["gopher"]["short_words"] == "mean_word_length >= 3"
    assert float(both.pack.clauses["gopher"]["long_words"].split()[-1]) > 10
