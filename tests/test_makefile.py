"""What `make` would run: which language, which recipe, and every value as one word of the shell, whatever it holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs GNU make")

# What a make around this test run, or its user, may have set.
OUTSIDE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEFILES", "LANG", "LC_ALL", "WARC", "SET", "VENV", "PYTHON"}


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False)


def words(*arguments: str, **environment: str) -> list[str]:
    """What `winnow` would get as its arguments, once the shell has read the last line of a dry run."""
    dry = make("-n", *arguments, **environment)
    assert dry.returncode == 0, dry.stderr
    program, _, rest = dry.stdout.splitlines()[-1].partition(" ")
    assert program == ".venv/bin/winnow"
    read = subprocess.run(
        ["bash", "-c", rf"printf '%s\0' {rest}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return read.stdout.split("\0")[:-1]


@pytest.mark.parametrize("target", ["pipeline", "train"])
@pytest.mark.parametrize("value", ["xx", "ko en", "ko ko", "", "%", "k%", "../pipelines/ko", "ko_KR.UTF-8"])
def test_a_language_that_is_not_exactly_one_known_word_is_refused(target: str, value: str) -> None:
    done = make("-n", target, f"LANG={value}")
    assert done.returncode == 2
    assert (
        f"no language pack for '{value}'; known languages: ar de en es fr hi it ja ko nl pl pt ru th vi zh."
        in done.stderr
    )


@pytest.mark.parametrize("locale", ["ko_KR.UTF-8", "en_US.UTF-8", "ja", "C"])
def test_the_user_s_locale_names_no_language(locale: str) -> None:
    assert words("pipeline", LANG=locale, LC_ALL=locale) == ["run", "pipelines/ko.yaml"]


def test_a_language_has_its_own_recipe_or_the_neutral_one() -> None:
    assert words("pipeline", "LANG=ko") == ["run", "pipelines/ko.yaml"]
    assert words("pipeline", "LANG= ja ") == ["run", "pipelines/ja.yaml"]
    neutral = ["pipelines/web.yaml", "--set", "name=zh", "--set", "language=zh"]
    assert words("pipeline", "LANG=zh") == ["run", *neutral]
    assert words("train", "LANG=zh", "SET=train.steps=20") == ["train", *neutral, "--set", "train.steps=20"]


@pytest.mark.parametrize(
    "path",
    [
        "crawl.warc.gz",
        "it's.gz",
        "two words.gz",
        "tests/*.py",
        'a"b".gz',
        "back\\slash.gz",
        "$$(touch made);`x`&.gz",
        "글.gz",
    ],
)
def test_a_path_arrives_as_it_was_written(path: str) -> None:
    said = words("pipeline", f"WARC={path}")
    assert said[:3] == ["run", "pipelines/ko.yaml", "--set"] and len(said) == 4
    key, _, value = said[3].partition("=")
    assert key == "sources.crawl.paths"
    assert yaml.safe_load(value) == [path.replace("$$", "$")]


def test_a_path_needs_no_sample() -> None:
    assert "sample.generate" not in make("-n", "pipeline", "WARC=x.gz").stdout


def test_several_settings_keep_their_quotes() -> None:
    wanted = [
        "stages.language.keep=label='ko'",
        "stages.rules.keep=a>=1&&b<2",
        'x=["y*"]',
        "name=it's",
        "stages.a=null",
    ]
    said = words("pipeline", f"SET={' '.join(wanted)}")
    assert said == ["run", "pipelines/ko.yaml", *[word for one in wanted for word in ("--set", one)]]


@pytest.mark.parametrize("arguments", [["LANG=ko"], []])
def test_children_get_a_locale_and_not_the_language(arguments: list[str], tmp_path: Path) -> None:
    shows = tmp_path / "shows.mk"
    shows.write_text('include Makefile\nshown:\n\t@echo "$$LANG $$LC_ALL $$PYTHONUTF8 $(CODE)"\n', encoding="utf-8")
    done = make("-f", str(shows), "shown", *arguments, LANG="ko")
    assert done.stdout == "C.UTF-8 C.UTF-8 1 ko\n", done.stderr


def test_training_looks_for_the_run_before_it_installs_anything(tmp_path: Path) -> None:
    code = next(code for code in ("vi", "th", "zh") if not (ROOT / "runs" / code).exists())
    done = make("train", f"LANG={code}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode == 2
    assert f"no finished run in runs/{code}: run 'make pipeline LANG={code}' first" in done.stderr
    assert not (tmp_path / "venv").exists()
