"""The examples of docs/extending.md, as a package of somebody's own: installed beside the checkout, and run on Ray's
workers by the command that a user types."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.needs import needs
from tests.pipelines.in_process import command, ray_here
from winnow.pipelines.results.table import open_run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)
WORDS = [
    "the",
    "town",
    "of",
    "and",
    "library",
    "with",
    "reading",
    "children",
    "have",
    "been",
    "that",
    "evening",
    "to",
    "river",
    "bridge",
    "lamp",
    "market",
    "be",
    "old",
]


class Place(NamedTuple):
    """A folder outside the checkout, and where the package is installed."""

    folder: Path
    site: Path

    def command(self, *words: str, site: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """A command there; without `site` the package is not installed."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | more
        if site:
            environment["PYTHONPATH"] = str(self.site)
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def winnow(self, *words: str, site: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """`winnow WORDS` there."""
        return self.command(str(Path(sys.executable).with_name("winnow")), *words, site=site, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("extending")
    for _, title, content in BLOCK.findall(PAGE.read_text("utf-8")):
        if title:
            (folder / title).parent.mkdir(exist_ok=True)
            (folder / title).write_text(content, "utf-8")
    texts = [" ".join(WORDS[(n * k) % len(WORDS)] for k in range(n)) + "." for n in range(1, 40)]
    (folder / "docs.jsonl").write_text(
        "".join(json.dumps({"text": t, "title": "title"}) + "\n" for t in texts), "utf-8"
    )
    (folder / "notes.txt").write_text("\n\n".join(texts[:20]), "utf-8")
    found = Place(folder, folder / "site")
    install(folder, found.site)
    return found


def install(folder: Path, site: Path) -> None:
    """What an installer leaves of the page's package; the folder that it was made from is not there any more."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    name, version = project["project"]["name"], project["project"]["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    lines: list[str] = []
    for group, points in project["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    for package in project["tool"]["setuptools"]["packages"]:
        (folder / package / "__init__.py").touch()
        (folder / package).rename(site / package)


@pytest.fixture(scope="module")
def address(place: Place) -> Iterator[str]:
    """The address of a Ray whose workers find the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place.site))
        with ray_here() as address:
            yield address


def commands() -> list[str]:
    """The commands of the page."""
    blocks = [content for language, _, content in BLOCK.findall(PAGE.read_text("utf-8")) if language == "console"]
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ winnow ")]


@pytest.mark.parametrize("line", commands())
def test_a_declaration_of_the_page_runs_on_rays_workers(place: Place, address: str, line: str) -> None:
    if "datatrove" in line:
        needs("datatrove", "spacy")
    ran = place.winnow(*line.split()[1:], RAY_ADDRESS=address)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    accounts = open_run(place.folder / line.split()[-1]).accounting["stages"]  # read here, where the package is not
    if "stages.yaml" in line:
        assert accounts["lengths"] == {"in": 20, "kept": 18, "failed": 0, "dropped": {"lengths.short": 2}}
    elif "functions.yaml" in line:
        assert accounts["long"]["dropped"]["long.long_enough"] > 0 and accounts["sizes"]["failed"] == 0
    else:
        assert accounts["gopher"]["dropped"]["gopher.gopher_short_doc"] > 0


def test_the_tests_of_the_page_pass(place: Place) -> None:
    ran = place.command(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_lengths.py")
    assert ran.returncode == 0, ran.stdout


def test_changed_code_measures_again_what_depends_on_it_alone(place: Place) -> None:
    words = ("plan", "stages.yaml", "--folder", "again")
    ran = place.winnow("run", *words[1:], "--local")
    assert ran.returncode == 0, ran.stderr
    before = place.winnow(*words)
    assert before.returncode == 0 and "nothing to do" in before.stdout, before.stdout
    module = place.site / "acme" / "lengths.py"
    content = module.read_text("utf-8")
    try:
        module.write_text(content.replace("text.split()", 'text.split(" ")'), "utf-8")
        after = place.winnow(*words)
    finally:
        module.write_text(content, "utf-8")
    assert after.returncode == 0 and "code changed" in after.stdout, after.stdout
    assert place.winnow(*words).stdout == before.stdout


def test_a_package_that_is_not_there_is_named(place: Place) -> None:
    refused = place.winnow("plan", "functions.yaml", site=False)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "functions.yaml:5" in refused.stderr and "acme.checks" in refused.stderr and "PYTHONPATH" in refused.stderr
    refused = place.winnow("plan", "stages.yaml", site=False)
    assert refused.returncode == 1 and "'notes' is not a kind" in refused.stderr and "acme.lengths" in refused.stderr


def test_a_new_measure_of_rules_has_its_group_alone_measured_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from winnow.filters.rules import table
    from winnow.stages import rules

    changed = tmp_path / "filters" / "rules" / "url_shape.py"
    changed.parent.mkdir(parents=True)
    shutil.copy(Path(table.__file__).with_name("url_shape.py"), changed)
    (tmp_path / "docs.jsonl").write_text(json.dumps({"text": "a text", "url": "https://a.example/one-two"}) + "\n")
    (tmp_path / "r.yaml").write_text(
        "name: r\nlanguage: en\nsources: {docs: {use: jsonl, url: url, paths: [docs.jsonl]}}\n"
        "stages: {rules: {use: rules, packs: []}}\n"
    )
    first = command("run", "r.yaml", "--folder", "run", "--local", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    before = set((tmp_path / "run" / "signals" / "rules").iterdir())
    applied = subprocess.run(["git", "apply", place.folder / "url_hyphens.diff"], cwd=tmp_path, check=False)
    assert applied.returncode == 0, "the page's change does not apply to filters/rules/url_shape.py any more"
    spec = importlib.util.spec_from_file_location("url_shape_changed", changed)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    groups = tuple(module.GROUP if group.name == "url_shape" else group for group in table.GROUPS)
    for one in (table, rules):
        monkeypatch.setattr(one, "GROUPS", groups)
        monkeypatch.setattr(one, "MEASURES", tuple(measure for group in groups for measure in group.measures))
    again = command("run", "r.yaml", "--folder", "run", "--local", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(before) == len(groups) and len(set((tmp_path / "run" / "signals" / "rules").iterdir()) - before) == 1
    assert open_run(tmp_path / "run").documents().collect()["rules.url_hyphens"].to_list() == [1]
    test = runpy.run_path(str(place.folder / "tests" / "test_url_hyphens.py"))
    test["test_hyphens"]()
