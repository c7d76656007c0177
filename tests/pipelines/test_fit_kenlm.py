"""`winnow fit kenlm` as a user types it: from files and from a run, held-out groups, small models, what it refuses."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from winnow.filters.languages import language_pack
from winnow.pipelines.cluster.bundle import bundle
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.stages.kenlm import KIND
from winnow.testing import documents

from .conftest import Command, prose


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same forty texts in each format that is read."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [{"text": prose(n, 80), "id": f"book{n % 8}.{n}", "body": f"다른 {n}"} for n in range(40)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    lines = ["text\tid", *(f"{row['text']}\t{row['id']}".replace("\n", " ") for row in rows)]
    (folder / "a.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "plain").mkdir()
    for n, row in enumerate(rows):
        (folder / "plain" / f"{n:02}.txt").write_text(row["text"], "utf-8")
    return folder


def counts(model: Path) -> list[str]:
    """The n-grams of each order, of a compressed ARPA file."""
    return [line for line in lzma.open(model, "rt", encoding="utf-8") if line.startswith("ngram ")]


def test_a_small_model_is_fitted_and_measures(command: Command, texts: Path, tmp_path: Path) -> None:
    small = ["--unit", "syllable", "--normalize", "fold", "--order", 4, "--prune", "0,0,1", "--digits", 2]
    options = [*small, "--vocabulary", 60, "--group", "id", "--group-match", "^[^.]+", "--holdout", 30]
    out = tmp_path / "ko-small.kenlm"
    code, said = command("fit", "kenlm", texts / "a.jsonl", "--out", out, *options, "--licence", "CC0-1.0")
    assert code == 0, said
    sidecar = json.loads(out.with_name("ko-small.json").read_text("utf-8"))
    assert sidecar["units"] == {"version": 1, "unit": "syllable", "normalize": "fold"}
    assert sidecar["licence"] == "CC0-1.0"
    first, *rest = said.splitlines()
    fitted = int(first.split("fitted on ")[1].split(" texts")[0])
    assert fitted % 5 == 0 and 0 < fitted < 40  # whole books of five
    assert f"on {40 - fitted} texts held out: median perplexity" in "".join(rest)
    assert rest[-1] == f"measure with it: {{use: kenlm, model: {out}}}"
    for values in sidecar["percentiles"].values():
        assert len(values) == 99 and list(values) == sorted(values)
    assert counts(out)[0] == "ngram 1=63\n"
    again = tmp_path / "again" / out.name
    assert command("fit", "kenlm", texts / "a.jsonl", "--out", again, *options, "--licence", "CC0-1.0")[0] == 0
    assert again.read_bytes() == out.read_bytes()
    assert again.with_name("ko-small.json").read_bytes() == out.with_name("ko-small.json").read_bytes()
    settings = KIND.Settings(model=str(out), quantiles=(0.3, 0.6))
    rows = KIND("lm", settings, language_pack("ko")).measure(documents([prose(1, 80), "QWERTY zxcvb 77!"])).to_pylist()
    assert rows[0]["perplexity"] < rows[1]["perplexity"]
    assert rows[1]["bucket"] == "tail"


def test_every_format_and_a_run_give_the_same_model(
    command: Command, texts: Path, finished: Path, tmp_path: Path
) -> None:
    made = {}
    for name in ("a.jsonl", "a.parquet", "plain", "plain/*.txt"):
        out = tmp_path / f"{len(made)}.arpa"
        assert command("fit", "kenlm", texts / name, "--out", out, "--order", 2)[0] == 0
        made[name] = out.read_bytes()
    assert len(set(made.values())) == 1
    code, said = command("fit", "kenlm", texts / "a.tsv", "--out", tmp_path / "t.arpa", "--order", 2)
    assert code == 0, said
    code, said = command("fit", "kenlm", finished, "--out", tmp_path / "run.arpa", "--order", 3, "--holdout", 0)
    assert code == 0, said
    assert "held out" not in said


def test_sources_are_bounded_each_and_words_shuffled(command: Command, texts: Path, tmp_path: Path) -> None:
    sources = [texts / "plain" / "0?.txt", texts / "plain" / "[123]?.txt"]
    most = ["--most", 300, "--holdout", 0, "--order", 3]
    code, said = command("fit", "kenlm", *sources, "--out", tmp_path / "a.arpa", *most)
    assert code == 0 and "fitted on 2" in said, said
    code, said = command("fit", "kenlm", *sources, "--out", tmp_path / "b.arpa", *most, "--shuffled")
    assert code == 0, said
    plain, salad = ((tmp_path / f"{name}.arpa").read_text("utf-8") for name in "ab")
    assert plain.split("\n")[1] == salad.split("\n")[1]  # the same words
    assert plain != salad


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--order", 7], "--order: Input should be less than or equal to 6"),
        (["--prune", "1,0"], "prune is 1,0: expected at most 5 numbers that begin with 0 and do not fall"),
        (["--prune", "a"], "--prune a: expected numbers such as 0,0,1"),
        (["--unit", "word2"], "--unit: Input should be 'word', 'sentencepiece', 'character' or 'syllable'"),
        (["--group-match", "("], "--group-match (: no regular expression"),
        (["--group", "host"], "no column 'host' in a.jsonl: it has text, id, body"),
        (["--text", "bod"], "no column 'bod' in a.jsonl: it has text, id, body; nearest: 'body'"),
        (["--out", "x.bin"], "x.bin: expected a name that ends in .arpa, .arpa.gz, .arpa.xz or .kenlm"),
        (
            ["--lmplz", "/nowhere/lmplz"],
            "/nowhere/lmplz cannot be started: No such file or directory: expected KenLM's lmplz",
        ),
        (["--unit", "sentencepiece", "--pieces", 60, "--most", 1], "SentencePiece cannot be fitted"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    command: Command, texts: Path, tmp_path: Path, options: list[object], said: str
) -> None:
    out = tmp_path / "out" / "a.arpa"
    code, printed = command("fit", "kenlm", texts / "a.jsonl", "--out", out, *options)
    assert code == 1
    assert said in printed
    assert not list(tmp_path.rglob("*.*"))


def test_nothing_to_fit_on_and_a_model_that_is_there(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" \n\n", "utf-8")
    out = tmp_path / "a.arpa"
    code, said = command("fit", "kenlm", tmp_path / "a.txt", "--out", out)
    assert code == 1 and "nothing to fit a.arpa on" in said
    out.write_text("mine", "utf-8")
    code, said = command("fit", "kenlm", tmp_path / "a.txt", "--out", out)
    assert code == 1 and "is there already: expected another --out, or --force" in said
    assert out.read_text("utf-8") == "mine"


def test_what_belongs_to_a_model_travels_with_it_to_a_cluster(command: Command, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "ko.arpa.gz"
    made = command("fit", "kenlm", texts / "a.jsonl", "--out", out, "--unit", "sentencepiece", "--pieces", 300)
    assert made[0] == 0, made[1]
    path = tmp_path / "lm.yaml"
    sources = "{docs: {use: jsonl, paths: ['s3://bucket/a.jsonl']}}"
    path.write_text(
        f"name: lm\nlanguage: ko\nsources: {sources}\nstages:\n  lm: {{use: kenlm, model: ko.arpa.gz}}\n", "utf-8"
    )
    sent = bundle(load_pipeline(path), shared=False, where="there").files
    assert {file.name for file in sent.values()} == {"ko.arpa.gz", "ko.json", "ko.sp.model"}


def test_the_page_names_options_and_keys_that_there_are(command: Command) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "kenlm.md").read_text("utf-8")
    options = command("fit", "kenlm", "--help")[1]
    assert set(re.findall(r"--[a-z][a-z-]+", page)) - {"--discount"} <= set(re.findall(r"--[a-z-]+", options))
    declared = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert declared is not None
    for settings in yaml.safe_load(declared[1])["stages"].values():
        assert settings.pop("use") == "kenlm" and settings.pop("keep")
        KIND.Settings(**settings)
