"""What the engine reads of every kind: what it sees and what it makes, as data."""

from __future__ import annotations

import pytest

from winnow.filters.languages import language_pack
from winnow.stages import (
    clean,
    extract,
    host_lines,
    langid,
    minhash,
    mixture,
    personal,
    prescreen,
    rules,
    tokenize,
    urls,
)
from winnow.stages.base import EDITED, RETITLED, Outputs

SETTINGS = {"mixture": {"by": "domain.label"}, "tokenize": {"tokenizer": "ko-bpe"}}

EXPECTED = {
    urls: ("addresses", Outputs()),
    prescreen: ("pages", Outputs()),
    extract: ("pages", Outputs(text=True)),
    langid: ("documents", Outputs(language="label")),
    rules: ("documents", Outputs()),
    clean: ("documents", Outputs(edits=True)),
    personal: ("documents", Outputs(edits=True, titles=True, masks=True)),
    minhash: ("corpus", Outputs(clusters=True)),
    host_lines: ("corpus", Outputs(edits=True)),
    mixture: ("corpus", Outputs(multiplicity="multiplicity")),
    tokenize: ("documents", Outputs(files=True, tokens="tokens")),
}


@pytest.mark.parametrize("module", EXPECTED, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_kind_says_what_it_sees_and_makes(module) -> None:
    kind = module.KIND
    stage = kind(name="s", settings=kind.Settings(**SETTINGS.get(kind.kind, {})), pack=language_pack("ko"))
    assert (stage.sees, stage.outputs) == EXPECTED[module]
    assert stage.raw == (stage.sees in ("addresses", "pages"))
    named = {stage.outputs.language, stage.outputs.multiplicity, stage.outputs.tokens} - {""}
    assert named <= set(stage.signals())
    columns = {name: type for group in stage.groups().values() for name, type in group.columns.items()}
    assert columns == stage.measured_signals() | stage.hidden()
    assert (EDITED in columns) == (stage.outputs.edits and stage.sees == "documents")
    assert (RETITLED in columns) == stage.outputs.titles
