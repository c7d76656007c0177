"""What a declaration names as its input, through the command: files of odd names, folders, and what cannot be read."""

from __future__ import annotations

import bz2
import json
import os
import subprocess
import sys
from pathlib import Path

DECLARATION = """name: field
language: ko
max_failures: {most}
sources:
  texts: {{use: jsonl, paths: {paths}, id: id, title: id}}
stages:
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 3"}}
"""


def declared(folder: Path, *paths: str, most: float = 0.05) -> Path:
    path = folder / "field.yaml"
    path.write_text(DECLARATION.format(paths=json.dumps(paths, ensure_ascii=False), most=most), "utf-8")
    return path


def written(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "winnow.pipelines.cli", *words]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment})


TEXT = "마을 도서관에서는 어린이들과 함께 새로운 책을 읽고 이야기를 나누는 시간을 가졌다."


def test_an_error_names_its_file_and_line_wherever_it_is_shown(tmp_path: Path) -> None:
    good = {"id": "a", "text": TEXT}
    written(tmp_path / "in" / "a.jsonl", good, good)
    written(tmp_path / "in" / "b.jsonl", {**good, "id": "b"}, "{broken", {"id": "c", "body": TEXT})
    path = declared(tmp_path, "in/*.jsonl")
    done = command("run", str(path), "--local", cwd=tmp_path)
    assert done.returncode == 1
    assert "not JSON: expecting property name enclosed in double quotes at character 2" in done.stderr
    assert "(1; the first: b.jsonl: line 2 (byte " in done.stderr
    done = command("run", str(path), "--local", "--set", "max_failures=10", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (["sample", "runs/field", "--failed"], ["inspect", "runs/field"]):
        done = command(*words, cwd=tmp_path)
        assert "b.jsonl: line 2 (byte" in done.stdout and "b.jsonl: line 3 (byte" in done.stdout
        assert "no 'text'; it has body, id" in done.stdout and "None" not in done.stdout


def test_every_unreadable_file_is_told_before_anything_runs(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.jsonl", {"id": "a", "text": TEXT})
    (tmp_path / "in" / "b.jsonl").write_bytes(json.dumps({"text": TEXT}).encode("utf-16"))
    (tmp_path / "in" / "c.jsonl.bz2").write_bytes(bz2.compress(b'{"text": "a"}\n'))
    written(tmp_path / "in" / "d.jsonl", json.dumps([{"text": TEXT}] * 3, indent=1))
    done = command("plan", str(declared(tmp_path, "in/*")), cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 3, done.stderr
    for line, words in zip(
        lines, ("b.jsonl is UTF-16LE", "c.jsonl.bz2 is packed by bzip2", "d.jsonl is a JSON array"), strict=True
    ):
        assert words in line and "expected" in line
