"""Kernels: compiled once per machine, said in a line, by one process, and by no task of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from winnow.classifiers.artifacts import cache_folder
from winnow.filters.kernel import Kernel
from winnow.stages.kernels import KERNELS, ensure_compiled

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "winnow.pipelines.cli"]
SAID = re.compile(r"^note: compiling the kernels of \d+ files, once on this machine$", re.M)

KEEP = "word_count >= mean(word_count) - 3 * std(word_count) and sample(0.9)"


LACKED = KERNELS[-5:]
"""Modules that are compiled in little time."""


@dataclass(frozen=True)
class Cold:
    """A cache of kernels that a run and `winnow compile` found lacking some at the same moment, and what they said."""

    cache: Path
    run: str
    compile: str

    def compiled(self) -> list[Path]:
        return sorted(self.cache.rglob("*.nbc"))


def fill(cache: Path, lacked: Sequence[str] = LACKED) -> None:
    """Has in a folder, as NUMBA_CACHE_DIR, the kernels of this machine but for those: to compile all takes a minute. That all
    are there is not said."""
    caching: Any = import_module("numba.core.caching")
    ensure_compiled()
    for name in set(KERNELS) - set(lacked):
        for found in vars(import_module(name)).values():
            if not isinstance(found, Kernel) or found.within or found.__module__ != name:
                continue
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("numba.config.CACHE_DIR", str(cache))
                there = Path(caching.FunctionCache(found.function).cache_path)
            there.mkdir(parents=True, exist_ok=True)
            module = name.rpartition(".")[2]
            for file in Path(found.compiled._cache.cache_path).glob(f"{module}.*.nb?"):
                shutil.copy2(file, there)


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory, korean: Callable[..., str]) -> Cold:
    """The declaration has every kind of stage that calls kernels on texts, and of clause that calls them on numbers."""
    at = tmp_path_factory.mktemp("cold")
    rows = ({"id": str(n), "url": f"https://example.org/2024/05/{n}", "text": korean(n)} for n in range(60))
    (at / "in.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    (at / "cold.yaml").write_text(
        f"""name: cold
language: ko
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{at}/in.jsonl"]}}
stages:
  language: {{use: langid}}
  rules: {{use: rules, packs: [gopher, fineweb, korean], keep: "{KEEP}"}}
  quality: {{use: fasttext, model: ko-quality, keep: "score + gumbel() > -3"}}
  dedup: {{use: minhash, keep: representative}}
  personal: {{use: personal}}
  mixture: {{use: mixture, by: language.label, budget_tokens: 500, shortage: shrink}}
  shards: {{use: tokenize, tokenizer: ko-bpe}}
""",
        "utf-8",
    )
    commands = ([*CLI, "run", str(at / "cold.yaml"), "--folder", str(at / "run"), "--local"], [*CLI, "compile"])
    fill(at / "cache")
    before = {file.name.split(".")[0] for file in (at / "cache").rglob("*.nbc")}
    assert before == {name.rpartition(".")[2] for name in set(KERNELS) - set(LACKED)}
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(at / "cache")}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    return Cold(at / "cache", *said)


def test_every_module_with_kernels_is_compiled() -> None:
    found = {
        ".".join(("winnow", *file.relative_to(ROOT).with_suffix("").parts))
        for file in (ROOT / "filters").rglob("*.py")
        if re.search(r"^@(kernel$|njit\()", file.read_text("utf-8"), re.M)
    }
    assert found == set(KERNELS)


def test_a_cold_machine_compiles_before_the_first_task_and_says_so(cold: Cold) -> None:
    for said in (cold.run, cold.compile):
        assert SAID.match(said), said
        assert re.search(rf"^{len(KERNELS)}/{len(KERNELS)}, [\d.]+ s: compiling$", said, re.M)
    steps = re.findall(r"^\d+/\d+, [\d.:-]+ (?:s|left): (\w+)", cold.run, re.M)
    assert steps[steps.count("compiling") :][0] == "measuring" and "compiling" not in steps[steps.count("compiling") :]


def test_two_processes_compile_all_once_and_no_task_compiles_more(cold: Cold) -> None:
    (mark,) = cold.cache.rglob("*.compiled")
    assert {module.rpartition(".")[2] for module in KERNELS} == {file.name.split(".")[0] for file in cold.compiled()}
    assert max(file.stat().st_mtime_ns for file in cold.compiled()) <= mark.stat().st_mtime_ns
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cold.cache)}
    again = subprocess.run([*CLI, "compile"], env=environment, capture_output=True, text=True)
    assert (again.returncode, again.stdout, again.stderr) == (
        0,
        "nothing to do: the kernels are compiled already\n",
        "",
    )


@pytest.mark.parametrize(
    "nowhere",
    [
        {"NUMBA_CACHE_DIR": "/proc/none", "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"},
        {
            "HOME": "~",
            "XDG_CACHE_HOME": "",
            "NUMBA_CACHE_DIR": "",
            "NUMBA_CACHE_LOCATOR_CLASSES": "UserWideCacheLocator",
        },
    ],
    ids=["closed", "no home"],
)
def test_a_machine_that_can_keep_nothing_is_told_what_to_set(
    recipe: Path, tmp_path: Path, nowhere: dict[str, str]
) -> None:
    command = [*CLI, "run", str(recipe), "--local", "--folder", str(recipe.parent / "run")]
    models = {"WINNOW_CACHE": str(cache_folder())}
    environment = {name: value for name, value in {**os.environ, **models, **nowhere}.items() if value}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and not (tmp_path / "~").exists()
    assert re.fullmatch(r"error: compiled kernels can be kept nowhere: .*; set NUMBA_CACHE_DIR to .*\n", done.stderr)
