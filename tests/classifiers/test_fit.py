"""Fitting one's own classifier from JSONL files, and what is refused."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from winnow.classifiers.fit import fit_classifier
from winnow.classifiers.recipe import RecipeError, load_recipe, recipes
from winnow.classifiers.scorer import content_digest, load_scorer, read_sidecar
from winnow.pipelines.engine.declaration import load_pipeline

GOOD = [
    "태양은 {}개의 행성을 거느린 항성이다.",
    "조선은 {}년 동안 이어진 왕조이다.",
    "이 법은 공포 후 {}일이 지난 날부터 시행한다.",
]
BAD = ["진짜 노잼 ㅋㅋㅋ {}번 봤는데 돈 아까움", "와 대박 개꿀 ㅠㅠ {}점 줌", "알바냐? {}년째 이러네 ㅡㅡ"]


@pytest.fixture()
def own(tmp_path: Path) -> Path:
    """A recipe over two hundred made sentences of two labels, beside its data."""
    with (tmp_path / "mine.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(100):
            for label, shapes in (("good", GOOD), ("bad", BAD)):
                text = shapes[number % len(shapes)].format(number)
                stream.write(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")
    source = {
        "name": "mine",
        "folder": ".",
        "files": "*.jsonl",
        "reader": "jsonl",
        "label_column": "label",
        "licence": "own",
    }
    recipe = {
        "name": "mine",
        "language": "ko",
        "licence": "own",
        "positive": "good",
        "train": {"bucket": 2000, "dim": 8, "lr": 0.5, "epoch": 10},
        "sources": [source],
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    return path


def test_two_fits_are_identical_byte_for_byte(own: Path, tmp_path: Path) -> None:
    reports = [fit_classifier(own, tmp_path, tmp_path / name) for name in ("first", "second")]
    for one, other in zip(*[(r.model, r.sidecar, r.card) for r in reports], strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert reports[0].figures.accuracy > 0.9
    assert reports[0].digest == content_digest(reports[0].model)


def test_a_fit_repeats_in_another_process_and_folder_order(own: Path, tmp_path: Path) -> None:
    here = fit_classifier(own, tmp_path, tmp_path / "here")
    command = [sys.executable, "-m", "winnow.classifiers.fit", "--recipe", str(own), "--data", str(tmp_path)]
    done = subprocess.run([*command, "--out", str(tmp_path / "there")], capture_output=True, text=True, check=True)
    assert "accuracy" in done.stdout
    assert done.stderr == ""
    assert (tmp_path / "there" / "mine.ftz").read_bytes() == here.model.read_bytes()


def test_the_fitted_model_scores_its_own_kind(own: Path, tmp_path: Path) -> None:
    report = fit_classifier(own, tmp_path, tmp_path / "out")
    scorer = load_scorer(report.model, report.digest)
    labels, scores = scorer.score(["금성은 해에서 둘째로 가까운 항성이다.", "돈 아까움 ㅋㅋㅋ 노잼", "  \n "])
    assert labels == ["good", "bad", None]
    assert scores[0] > 0.5 > scores[1]
    assert scores[2] == 0


def test_the_card_names_sources_licence_command_and_digest(own: Path, tmp_path: Path) -> None:
    report = fit_classifier(own, tmp_path, tmp_path / "out")
    card = report.card.read_text("utf-8")
    for part in ("| mine | . | own |", "Licence of the model: own", "--recipe mine", report.digest, "AUC"):
        assert part in card
    sidecar = read_sidecar(report.model)
    assert sidecar is not None
    assert (sidecar.positive, sidecar.labels) == ("good", ("bad", "good"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"positive": "best"}, "positive label 'best'"),
        ({"sources": [{"files": "*.csv"}]}, "no file '*.csv'"),
        ({"sources": [{"text": ["body"]}]}, "no column 'body'"),
        ({"sources": [{"label_column": "class"}]}, "no label column 'class'"),
        ({"sources": [{"labels": {"good": "good"}}]}, "needs two labels"),
        ({"colour": "red"}, "colour"),
        ({"sources": [{"label": "good"}]}, "exactly one of label and label_column"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_sentence(
    own: Path, tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    recipe = yaml.safe_load(own.read_text("utf-8"))
    sources = change.pop("sources", None)
    if isinstance(sources, list):
        recipe["sources"][0].update(sources[0])
    recipe.update(change)
    own.write_text(yaml.safe_dump(recipe), "utf-8")
    with pytest.raises(RecipeError) as caught:
        fit_classifier(own, tmp_path, tmp_path / "out")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_that_is_not_json_is_named(own: Path, tmp_path: Path) -> None:
    with (tmp_path / "mine.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{broken\n")
    with pytest.raises(RecipeError, match=r"mine\.jsonl, line 201: not JSON"):
        fit_classifier(own, tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "said"),
    [("cut.jsonl.gz", "ended before"), ("no.jsonl.zst", "zstd"), ("old.jsonl", "it is no utf-8 text")],
)
def test_a_damaged_file_is_named(own: Path, tmp_path: Path, name: str, said: str) -> None:
    line = '{"text": "가을 하늘이 높다"}\n'
    data = {
        "cut.jsonl.gz": gzip.compress(line.encode())[:-12],
        "no.jsonl.zst": b"not packed",
        "old.jsonl": line.encode("cp949"),
    }
    (tmp_path / name).write_bytes(data[name])
    recipe = yaml.safe_load(own.read_text("utf-8"))
    recipe["sources"][0]["files"] = name
    own.write_text(yaml.safe_dump(recipe), "utf-8")
    with pytest.raises(RecipeError, match=rf"{name} cannot be read: .*{said}"):
        fit_classifier(own, tmp_path, tmp_path / "out")


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="nearest: 'ko-quality'"):
        load_recipe("ko-qualty")


@pytest.mark.parametrize("name", recipes())
def test_shipped_recipes_are_valid_and_name_a_licence_for_every_source(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert all(source.licence for source in recipe.sources)
    assert not any("ND" in source.licence or "korquad" in source.folder for source in recipe.sources)


def test_the_command_says_how_good_it_is_and_how_to_use_it(own: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "winnow.pipelines.cli", "fit", "classifier", str(own), "--data", str(tmp_path)]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, figures, meaning, then = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/out/mine.ftz: ") and "held out" in figures and "AUC" in figures
    assert figures.endswith("mine.md") and meaning.endswith("mine.json") and len(done.stdout) < 1000
    assert then.startswith("measure with it: winnow run DECLARATION --set ")
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n', "utf-8")
    declared = tmp_path / "some.yaml"
    declared.write_text(
        "name: some\nlanguage: ko\nsources: {t: {use: jsonl, paths: [in.jsonl]}}\nstages: {rules: {use: rules}}\n",
        "utf-8",
    )
    (assignment,) = shlex.split(then.partition("--set ")[2])
    assert (
        load_pipeline(declared, [assignment]).nodes["mine"].stage.artifacts()[0].path == tmp_path / "out" / "mine.ftz"
    )


def test_labels_are_read_as_they_are_written(own: Path) -> None:
    """YAML 1.1 takes `yes` and `no` for truth values."""
    text = (
        own.read_text("utf-8").replace("positive: good", "positive: yes").replace("licence: own", "licence: 2024-10-01")
    )
    own.write_text(text, "utf-8")
    recipe = load_recipe(own)
    assert (recipe.positive, recipe.licence) == ("yes", "2024-10-01")
    own.write_text(text.replace("positive: yes", "positive: 1"), "utf-8")
    assert load_recipe(own).positive == "1"
