"""Addresses of a megabyte, and a Ray that accepts and never answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import winnow
from winnow.pipelines.engine import on_ray
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.sample import Question, sample

STAGES = "stages: {rules: {use: rules, packs: [gopher], keep: 'word_count >= 2'}}\n"


def test_a_row_with_an_address_of_a_megabyte_fails_with_its_length(tmp_path: Path) -> None:
    rows = [{"text": f"A text of some words, number {n}", "url": f"https://example.org/{n}"} for n in range(30)]
    rows[7]["url"] += "u" * 1_000_000
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "a.yaml").write_text(
        "name: a\nlanguage: en\nsources: {docs: {use: jsonl, url: url, paths: [a.jsonl]}}\n" + STAGES, "utf-8"
    )
    run = winnow.run(tmp_path / "a.yaml", folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    assert run.accounting["stages"]["docs"] == {"in": 30, "kept": 29, "failed": 1, "dropped": {}}
    (row,) = sample(run, Question(failed=True)).records
    assert "its URL has 1,000,021 characters: expected at most 65,536" in str(row.decision.value)


@pytest.mark.parametrize("word", [None, b"220 mail.example.org ESMTP\r\n"])
def test_a_ray_address_that_is_none_is_one_sentence(tmp_path: Path, word: bytes | None) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "A text of some words"}) + "\n", "utf-8")
    (tmp_path / "a.yaml").write_text(
        "name: a\nlanguage: en\nsources: {docs: {use: jsonl, paths: [a.jsonl]}}\n" + STAGES
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        child = subprocess.Popen(
            [sys.executable, "-m", "winnow.pipelines.cli", "run", "a.yaml"],
            cwd=tmp_path, env={**os.environ, "RAY_ADDRESS": address}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        server.settimeout(300)
        client, _ = server.accept()
        with client:
            if word is not None:
                client.sendall(word)
            _, said = child.communicate(timeout=300)
    assert child.returncode == 1 and "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    expected = f"did not answer for {on_ray.ANSWER_SECONDS:g} s" if word is None else "what answers there is not Ray"
    assert f"RAY_ADDRESS={address}" in line and expected in line
