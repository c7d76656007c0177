"""The models that ship, on real text that they were not fitted on."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.classifiers.artifacts import MODELS as MODELS_FOLDER
from winnow.classifiers.artifacts import resolve
from winnow.classifiers.card import SUFFIX, Card, reproducible
from winnow.classifiers.evaluate import Evaluation, evaluate
from winnow.classifiers.examples import Example, examples
from winnow.classifiers.figures import area_under_curve
from winnow.classifiers.recipe import load_recipe
from winnow.classifiers.scorer import FasttextScorer, content_digest, load, load_scorer
from winnow.pipelines.sample.generate import TRUTH, generate

MODELS = ["ko-domain", "ko-quality", "ko-toxicity"]


def scorer(name: str) -> FasttextScorer:
    path = resolve(name).path
    return load_scorer(path, content_digest(path))


@pytest.fixture(scope="module")
def held_out(data: Path) -> dict[str, list[Example]]:
    """Of each model the examples that it was not fitted on."""
    return {name: [one for one in examples(load_recipe(name), data) if one.test] for name in MODELS}


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
def test_held_out_figures_are_those_of_the_card(name: str, held_out: dict[str, list[Example]]) -> None:
    figures = judged(name, held_out[name])
    card = resolve(name).path.with_suffix(".md").read_text("utf-8")
    stated = re.search(r"accuracy (\d\.\d+), (?:macro-)?F1 (\d\.\d+)", card)
    assert stated is not None
    f1 = figures.by_label[figures.positive].f1 if figures.positive else figures.figures["macro_f1"].value
    accuracy = figures.figures["accuracy"].value
    assert accuracy is not None and f1 is not None
    assert accuracy > float(stated[1]) - 0.01
    assert f1 > float(stated[2]) - 0.01


def judged(name: str, tests: list[Example]) -> Evaluation:
    loaded = load(resolve(name).path)
    return evaluate(loaded.scorer, tests, loaded.kind, loaded.size, loaded.digest)


@pytest.mark.parametrize("path", sorted(MODELS_FOLDER.glob(f"*{SUFFIX}")), ids=lambda path: path.name)
def test_a_card_s_figures_are_what_its_recipe_gives(path: Path, data: Path) -> None:
    """Bit for bit, so that no card can go stale."""
    card = Card.model_validate_json(path.read_text("utf-8"))
    tests = [one for one in examples(load_recipe(card.model), data) if one.test]
    assert reproducible(judged(card.model, tests)) == card.evaluation


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


def test_prose_is_kept_in_any_register_and_in_order_alone(data: Path, korquad: list[str]) -> None:
    def texts(file: str) -> list[str]:
        with gzip.open(data / f"{file}.jsonl.gz", "rt", encoding="utf-8") as stream:
            return [json.loads(line)["text"] for line in stream]

    essays, reviews = texts("ko-pool/nanet-book-reviews"), texts("ko-sentiment-nsmc/neutral_unlabelled")[:2000]
    ten = ["\n".join(reviews[start : start + 10]) for start in range(0, len(reviews), 10)]
    good = [essays, *(texts(f"ko-pool/{name}") for name in ("unesco-ko", "python-docs-ko", "law-kr")), korquad]
    bad = [reviews, ten, *(texts(f"ko-pool/{name}") for name in ("changelog-law", "po-raw", "page-text-boilerplate"))]
    loaded = load(resolve("ko-writing").path)
    wide = loaded.scorer.meaning.thresholds["wide"].at
    found: list[float] = []
    for group in (*good, *([shuffled(text) for text in group] for group in (essays, korquad)), *bad):
        found.append(float((loaded.scorer.predict(group).scores >= wide).mean()) * 100)
    card = resolve("ko-writing").path.with_suffix(".md").read_text("utf-8")
    limits = " ".join(card[card.index("Of sources that it never saw") : card.index("measures these")].split())
    assert [float(share) for share in re.findall(r"(\d+)%", limits)] == pytest.approx(found, abs=0.5)


def test_toxicity_hardly_ever_drops_clean_prose(crawl_pages: list[str], korquad: list[str]) -> None:
    toxicity = scorer("ko-toxicity")
    assert (toxicity.score(korquad)[1] >= 0.8).mean() <= 0.005
    assert (toxicity.score(crawl_pages)[1] >= 0.8).mean() <= 0.01


def stated(name: str, sentence: str) -> list[float]:
    """The numbers that a card gives where `sentence` has groups."""
    found = re.search(sentence, resolve(name).path.with_suffix(".md").read_text("utf-8"))
    assert found is not None, sentence
    return [float(number.replace(",", "")) for number in found.groups()]


def shuffled(text: str) -> str:
    words = text.split()
    random.Random(len(text)).shuffle(words)
    return " ".join(words)


def test_quality_does_not_see_the_order_of_words(crawl_pages: list[str], korquad: list[str]) -> None:
    kept = []
    for texts in (crawl_pages, korquad):
        kept += [int((scorer("ko-quality").score([shuffled(text) for text in texts])[1] >= 0.4).sum()), len(texts)]
    assert kept == stated(
        "ko-quality", r"words shuffled as without, (\d+) of (\d+) pages and (\d+) of (\d+) paragraphs"
    )


@pytest.fixture(scope="module")
def comments(held_out: dict[str, list[Example]]) -> dict[tuple[str, str], list[str]]:
    """Held-out texts of ko-toxicity by source and label."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in held_out["ko-toxicity"]:
        found.setdefault((one.source, one.label), []).append(one.text)
    return found


def flagged(texts: list[str]) -> float:
    """Percentage that the shipped declaration drops."""
    return float((scorer("ko-toxicity").score(texts)[1] >= 0.8).mean()) * 100


def test_abusive_comments_under_clean_text_are_found_as_often_as_the_card_says(
    comments: dict[tuple[str, str], list[str]], crawl_pages: list[str], korquad: list[str]
) -> None:
    abuse = comments["Curse-detection-data", "toxic"]
    pages = ["\n".join(korquad[5 * n : 5 * n + 5]) for n in range(100)]
    spoiled = {
        count: ["\n".join([page, *abuse[n : n + count]]) for n, page in enumerate(pages)] for count in (10, 5, 1)
    }
    _, scores = scorer("ko-toxicity").score(spoiled[10] + pages)
    assert area_under_curve(np.arange(200) < 100, scores) > 0.98
    assert (scores[100:] >= 0.8).mean() <= 0.02
    sentence = r"(\d+)% pass 0.8 with ten abusive comments under them, (\d+)% with five and (\d+)% with one"
    assert [flagged(texts) for texts in spoiled.values()] == pytest.approx(stated("ko-toxicity", sentence), abs=0.5)

    def with_one(texts: list[str], least: int, most: int) -> float:
        chosen = [text for text in texts if least <= len(text.split()) < most]
        assert len(chosen) > 40
        return flagged([f"{text}\n{abuse[n % len(abuse)]}" for n, text in enumerate(chosen)])

    sentence = (
        r"(\d+)% of paragraphs of 100 to 200 words and (\d+)% of those of 200 to 400; of the manual and news pages "
    )
    sentence += r"(\d+)% and (\d+)%, and none from 400 words on"
    found = [with_one(texts, *span) for texts in (korquad, crawl_pages) for span in ((100, 200), (200, 400))]
    assert found == pytest.approx(stated("ko-toxicity", sentence), abs=0.5)
    assert with_one(crawl_pages, 400, 10**9) == 0


def test_fifteen_clean_comments_are_taken_for_abuse_as_often_as_the_card_says(
    comments: dict[tuple[str, str], list[str]],
) -> None:
    found = []
    for source in ("Curse-detection-data", "kocohub labelled comments"):
        clean = comments[source, "clean"]
        found.append(flagged(["\n".join(clean[n : n + 15]) for n in range(0, len(clean) - 14, 15)]))
    sentence = r"pass 0.8 in (\d+)% \(community sites\) and (\d+)% \(news\) of cases"
    assert found == pytest.approx(stated("ko-toxicity", sentence), abs=0.5)


def test_domain_tells_headlines_of_seven_topics_apart(held_out: dict[str, list[Example]]) -> None:
    headlines = [one for one in held_out["ko-domain"] if one.source == "KLUE YNAT headlines"]
    figures = judged("ko-domain", headlines)
    macro = np.mean([one.f1 for label, one in figures.by_label.items() if label != "documentation"])
    card = stated("ko-domain", r"headlines alone accuracy is (0\.\d+) and macro-F1 over the seven topics (0\.\d+)")
    assert [figures.figures["accuracy"].value, macro] == pytest.approx(card, abs=0.01)


def test_domain_calls_manuals_documentation_and_an_encyclopedia_not(crawl_pages: list[str], korquad: list[str]) -> None:
    for texts, sentence in (
        (crawl_pages, r"(\d+) of (\d+) Korean manual and news pages"),
        (korquad, r"(\d+) of (\d+) encyclopedia paragraphs"),
    ):
        labels, _ = scorer("ko-domain").score(texts)
        count, of = stated("ko-domain", sentence)
        assert of == len(texts)
        assert sum(label == "documentation" for label in labels) / of == pytest.approx(count / of, abs=0.01)


def test_domain_labels_whole_texts_of_the_sample(sample: list[dict[str, str]]) -> None:
    labelled = [row for row in sample if row["domain"]]
    for rows, sentence in (
        ([row for row in sample if row["category"] == "original"], r"is (0\.\d+) on the ([\d,]+) originals"),
        (labelled, r"(0\.\d+) on all ([\d,]+) Korean pages"),
    ):
        accuracy, count = stated("ko-domain", sentence)
        assert count == len(rows)
        assert np.mean(list(accuracies(rows).values())) == pytest.approx(accuracy, abs=0.01)
    by_label = accuracies(labelled)
    assert len(by_label) == 8
    for label, value in by_label.items():
        assert [value] == pytest.approx(stated("ko-domain", rf"By label on .*?\b{label} (0\.\d+)"), abs=0.01)


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
