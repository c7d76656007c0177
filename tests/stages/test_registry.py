"""Kinds of ours, of any package that can be imported, and of installed packages: found alike, told apart by their code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from winnow.filters.languages import language_pack
from winnow.identity import UnknownValue, code, identity
from winnow.stages.base import Settings, StageError
from winnow.stages.registry import NoKind, exists, find, names

KIND = """
import pyarrow as pa
from winnow.stages.base import DocumentStage, Settings
from {package}.counting import vowels

class VowelSettings(Settings):
    least: float = 0.0

class Vowels(DocumentStage):
    kind = "vowels"
    version = 1
    Settings = VowelSettings

    def signals(self):
        return {{"vowels": pa.int32()}}

    def measure(self, documents, /):
        return pa.record_batch({{"vowels": pa.array([vowels(t) for t in documents["text"].to_pylist()], pa.int32())}})

class Unfinished(Vowels):
    version = "1"

def plain(text: str) -> bool:
    return True
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """A package beside an entry point that offers its kind, as installing it would leave them. Yields its name and folder."""
    name = f"vowels_{abs(hash(request.node.name)) % 10**8}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "kinds.py").write_text(KIND.format(package=name))
    (folder / "counting.py").write_text("def vowels(text):\n    return sum(c in 'aeiou' for c in text)\n")
    (folder / "broken.py").write_text("1 / 0\n")
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[winnow.stages]\nvowels = {name}.kinds:Vowels\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name, folder
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        del sys.modules[module]
    code.cache_clear()


def test_a_class_and_an_entry_point_are_the_same_kind(package) -> None:
    name, _ = package
    assert find("stages", f"{name}.kinds:Vowels") is find("stages", "vowels")
    assert "vowels" in names("stages") and "rules" in names("stages")
    assert exists("stages", "vowels") and exists("stages", f"{name}.kinds:Vowels") and not exists("stages", "vowel")
    assert "warc" in names("sources") and "unimax" in names("solvers") and "base" not in names("stages")


def test_code_and_settings_are_its_identity(package) -> None:
    name, folder = package

    def said(**settings: float) -> dict:
        kind = find("stages", "vowels")
        return kind(name="s", settings=kind.Settings(**settings), pack=language_pack("en")).identity()

    first = said()
    assert first["kind"] == f"{name}.kinds:Vowels" and first["version"] == 1
    assert said() == first and said(least=0.5) != first
    (folder / "counting.py").write_text("def vowels(text):\n    return sum(c in 'aeiouy' for c in text)\n")
    (folder / "unused.py").write_text("")
    code.cache_clear()
    after = said()
    assert after["code"] != first["code"], "a module that it takes a function from changed"
    (folder / "unused.py").write_text("x = 1\n")
    importlib.import_module(f"{name}.unused")
    code.cache_clear()
    assert said() == after, "what it has nothing of is no part of it"


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("ruels", ["'ruels' is not a kind", "nearest: 'rules'", "package.module:Class"]),
        ("base", ["'base' is not a kind"]),
        (
            "no_such_package.kinds:Vowels",
            ["no module 'no_such_package.kinds' can be imported", "every worker", "PYTHONPATH"],
        ),
        ("{name}.kinds:Vowel", ["module '{name}.kinds' has no 'Vowel'", "nearest: 'Vowels'"]),
        ("{name}.broken:Vowels", ["module '{name}.broken' fails when it is imported", "ZeroDivisionError"]),
        ("{name}.kinds:plain", ["is a function", "winnow.stages.base.Stage", "use: function"]),
        ("{name}.kinds:VowelSettings", ["is another class", "winnow.stages.base.Stage"]),
        ("{name}.kinds:Unfinished", ["has no version", "int"]),
    ],
)
def test_what_is_no_kind_is_refused_in_one_sentence(package, use: str, words: list[str]) -> None:
    name, _ = package
    with pytest.raises(NoKind) as refused:
        find("stages", use.format(name=name))
    for word in words:
        assert word.format(name=name) in str(refused.value)


def test_two_packages_that_offer_one_name_are_both_named(package, tmp_path: Path) -> None:
    name, _ = package
    info = tmp_path / "others-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[winnow.stages]\nvowels = others.kinds:Other\n")
    with pytest.raises(NoKind, match=f"others .others.kinds:Other.*|{name} .*"):
        find("stages", "vowels")


def test_a_value_that_nobody_can_compare_has_no_identity() -> None:
    class Odd(Settings):
        values: tuple[object, ...] = ()

    assert identity(Odd(values=(1, "a", None, 0.5))) == {"values": [1, "a", None, 0.5]}
    with pytest.raises(UnknownValue, match=r"Odd\.values: a value of type builtins\.object"):
        identity(Odd(values=(object(),)))


def test_a_kind_without_measure_says_so(package) -> None:
    from winnow.stages.base import DocumentStage

    class Silent(DocumentStage):
        kind, version, Settings = "silent", 1, Settings

    with pytest.raises(StageError, match="neither measure nor open"):
        Silent(name="s", settings=Settings(), pack=language_pack("en")).measure(None)


def test_a_machine_without_the_package_or_with_another_one_is_told_apart(package) -> None:
    from winnow.pipelines.engine.same_code import imported_here

    name, _ = package
    found = imported_here([f"{name}.kinds", "no_such_package.kinds"])
    assert found[f"{name}.kinds"] == (code(f"{name}.kinds"), "")
    assert found["no_such_package.kinds"][0] == "" and "No module named" in found["no_such_package.kinds"][1]
    kind = find("stages", "vowels")
    assert kind(name="s", settings=kind.Settings(), pack=language_pack("en")).modules() == {f"{name}.kinds"}
