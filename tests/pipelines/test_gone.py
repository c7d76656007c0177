"""Finished runs whose inputs, lists, models or kinds changed or went since: what is stored is read, selected and handed off."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import open_run
from winnow.stages import registry

Prose = Callable[..., str]
PACKAGE = Path(winnow.__file__).parent

DECLARATION = """name: small
language: ko
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{folder}/in/*.jsonl"]}}
stages:
  addresses: {{use: urls, own: [], lists: ["{folder}/lists/blocked.txt"]}}
  language: {{use: langid}}
  clean: {{use: clean, programs: ["{folder}/lists/programs.jsonl"]}}
  quality: {{use: fasttext, model: "{folder}/model/ko-quality.ftz", keep: "score >= 0"}}
  rules: {{use: rules, packs: [], keep: "word_count >= 20"}}
  dedup: {{use: minhash, over: language, keep: representative}}
  shards: {{use: tokenize, tokenizer: "{folder}/tokenizer"}}
"""


class Place(NamedTuple):
    """Where a finished run and all that it was made of lies, and a copy of it, as its files cannot lie elsewhere."""

    folder: Path
    copy: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, words: Prose) -> Place:
    """A folder with a finished run/ of small.yaml, and all that it was made of."""
    tmp_path = tmp_path_factory.mktemp("gone")
    for name in ("in", "lists", "model", "tokenizer"):
        (tmp_path / name).mkdir()
    for n in range(3):
        texts = [words(9 * n + m, 12 + m) for m in range(30)]
        rows = [
            {"id": f"{n}-{m}", "url": f"https://x.example.kr/{n}/{m}", "text": text} for m, text in enumerate(texts)
        ]
        (tmp_path / "in" / f"{n}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "lists" / "blocked.txt").write_text("blocked.example\n", "utf-8")
    program = json.dumps({"id": "0-1", "program": "remove_lines(0, 0)"})
    (tmp_path / "lists" / "programs.jsonl").write_text(program, "utf-8")
    for file in (PACKAGE / "classifiers" / "models").glob("ko-quality.*"):
        shutil.copy(file, tmp_path / "model")
    for file in (PACKAGE / "tokenize" / "models" / "ko-bpe").iterdir():
        shutil.copy(file, tmp_path / "tokenizer")
    (tmp_path / "small.yaml").write_text(DECLARATION.format(folder=tmp_path), "utf-8")
    winnow.run(tmp_path / "small.yaml", folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    return Place(tmp_path, Path(shutil.copytree(tmp_path, f"{tmp_path}-copy")))


@pytest.fixture
def place(made: Place) -> Path:
    """That folder, whole again."""
    shutil.rmtree(made.folder)
    return Path(shutil.copytree(made.copy, made.folder))


READERS = (
    ("inspect", "RUN"),
    ("verify", "RUN"),
    ("report", "RUN", "--out", "FOLDER/report.html"),
    ("select", "RUN", "--set", "stages.rules.keep=word_count >= 25", "--name", "tighter"),
    ("diff", "RUN", "RUN@tighter"),
    ("sample", "RUN", "--chars", "-1"),
    ("sample", "RUN", "--dropped-by", "rules"),
    ("why", "RUN", "https://x.example.kr/0/29"),
    ("publish", "RUN", "--to", "FOLDER/published"),
    ("run", "RUN", "--selection", "tighter", "--local"),
    ("inspect", "RUN@tighter"),
)
"""What can be done with what is stored."""


def read_all(command: Any, place: Path) -> None:
    for words in READERS:
        code, said = command(*(w.replace("RUN", str(place / "run")).replace("FOLDER", str(place)) for w in words))
        assert code == 0 and "Traceback" not in said, (words, said)
    assert open_run(place / "run@tighter").shards is not None


@pytest.mark.parametrize("deleted", [["in"], ["in", "lists", "model"], ["tokenizer"]])
def test_what_is_stored_can_be_used_without_what_it_was_made_of(place: Path, command: Any, deleted: list[str]) -> None:
    if "tokenizer" in deleted:  # its copy lies with the shards, but a new hand-off needs it
        command("select", place / "run", "--set", "stages.rules.keep=word_count >= 25", "--name", "tighter")
        command("run", place / "run", "--selection", "tighter", "--local")
    for name in deleted:
        shutil.rmtree(place / name)
    read_all(command, place)
    code, said = command("run", place / "run", "--local")
    assert code == 0 and "nothing to do" in said, said


def test_kinds_that_are_not_there_any_more(place: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry._ours
    stages = {"urls": "addresses", "langid": "language", "clean": "clean", "rules": "rules", "minhash": "dedup"}
    gone = {*stages, "jsonl"}
    monkeypatch.setattr(registry, "_ours", lambda of, use: use not in gone and real(of, use))
    read_all(command, place)
    for kind, stage in stages.items():
        code, said = command("select", place / "run", "--set", f"stages.{stage}.other=1")
        assert code == 1 and f"'{kind}' is not a kind" in said
    for kind in (*stages, "jsonl"):
        gone = {kind}
        code, said = command("run", place / "small.yaml", "--folder", place / "run", "--local")
        assert code == 1 and f"'{kind}' is not a kind" in said


def test_a_changed_input_is_named_and_only_it_is_read_again(place: Path, command: Any, monkeypatch: Any) -> None:
    os.utime(place / "in" / "1.jsonl")
    code, said = command("plan", place / "small.yaml", "--folder", place / "run")
    assert code == 0 and f"input changed: {place}/in/1.jsonl" in said and "0.jsonl" not in said
    (place / "in" / "2.jsonl").unlink()
    code, said = command("run", place / "small.yaml", "--folder", place / "run", "--local")
    assert code == 0 and f"input changed: {place}/in/1.jsonl" in said and f"input gone: {place}/in/2.jsonl" in said
    code, said = command("run", place / "small.yaml", "--folder", place / "run", "--local")
    assert code == 0 and "nothing to do" in said and "input changed" not in said and "input gone" not in said


def test_identity_by_content(place: Path, command: Any) -> None:
    words = [
        "run",
        place / "small.yaml",
        "--folder",
        place / "run",
        "--local",
        "--set",
        "sources.docs.identity=content",
    ]
    assert command(*words)[0] == 0
    for file in (place / "in").iterdir():
        os.utime(file, (1, 1))
    code, said = command(*words)
    assert code == 0 and "nothing to do" in said and "input changed" not in said, said
    file = place / "in" / "1.jsonl"
    content, times = file.read_bytes(), file.stat()
    file.write_bytes(content.replace(b'"1-3"', b'"1-x"'))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    code, said = command(*words)
    assert code == 0 and f"input changed: {file}" in said and "nothing to do" not in said, said
    code, said = command("plan", place / "small.yaml", "--set", "sources.docs.identity=hash")
    assert code == 1 and "sources.docs.identity" in said and "'mtime' or 'content'" in said, said


def test_documents_that_are_gone_with_their_input_are_said_to_be(place: Path, command: Any) -> None:
    command("select", place / "run", "--set", "stages.rules.keep=word_count >= 25", "--name", "tighter")
    shutil.rmtree(place / "run" / "documents")
    os.utime(place / "in" / "0.jsonl", (1, 1))
    for words in (["run", place / "run", "--selection", "tighter", "--local"],):
        code, said = command(*words)
        assert code == 1 and "Traceback" not in said
        assert "partitions are missing and cannot be read again, since" in said and f"{place}/in/0.jsonl" in said, said
