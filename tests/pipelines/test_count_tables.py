"""`use: importance` and `use: prior` through real runs, beside the packages and formulas that it stands for."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import winnow
from tests.needs import needs
from winnow.filters.hash_random import gumbel
from winnow.filters.languages import language_pack
from winnow.filters.ngram.features import BUCKETS
from winnow.filters.ngram.importance import weighed
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import open_run
from winnow.stages.importance import KIND as IMPORTANCE
from winnow.stages.prior import KIND as PRIOR
from winnow.testing import check_stage
from winnow.tokenize.tokenizer import find, load

from .conftest import Command, english, prose

ODD = [
    "İstanbul'da GÜZEL bir GÜN... x_1 = ǅ",
    "हिन्दी में लिखा हुआ एक वाक्य, और ไทย ภาษา",  # marks belong to words
    "한글\u200b과 漢字、ｶﾅ\u3000混 " * 5,
    "w" * 200 + " " + "긴" * 40,  # more than one block of SHA-256
    "... !!! \n\t ??",
    "e\u0301 \x1c a\x85b \u2028c",
]


def texts(count: int, seed: int) -> list[str]:
    """English and Korean, some too short for DSIR."""
    dice = random.Random(seed)
    made = [(prose(seed + n, dice.choice((20, 120, 200))), f"{english(seed + n)} " * 3)[n % 2] for n in range(count)]
    return [unicodedata.normalize("NFC", f"{text} {ODD[n % len(ODD)]}") for n, text in enumerate(made)]


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw texts in two files, and a target of Korean ones."""
    folder = tmp_path_factory.mktemp("importance")
    rows = texts(60, 1000)
    for number in range(2):
        write(folder / f"raw-{number}.jsonl", rows[30 * number : 30 * number + 30])
    write(folder / "target.jsonl", [prose(n, 150) for n in range(20)])
    return folder


def declaration(folder: Path, model: Path, keep: str) -> Path:
    path = folder / "dsir.yaml"
    path.write_text(
        f"""name: dsir
language: ko
seed: 3
sources: {{docs: {{use: jsonl, paths: ["{folder}/raw-*.jsonl"]}}}}
stages:
  dsir: {{use: importance, model: {model}, keep: {{sample: "{keep}"}}}}
""",
        "utf-8",
    )
    return path


def prior(folder: Path, model: Path, tokenizer: str = "ko-bpe") -> Path:
    path = folder / "prior.yaml"
    stage = (
        f"{{use: prior, model: {model}, tokenizer: {tokenizer}, keep: mean between quantile(0.25) and quantile(0.75)}}"
    )
    sources = f'{{docs: {{use: jsonl, paths: ["{folder}/raw-*.jsonl"]}}}}'
    path.write_text(f"name: prior\nlanguage: ko\nsources: {sources}\nstages:\n  prior: {stage}\n", "utf-8")
    return path


def run(declared: Path, folder: Path) -> pl.DataFrame:
    winnow.run(declared, folder=folder, local=True, progress=Progress(quiet=True))
    columns = ["id", "text", "dsir.log_weight", "dsir.words", "multiplicity"]
    return pl.concat(open_run(str(folder)).read(columns))


@pytest.fixture(scope="module")
def measured(corpus: Path) -> pl.DataFrame:
    """Of a run that samples 20 of them, with the table that the command fitted."""
    from . import in_process

    words = ["--target", corpus / "target.jsonl", "--raw", corpus / "raw-0.jsonl", "--raw", corpus / "raw-1.jsonl"]
    fitted = in_process.command("fit", "importance", *words, "--out", corpus / "dsir.json")
    assert fitted.returncode == 0, fitted.stderr
    declared = declaration(corpus, corpus / "dsir.json", "top 20 documents by log_weight + gumbel()")
    return run(declared, corpus / "run")


def test_weights_and_counts_are_those_of_data_selection(corpus: Path, measured: pl.DataFrame, tmp_path: Path) -> None:
    needs("data_selection")
    from data_selection import HashedNgramDSIR

    raw = [str(corpus / f"raw-{number}.jsonl") for number in range(2)]
    theirs = HashedNgramDSIR(raw, [str(corpus / "target.jsonl")], str(tmp_path), num_proc=1)
    theirs.fit_importance_estimator(num_tokens_to_fit="all")
    rows = [theirs.featurizer(text) for text in measured["text"]]
    weights = [theirs.importance_estimator(row) for row in rows]
    words = np.array([theirs.get_perexample_metadata({}, row) for row in rows])
    assert measured["dsir.words"].to_list() == words.tolist()
    assert measured["dsir.log_weight"].is_null().to_list() == (words < 100).tolist() and 5 < (words < 100).sum() < 55
    ours = measured["dsir.log_weight"].to_numpy()
    assert np.allclose(ours[words >= 100], np.array(weights)[words >= 100], rtol=1e-12, atol=1e-9)
    counts = weighed(ODD, np.zeros(BUCKETS))[2]
    assert (counts == sum(theirs.featurizer(text) for text in ODD)).all()


def test_the_sample_is_the_top_of_noisy_weights_whatever_the_batch(corpus: Path, measured: pl.DataFrame) -> None:
    noisy = measured["dsir.log_weight"].to_numpy() + gumbel(measured["id"].to_arrow(), 3, "dsir.sample")
    best = set(np.argsort(-np.nan_to_num(noisy, nan=-np.inf))[:20].tolist())
    assert set(np.flatnonzero(measured["multiplicity"].to_numpy()).tolist()) == best
    ratios = np.arange(BUCKETS, dtype=np.float64)
    together = weighed(measured["text"].to_list(), ratios)[0]
    assert together.tolist() == [weighed([text], ratios)[0][0] for text in measured["text"]]


def test_what_it_is_fitted_on_may_be_a_run(corpus: Path, measured: pl.DataFrame, command: Command) -> None:
    out = corpus / "again.json"
    words = ("fit", "importance", "--target", corpus / "target.jsonl", "--raw", corpus / "run", "--out", out)
    code, said = command(*words)
    assert code == 0 and "60 texts of raw" in said
    assert out.read_bytes() == (corpus / "dsir.json").read_bytes()
    code, said = command(*words)
    assert code != 0 and "is there already" in said and "--force" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["does not exist"]),
        ("{", ["no table of `winnow fit importance`", "JSON"]),
        ('{"kind": "prior"}', ["kind", "importance"]),
        (json.dumps({"target": {"documents": 1, "counts": [1, 2]}}), ["target.counts", "10000"]),
    ],
)
def test_a_bad_table_is_one_sentence(
    corpus: Path, tmp_path: Path, command: Command, content: str | None, words: list[str]
) -> None:
    model = tmp_path / "bad.json"
    if content is not None:
        model.write_text(content)
    code, said = command("plan", declaration(corpus, model, "log_weight > 0"))
    assert code != 0 and "Traceback" not in said
    for word in [*words, "bad.json", "dsir:"]:
        assert word in said


def test_priors_are_occurrences_times_texts(corpus: Path, command: Command) -> None:
    model = corpus / "prior.json"
    code, said = command("fit", "prior", corpus / "raw-0.jsonl", corpus / "raw-1.jsonl", "--out", model)
    assert code == 0 and "60 texts" in said
    winnow.run(prior(corpus, model), folder=corpus / "prior", local=True, progress=Progress(quiet=True))
    columns = ["text", "prior.mean", "prior.std", "prior.std_prior", "multiplicity"]
    rows = pl.concat(open_run(str(corpus / "prior")).read(columns))
    tokenizer = load(find("ko-bpe"))
    ids = [tokenizer.encode([text]).ids for text in rows["text"]]
    product = np.zeros(tokenizer.vocab_size)
    for token in np.unique(np.concatenate(ids)):
        product[token] = sum((row == token).sum() for row in ids) * sum(token in row for row in ids)
    priors = product / product.sum()
    for row, mean, std, spread in zip(
        ids, *(rows[f"prior.{name}"] for name in ("mean", "std", "std_prior")), strict=True
    ):
        assert mean == pytest.approx(np.log(priors[row]).mean(), rel=1e-12)
        assert std == pytest.approx(np.log(priors[row]).std(), rel=1e-12)
        assert spread == pytest.approx((1000 * priors[row]).std(ddof=1), rel=1e-9)
    assert 28 <= rows["multiplicity"].sum() <= 32


def test_a_table_of_another_tokenizer_is_refused(corpus: Path, tmp_path: Path, command: Command) -> None:
    model = tmp_path / "prior.json"
    table = {"tokenizer": "0" * 64, "documents": 1, "occurrences": [1], "within": [1]}
    model.write_text(json.dumps(table))
    code, said = command("plan", prior(corpus, model))
    assert code != 0 and "prior:" in said and "another tokenizer than 'ko-bpe'" in said
    digest = find("ko-bpe").digest
    for changed, word in (({"tokenizer": digest, "within": [0]}, "not all 0"), ({"tokenizer": digest}, "has 1 tokens")):
        model.write_text(json.dumps(table | changed))
        code, said = command("run", prior(corpus, model), "--folder", tmp_path / "run", "--local")
        assert code != 0 and word in said and "Traceback" not in said
    code, said = command("plan", prior(corpus, model, "ko-bpee"))
    assert code != 0 and "nearest" in said


def test_both_kinds_keep_the_contract(corpus: Path, measured: pl.DataFrame, command: Command, tmp_path: Path) -> None:
    code, said = command("fit", "prior", corpus / "raw-0.jsonl", "--out", tmp_path / "prior.json")
    assert code == 0, said
    check_stage(IMPORTANCE("s", IMPORTANCE.Settings(model=str(corpus / "dsir.json")), language_pack("ko")))
    check_stage(PRIOR("s", PRIOR.Settings(model=str(tmp_path / "prior.json"), tokenizer="ko-bpe"), language_pack("ko")))
