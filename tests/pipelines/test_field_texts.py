"""Texts as they are found, through the command: capitals, ends of lines, text about mojibake, terminals, versions and code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .in_process import command

RECIPE = """
extends: web.yaml
name: field
language: en
sources:
  crawl: null
  texts: {use: jsonl, paths: [input.jsonl], id: id, title: id, url: url}
stages: {shards: null, rules: null, dedup: null}
"""
PROSE = "The ferry left the harbour at seven in the morning, and the captain says that the sea is calm today"
GIVEN = {
    "capitals": f"{PROSE}.".upper(),
    "next-lines": f"{PROSE}.\x85Then it came back.\r\x85Nobody had missed it.",
    "mojibake": f"{PROSE}.\nA page that shows naÃ¯ve for naïve was decoded by guess.",
    "terminal": f"{PROSE}.\n\x1b[31mERROR\x1b[0m: the \x1b[1;32mengine\x1b[0m is off",
    "versions": f"{PROSE}.\nUpdate to Kestrel 15.6.1.102, the attacker came from 185.220.101.34 over ssh.",
    "code": f"{PROSE}.\nloss = net@batch.transpose, write to jo.kim@company.co.kr",
    "quarter": f"{PROSE} in Daeya-dong.",
}
EXPECTED = GIVEN | {
    "next-lines": f"{PROSE}.\nThen it came back.\nNobody had missed it.",
    "terminal": f"{PROSE}.\nERROR: the engine is off",
    "versions": f"{PROSE}.\nUpdate to Kestrel 15.6.1.102, the attacker came from [IP] over ssh.",
    "code": f"{PROSE}.\nloss = net@batch.transpose, write to [EMAIL]",
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Title -> text of every document that the command keeps."""
    folder = tmp_path_factory.mktemp("field")
    (folder / "decl.yaml").write_text(RECIPE, encoding="utf-8")
    urls = {"quarter": "https://map.example.kr/대야동"}
    rows: list[dict[str, Any]] = [{"id": name, "text": text, "url": urls.get(name)} for name, text in GIVEN.items()]
    (folder / "input.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def winnow(*words: str) -> str:
        done = command(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    winnow("run", "decl.yaml", "--local", "--folder", "out")
    shown = winnow("sample", "out", "--kept", "-n", "40", "--chars", "0", "--json")
    documents = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    return {document["title"]: document["text"]["text"] for document in documents}


@pytest.mark.parametrize("name", GIVEN)
def test_texts_come_out_as_they_were_meant(name: str, kept: dict[str, str]) -> None:
    assert kept.get(name) == EXPECTED[name]
