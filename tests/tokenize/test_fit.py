"""Fitting: the same texts give the same bytes, in another process too, and the result is a usable tokenizer."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from transformers import AutoTokenizer

from winnow.tokenize.fit import fit_tokenizer, read_texts
from winnow.tokenize.fit_shipped import RECIPES, Recipe, fit_shipped
from winnow.tokenize.tokenizer import MODELS, TokenizerError, find, load

TEXTS = [
    f"{i}번째 문서입니다. 토크나이저를 학습할 때는 API와 {word}를 함께 봅니다.\nThe {word} of section {i * 37} isn't final."
    for i, word in enumerate(["데이터", "모델", "문장", "tokens", "훈련", "평가", "말뭉치", "selection"] * 12)
]


def test_the_same_texts_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    first = fit_tokenizer(iter(TEXTS), 400, tmp_path / "first", "tiny")
    command = [
        sys.executable,
        "-m",
        "winnow.tokenize.fit",
        "--out",
        str(tmp_path / "second"),
        "--vocab",
        "400",
        "--name",
        "tiny",
    ]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=True)
    second = json.loads(done.stdout)
    assert second["sha256"] == first.sha256
    assert (tmp_path / "first" / "tokenizer.json").read_bytes() == (tmp_path / "second" / "tokenizer.json").read_bytes()
    assert (second["texts"], second["characters"]) == (len(TEXTS), sum(map(len, TEXTS)))


def test_what_is_fitted_can_be_used(tmp_path: Path) -> None:
    report = fit_tokenizer(TEXTS, 400, tmp_path, "tiny")
    tokenizer = load(find(str(tmp_path)))
    assert tokenizer.engine == "tiktoken", tokenizer.why_slow
    assert (tokenizer.vocab_size, tokenizer.eos) == (report.vocab_size, 0)
    assert 0 < report.tokens_per_character < 1 < report.bytes_per_token
    hugging_face = AutoTokenizer.from_pretrained(str(tmp_path))
    assert (hugging_face.eos_token_id, hugging_face.pad_token_id) == (0, 1)
    text = "처음 보는 말: 뷁뷁 😀 naïve 123456"
    ids = tokenizer.encode([text]).ids.tolist()
    assert hugging_face(text)["input_ids"] == ids
    assert hugging_face.decode(ids) == text


def test_particles_are_split_from_foreign_words(tmp_path: Path) -> None:
    fit_tokenizer(TEXTS, 400, tmp_path, "tiny")
    tokenizer = load(find(str(tmp_path)))
    mixed = tokenizer.encode(["API를"]).ids.tolist()
    assert mixed == [*tokenizer.encode(["API"]).ids.tolist(), *tokenizer.encode(["를"]).ids.tolist()]


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="a vocabulary of 258, expected more than 258"):
        fit_tokenizer(TEXTS, 258, tmp_path / "a", "tiny")
    with pytest.raises(TokenizerError, match=r"96 texts .* expected 100000: give more text or ask for less"):
        fit_tokenizer(TEXTS, 100_000, tmp_path / "b", "tiny")
    assert list(tmp_path.iterdir()) == []


def test_files_are_read_in_name_order(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("둘", "utf-8")
    (tmp_path / "a.txt").write_text("하나", "utf-8")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress('{"text": "셋"}\n{"text": "\u1102\u1166\u11ba"}\n'.encode()))
    (tmp_path / "d.jsonl.zst").write_bytes(zstandard.compress('{"text": "다섯"}'.encode()))
    (tmp_path / "ignored.bin").write_bytes(b"\0")
    assert list(read_texts([tmp_path])) == ["하나", "둘", "셋", "넷", "다섯"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="no such file"):
        list(read_texts([tmp_path / "nothing.txt"]))
    (tmp_path / "a.bin").write_bytes(b"\0")
    with pytest.raises(TokenizerError, match=r"files of kind '\.bin' are not read"):
        list(read_texts([tmp_path / "a.bin"]))
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"body": "x"}\n')
    with pytest.raises(TokenizerError, match=r"a\.jsonl:2: no text under 'text'"):
        list(read_texts([tmp_path / "a.jsonl"]))
    (tmp_path / "b.jsonl").write_text('{"text": "x"}\n{broken\n')
    with pytest.raises(TokenizerError, match=r"b\.jsonl:2: not a JSON object"):
        list(read_texts([tmp_path / "b.jsonl"]))


def test_errors_of_the_texts_come_through(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="no such file"):
        fit_tokenizer(read_texts([tmp_path / "nothing.txt"]), 400, tmp_path / "out", "tiny")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_shipped_tokenizers_are_what_their_recipes_make(recipe: Recipe, tmp_path: Path, data: Path) -> None:
    fit_shipped(recipe, data, tmp_path)
    made = {path.name: path.read_bytes() for path in (tmp_path / recipe.name).iterdir()}
    assert made == {path.name: path.read_bytes() for path in (MODELS / recipe.name).iterdir()}
