"""Tier 1: a small model warmed on a pool, trained on from there on texts, measured on documents. Figures that repeat."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch

from winnow.pipelines.prove.proxy import prepare as preparing
from winnow.pipelines.prove.proxy.ladder import SIZES, ladder, settings_of
from winnow.pipelines.prove.proxy.on_ray import on_ray
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.proxy.tier import ProxyTier, tiers
from winnow.pipelines.prove.scores import Scores
from winnow.pipelines.results.table import RunError
from winnow.tokenize.tokenizer import find, load

SMALL = ProxySettings(
    vocabulary=320,
    layers=1,
    width=32,
    heads=2,
    context=32,
    batch=4,
    warm_tokens=20_000,
    warm_rate=1e-2,
    tokens=12_000,
    rates=(5e-3, 1e-3),
    averaged=3,
    overlap=8,
    warm_threads=1,
)
NAMES = ("미나", "준호", "서연", "도윤", "하은")
PLACES = ("시장에서", "강가에서", "도서관에서", "산길에서", "기차역에서")
DEEDS = ("책을 읽었다", "친구를 만났다", "사과를 샀다", "노래를 불렀다", "비를 피했다")
MARKS = ("<td>", "&nbsp;", "href=", "{{0}}", "0x7f", "</div>", "==>", "%20")


def prose(count: int, seed: int) -> list[str]:
    """Documents of sentences about people, the same for the same seed."""
    rng = random.Random(seed)
    parts = (NAMES, PLACES, DEEDS)
    return [
        " ".join(" ".join(rng.choice(part) for part in parts) + "." for _ in range(rng.randint(2, 9)))
        for _ in range(count)
    ]


def junk(count: int, seed: int) -> list[str]:
    """Documents of markup without order."""
    rng = random.Random(seed)
    return ["".join(rng.choice(MARKS) for _ in range(rng.randint(20, 60))) for _ in range(count)]


TARGETS = {"prose": [*prose(12, seed=90), " ".join(prose(20, seed=91)), ""], "markup": junk(5, seed=92)}


def pool() -> Iterator[str]:
    for good, bad in zip(prose(300, seed=1), junk(300, seed=2), strict=True):
        yield from (good, bad)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ProxyTier]]:
    folder = tmp_path_factory.mktemp("proxy")
    return folder, tiers(pool, SMALL, 0, folder)


def bits(scores: dict[str, Scores]) -> dict[str, list[float]]:
    (measure,) = scores.values()
    return {name: values.tolist() for name, values in measure.bits.items()}


def test_an_arm_of_prose_serves_prose_and_one_of_markup_markup(
    made: tuple[Path, list[ProxyTier]], tmp_path: Path
) -> None:
    high, low = made[1]
    assert (high.name, low.name) == ("proxy-lr-0.005", "proxy-lr-0.001") and high.unit == "utf8_byte"
    first, second = (
        high.score(prose(200, seed=5), 0, TARGETS, tmp_path),
        high.score(junk(200, seed=6), 0, TARGETS, tmp_path),
    )
    clean, dirty = first[high.name], second[high.name]
    assert clean.bits["prose"].sum() < 0.8 * dirty.bits["prose"].sum()
    assert clean.bits["markup"].sum() > 1.2 * dirty.bits["markup"].sum()
    assert clean.utf8_bytes["prose"].tolist() == [len(text.encode()) for text in TARGETS["prose"]]
    assert clean.characters["prose"].tolist() == [len(text) for text in TARGETS["prose"]]
    assert clean.bits["prose"][-1] == 0.0  # an empty document
    assert not list(tmp_path.iterdir())
    # A smaller rate moves less, in the same direction.
    slow = [
        low.score(texts, 0, TARGETS, tmp_path)[low.name].bits["prose"].sum() for texts in (prose(200, 5), junk(200, 6))
    ]
    assert 0 < slow[1] - slow[0] < dirty.bits["prose"].sum() - clean.bits["prose"].sum()


def test_the_same_seed_repeats_every_bit_and_another_does_not(
    made: tuple[Path, list[ProxyTier]], tmp_path: Path
) -> None:
    tier, texts = made[1][0], prose(150, seed=8)
    first = bits(tier.score(texts, 3, TARGETS, tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # as another process might have it
    torch.rand(3)
    again = bits(tier.score(texts, 3, TARGETS, tmp_path))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert first == again
    assert first != bits(tier.score(texts, 4, TARGETS, tmp_path))
    # A document's bits do not depend on those it is measured with, but for the last digits of sums in another shape.
    alone = tier.score(texts, 3, {"one": TARGETS["prose"][12:13]}, tmp_path)[tier.name].bits["one"]
    np.testing.assert_allclose(alone, first["prose"][12:13], rtol=1e-5)


def test_what_is_prepared_is_made_once_and_whole(made: tuple[Path, list[ProxyTier]], tmp_path: Path) -> None:
    folder, before = made
    (there,) = folder.iterdir()
    model = there / "model" / "model.safetensors"
    content, age = model.read_bytes(), model.stat().st_mtime_ns
    again = tiers(pool, SMALL, 0, folder)
    assert [tier.identity for tier in again] == [tier.identity for tier in before]
    assert model.stat().st_mtime_ns == age
    assert len({tier.identity for tier in again}) == 2
    # Other settings of the arms leave it alone; what a kill leaves is not taken for it, and made again it is the same.
    longer = tiers(pool, SMALL.model_copy(update={"tokens": 16_000}), 0, folder)
    assert longer[0].identity != before[0].identity and list(folder.iterdir()) == [there]
    (tmp_path / f".{there.name}.partial" / "model").mkdir(parents=True)
    (tmp_path / there.name).mkdir()
    fresh = tiers(pool, SMALL, 0, tmp_path)
    assert (tmp_path / there.name / "model" / "model.safetensors").read_bytes() == content
    assert fresh[0].identity == before[0].identity
    other = tiers(pool, SMALL, 1, tmp_path)
    assert other[0].identity != before[0].identity


def test_runs_on_ray_give_the_same_bits_side_by_side(
    made: tuple[Path, list[ProxyTier]], ray_session: None, tmp_path: Path
) -> None:
    tier = made[1][0]
    arms = [prose(150, seed=8), junk(150, seed=9)]
    with on_ray(SMALL) as cluster, ThreadPoolExecutor(2) as threads:
        sent = cluster.send(tier)
        assert (sent.name, sent.identity, sent.unit) == (tier.name, tier.identity, tier.unit) and cluster.workers >= 1
        both = list(threads.map(lambda texts: bits(sent.score(texts, 3, TARGETS, tmp_path)), arms))
        with pytest.raises(RunError, match=r"proxy-lr-0\.005, seed 0: .* tokens are too few for one sequence of 32"):
            sent.score(["짧다"], 0, TARGETS, tmp_path)
    assert both == [bits(tier.score(texts, 3, TARGETS, tmp_path)) for texts in arms]
    with pytest.raises(RunError, match=r"has \d+ CPUs and 0 GPUs; a run of these proxies needs 1 CPUs and 1 GPU"):  # noqa: SIM117
        with on_ray(ladder("4M")):
            raise AssertionError


def test_without_warm_tokens_arms_start_from_the_seed(tmp_path: Path) -> None:
    scratch = SMALL.model_copy(update={"warm_tokens": 0, "curve": "cosine", "averaged": 1})
    (tier, _) = tiers(pool, scratch, 0, tmp_path)
    one, same, other = (bits(tier.score(prose(100, 8), seed, TARGETS, tmp_path / "arm")) for seed in (1, 1, 2))
    assert one == same and one["prose"] != other["prose"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 30, "heads": 4}, "width 30 is not a multiple of heads 4"),
        ({"overlap": 256}, "overlap 256 is not below context 256"),
        ({"rates": (1e-3, 1e-3)}, "rates 0.001, 0.001 name one twice"),
        ({"rates": (1e-1,)}, "rates go up to 0.1, above warm_rate"),
        ({"tokens": 100}, "tokens 100 is less than one step of"),
        ({"averaged": 10**6}, "averaged 1000000 is more than the"),
        ({"layrs": 1}, "proxy.layrs: unknown; nearest: 'layers'"),
        ({"size": "4M"}, "proxy.size: 4M is of tier 2: expected --tier 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        settings_of(changes, 1)


def test_a_small_pool_gets_a_smaller_vocabulary_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scratch = SMALL.model_copy(update={"warm_tokens": 0, "vocabulary": 4096})
    tier = tiers(pool, scratch, 0, tmp_path)[0]
    assert load(find(str(tier.prepared.folder / "tokenizer"))).vocab_size == 320
    said = capsys.readouterr()
    assert "too small for 4,096 tokens; the proxies' vocabulary has 320" in " ".join((said.out + said.err).split())


def test_what_cannot_be_prepared_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match=r"the proxy cannot be prepared: .*fill a vocabulary of \d+, expected 320"):
        tiers(lambda: iter(["짧다"]), SMALL, 0, tmp_path)
    found: Callable[[str], ModuleSpec | None] = importlib.util.find_spec
    monkeypatch.setattr(preparing, "find_spec", lambda name: None if name == "torch" else found(name))
    with pytest.raises(RunError, match=r"needs torch, not installed here: pip install 'winnow\[train\]'"):
        tiers(pool, SMALL, 0, tmp_path)


def test_a_size_of_the_ladder_may_be_changed() -> None:
    assert settings_of({"size": "10M", "tokens": 10**7}, 2) == ladder("10M").model_copy(update={"tokens": 10**7})
    with pytest.raises(RunError, match=r"proxy\.size: 12M: expected one of"):
        settings_of({"size": "12M"}, 2)


def test_the_ladder_has_the_published_sizes() -> None:
    for name, size in SIZES.items():
        settings = ladder(name, vocabulary=50_304)
        a_layer = 4 * settings.width**2 + 3 * settings.width * int(settings.ffn or 0)
        parameters = settings.vocabulary * settings.width + settings.layers * a_layer
        assert parameters == pytest.approx(size.parameters * 1e6, rel=0.02), name
        assert settings.steps * settings.step_tokens == pytest.approx(100 * size.parameters * 1e6, rel=1e-3)
        assert json.loads(settings.model_dump_json())["device"] == "cuda"
    assert ladder("4M").rates == (pytest.approx(1.4e-2, rel=0.04),) and ladder("150M").rates[0] == pytest.approx(
        4.2e-3, rel=0.01
    )
