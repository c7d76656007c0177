"""Declarations that stand for more than a machine holds, or are none: one sentence each, through the command."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from winnow.filters.bounded_yaml import DEPTH, FILE_BYTES, NODES, OutOfBounds, load

from .in_process import command

REST = "extends: web.yaml\nname: x\n"


def bomb(levels: int, width: int, leaf: str = "[lo, la]") -> str:
    """Aliases of aliases: width ** levels values, in a few hundred bytes."""
    lines = [f"k0: &k0 {leaf}"]
    for level in range(1, levels + 1):
        lines.append(f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


def refused(tmp_path: Path, *words: str) -> str:
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and len(line) < 600, line
    return line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (REST + bomb(9, 10), ":8: stands for more than 50,000 values"),
        (bomb(9, 10) + REST, "stands for more than 50,000 values"),
        (REST + "k0: &k0 [" + "y" * 100_000 + "]\n" + "k1: [" + "*k0, " * 1000 + "]", "more than 8,388,608 characters"),
        (REST + "k: &k [*k]\n", ":3: an alias stands inside what it names"),
        (REST + "k: " + "[" * 80 + "]" * 80, "levels deep; expected at most 60"),
        (REST + "k: " + "[" * 50_000, "nested too deep"),
        (REST + "# " + "x" * FILE_BYTES, "is longer than 524,288 bytes"),
        ("extends: /dev/zero\n", "/dev/zero: is a device; expected a YAML file"),
        ("extends: pipe\n", "pipe: is a pipe; expected a YAML file"),
        ("extends: folder\n", "folder: is a folder; expected a YAML file"),
        (REST + "language: /dev/zero.yaml\n", "no language pack at"),
        (REST + "language: pipe.yaml\n", "pipe.yaml: is a pipe"),
        (REST + "language: bomb.yml\n", "bomb.yml:6: stands for more than"),
    ],
)
def test_what_has_no_bounds_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    for name in ("pipe", "pipe.yaml"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bomb.yml").write_text(bomb(9, 10))
    (tmp_path / "a.yaml").write_text(text)
    assert said in refused(tmp_path, "plan", "a.yaml")


@pytest.mark.parametrize(
    "content",
    [b"correct horse: battery staple\n", b"correct horse\nbattery\n", b"\x7fELF\x02 correct", b"\xff\xfe correct"],
)
def test_a_file_that_is_none_is_not_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    (tmp_path / "a.yaml").write_text("extends: secret\n")
    for words in (
        ["plan", "secret"],
        ["plan", "a.yaml"],
        ["fit", "fasttext", "secret", "--data", ".", "--out", "o"],
    ):
        assert "correct" not in refused(tmp_path, *words)


def test_a_recipe_and_a_set_are_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(bomb(9, 10))
    said = refused(tmp_path, "fit", "fasttext", "recipe.yaml", "--data", ".", "--out", "o")
    assert "recipe.yaml:6: stands for more than 50,000 values" in said
    (tmp_path / "a.yaml").write_text(REST)
    assert "is not valid YAML" in refused(tmp_path, "plan", "a.yaml", "--set", "train.x=" + "[" * 5000)


def test_ordinary_aliases_and_long_lists_are_read(tmp_path: Path, korean: Callable[..., str]) -> None:
    assert load("a: &a [1, 2]\nb: [*a, *a]") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    assert len(load("\n".join(f"- file-{n}.warc.gz" for n in range(NODES // 2)))) == NODES // 2
    load("[" * DEPTH + "]" * DEPTH)
    with pytest.raises(OutOfBounds):
        load("[" * (DEPTH + 1) + "]" * (DEPTH + 1))
