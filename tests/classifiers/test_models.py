"""The models that ship, on real text that they were not fitted on."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.classifiers.artifacts import resolve
from winnow.classifiers.evaluate import area_under_curve, evaluate, f1_score
from winnow.classifiers.examples import examples
from winnow.classifiers.recipe import load_recipe
from winnow.classifiers.scorer import Scorer, content_digest, load_scorer
from winnow.pipelines.sample.generate import TRUTH, generate

MODELS = ["ko-domain", "ko-quality", "ko-toxicity"]


def scorer(name: str) -> Scorer:
    path = resolve(name).path
    return load_scorer(path, content_digest(path))


@pytest.fixture(scope="module")
def korquad(data: Path) -> list[str]:
    articles = json.loads((data / "ko-hq-korquad1-ND/KorQuAD_v1.0_dev.json").read_text("utf-8"))["data"]
    return [part["context"] for article in articles for part in article["paragraphs"]]


@pytest.fixture(scope="module")
def crawl_pages(crawl_truth: list[dict[str, Any]]) -> list[str]:
    return [row["gold_text"] for row in crawl_truth if row.get("lang") == "ko" and row.get("gold_text")]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What the bundled sample's Korean pages hold; no model was fitted on them."""
    truth = generate(tmp_path_factory.mktemp("sample")).with_name(TRUTH)
    rows = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    return [row for row in rows if row["language"] == "ko" and row["gold"]]


@pytest.mark.parametrize("name", MODELS)
def test_card_and_sidecar_belong_to_the_model(name: str) -> None:
    path = resolve(name).path
    card = path.with_suffix(".md").read_text("utf-8")
    assert content_digest(path) in card
    assert load_recipe(name).licence in card


def test_models_are_small() -> None:
    assert sum(resolve(name).path.stat().st_size for name in MODELS) < 8_000_000


@pytest.mark.parametrize("name", MODELS)
def test_held_out_figures_are_those_of_the_card(name: str, data: Path) -> None:
    held_out = [one for one in examples(load_recipe(name), data) if one.test]
    figures = evaluate(scorer(name), held_out)
    card = resolve(name).path.with_suffix(".md").read_text("utf-8")
    stated = re.search(r"accuracy (\d\.\d+), (?:macro-)?F1 (\d\.\d+)", card)
    assert stated is not None
    assert figures.accuracy > float(stated[1]) - 0.01
    assert figures.f1 > float(stated[2]) - 0.01


def test_quality_keeps_real_pages_and_prose_and_drops_reviews(
    data: Path, crawl_pages: list[str], korquad: list[str]
) -> None:
    quality = scorer("ko-quality")
    with gzip.open(data / "ko-sentiment-nsmc/neutral_unlabelled.jsonl.gz", "rt", encoding="utf-8") as stream:
        reviews = [json.loads(line)["text"] for line in stream][:2000]
    joined = ["\n".join(reviews[start : start + 10]) for start in range(0, len(reviews), 10)]
    assert (quality.score(crawl_pages)[1] >= 0.4).all()
    assert (quality.score(korquad)[1] >= 0.4).mean() >= 0.995
    assert (quality.score(joined)[1] >= 0.4).mean() <= 0.02


def test_toxicity_hardly_ever_drops_clean_prose(crawl_pages: list[str], korquad: list[str]) -> None:
    toxicity = scorer("ko-toxicity")
    assert (toxicity.score(korquad)[1] >= 0.8).mean() <= 0.005
    assert (toxicity.score(crawl_pages)[1] >= 0.8).mean() <= 0.01


def test_ten_abusive_comments_under_clean_paragraphs_are_found(data: Path, korquad: list[str]) -> None:
    held_out = [one for one in examples(load_recipe("ko-toxicity"), data) if one.test]
    abuse = [one.text for one in held_out if one.label == "toxic" and one.source == "Curse-detection-data"]
    pages = ["\n".join(korquad[5 * n : 5 * n + 5]) for n in range(100)]
    spoiled = ["\n".join([page, *abuse[n : n + 10]]) for n, page in enumerate(pages)]
    _, scores = scorer("ko-toxicity").score(spoiled + pages)
    assert area_under_curve(np.arange(200) < 100, scores) > 0.98
    assert (scores[:100] >= 0.8).mean() > 0.8
    assert (scores[100:] >= 0.8).mean() <= 0.02


def stated(sentence: str) -> list[float]:
    """The numbers that ko-domain's card gives where `sentence` has groups."""
    found = re.search(sentence, resolve("ko-domain").path.with_suffix(".md").read_text("utf-8"))
    assert found is not None
    return [float(number.replace(",", "")) for number in found.groups()]


def test_domain_tells_headlines_of_seven_topics_apart(data: Path) -> None:
    held_out = [one for one in examples(load_recipe("ko-domain"), data) if one.test]
    figures = evaluate(scorer("ko-domain"), [one for one in held_out if one.source == "KLUE YNAT headlines"])
    macro = np.mean([value for label, value in figures.f1_by_label.items() if label != "documentation"])
    card = stated(r"headlines alone accuracy is (0\.\d+) and macro-F1 over the seven topics (0\.\d+)")
    assert [figures.accuracy, macro] == pytest.approx(card, abs=0.01)


def test_domain_calls_manuals_documentation_and_an_encyclopedia_not(crawl_pages: list[str], korquad: list[str]) -> None:
    for texts, sentence in (
        (crawl_pages, r"(\d+) of (\d+) Korean manual and news pages"),
        (korquad, r"(\d+) of (\d+) encyclopedia paragraphs"),
    ):
        labels, _ = scorer("ko-domain").score(texts)
        count, of = stated(sentence)
        assert of == len(texts)
        assert sum(label == "documentation" for label in labels) / of == pytest.approx(count / of, abs=0.01)


def test_domain_labels_whole_texts_of_the_sample(sample: list[dict[str, str]]) -> None:
    labelled = [row for row in sample if row["domain"]]
    for rows, sentence in (
        ([row for row in sample if row["category"] == "original"], r"is (0\.\d+) on the ([\d,]+) originals"),
        (labelled, r"(0\.\d+) on all ([\d,]+) Korean pages"),
    ):
        accuracy, count = stated(sentence)
        assert count == len(rows)
        assert np.mean(list(accuracies(rows).values())) == pytest.approx(accuracy, abs=0.01)
    by_label = accuracies(labelled)
    assert len(by_label) == 8
    for label, value in by_label.items():
        assert [value] == pytest.approx(stated(rf"By label on .*?\b{label} (0\.\d+)"), abs=0.01)


def accuracies(rows: list[dict[str, str]]) -> dict[str, float]:
    """ko-domain's accuracy on the texts of each true label."""
    labels, _ = scorer("ko-domain").score([row["gold"] for row in rows])
    right: dict[str, list[bool]] = {}
    for row, label in zip(rows, labels, strict=True):
        right.setdefault(row["domain"], []).append(row["domain"] == label)
    return {label: float(np.mean(found)) for label, found in right.items()}


def test_the_sample_s_good_pages_stay_and_its_adverts_go(sample: list[dict[str, str]]) -> None:
    texts = {
        kind: [row["gold"] for row in sample if row["category"] == kind] for kind in ("original", "gambling", "abuse")
    }
    quality, toxicity = scorer("ko-quality"), scorer("ko-toxicity")
    assert (quality.score(texts["original"])[1] >= 0.4).mean() >= 0.97
    assert (quality.score(texts["gambling"])[1] >= 0.4).mean() <= 0.03
    assert (toxicity.score(texts["original"])[1] >= 0.8).mean() <= 0.01
    assert (toxicity.score(texts["abuse"])[1] >= 0.8).mean() >= 0.97


def test_area_and_f1_by_hand() -> None:
    truth = np.array([True, False, True, False])
    assert area_under_curve(truth, np.array([0.9, 0.8, 0.7, 0.1], np.float32)) == 0.75
    assert area_under_curve(truth, np.array([0.5, 0.5, 0.5, 0.5], np.float32)) == 0.5
    assert f1_score(truth, np.array([True, True, False, False])) == 0.5
