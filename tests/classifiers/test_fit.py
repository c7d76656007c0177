"""Fitting one's own classifier from JSONL files, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import yaml

from winnow.classifiers.card import SUFFIX, Card, reproducible
from winnow.classifiers.evaluate import evaluate
from winnow.classifiers.examples import examples
from winnow.classifiers.fit import FitReport
from winnow.classifiers.fit import fit_classifier as fit_recipe
from winnow.classifiers.recipe import RecipeError, load_recipe, recipes
from winnow.classifiers.scorer import load
from winnow.classifiers.search import Kind

KINDS: tuple[Kind, ...] = ("fasttext", "linear")

GOOD = [
    "태양은 {}개의 행성을 거느린 항성이다.",
    "조선은 {}년 동안 이어진 왕조이다.",
    "이 법은 공포 후 {}일이 지난 날부터 시행한다.",
]
BAD = ["진짜 노잼 ㅋㅋㅋ {}번 봤는데 돈 아까움", "와 대박 개꿀 ㅠㅠ {}점 줌", "알바냐? {}년째 이러네 ㅡㅡ"]


def fit_classifier(recipe: Path, data: Path, out: Path, kind: Kind = "fasttext") -> FitReport:
    return fit_recipe(load_recipe(recipe), kind, data, out, f"winnow fit {kind} mine")


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


@pytest.mark.parametrize("kind", KINDS)
def test_two_fits_are_identical_byte_for_byte(own: Path, tmp_path: Path, kind: Kind) -> None:
    reports = [fit_classifier(own, tmp_path, tmp_path / name, kind) for name in ("first", "second")]
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("first", "second"))
    assert [path.name for path in first] == [path.name for path in second]
    assert len(first) == (4 if kind == "fasttext" else 3)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    accuracy = reports[0].evaluation.figures["accuracy"].value
    assert accuracy is not None and accuracy > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_fitted_model_scores_its_own_kind_and_its_card_s_figures_are_what_it_has(
    own: Path, tmp_path: Path, kind: Kind
) -> None:
    report = fit_classifier(own, tmp_path, tmp_path / "out", kind)
    loaded = load(report.model)
    found = loaded.scorer.predict(["금성은 해에서 둘째로 가까운 항성이다.", "돈 아까움 ㅋㅋㅋ 노잼", "  \n "])
    assert found.said() == ["good", "bad", None]
    assert found.scores[0] > 0.5 > found.scores[1]
    assert found.scores[2] == 0
    card = Card.model_validate_json((tmp_path / "out" / f"mine{SUFFIX}").read_text("utf-8"))
    tests = [one for one in examples(load_recipe(own), tmp_path) if one.test]
    again = evaluate(loaded.scorer, tests, loaded.kind, loaded.size, loaded.digest)
    assert card.digest == loaded.digest
    assert card.evaluation == reproducible(again)
    page = report.card.read_text("utf-8")
    for part in ("| mine | own |", "Licence of the model: own", f"`winnow fit {kind} mine`", report.digest, "auc"):
        assert part in page


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
        ({"sources": [{"group": "film"}]}, "no column 'film'"),
        ({"positive": None}, "expected `positive`, one of bad, good"),
        ({"thresholds": {"strict": {"precision": 0.9, "recall": 0.9}}}, "exactly one of precision, recall, share"),
        ({"thresholds": {"top": {"share": 0.1, "of": "ugly"}}}, "no text of label 'ugly'"),
        ({"validation": 0, "search": {"tries": 2}}, "need a `validation` side"),
        ({"search": {"tries": 1, "size": 1000}}, "of at most 1,000 bytes"),
        ({"name": "../mine"}, "name"),
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
