"""The `linear` stage, with models fitted on texts of these tests."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.classifiers.linear_fit import fit_linear, rows_of
from winnow.classifiers.linear_model import MAGIC, Header, LinearFeatures, read_model, write_model
from winnow.classifiers.meaning import Calibration, Meaning, Threshold
from winnow.classifiers.recipe import Linear
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.linear import KIND

WORDS = {
    "sea": "바다 고래 파도 항구 등대 어부 그물 섬 물결 갈매기".split(),
    "land": "산 언덕 들판 농부 쟁기 밭 숲 오솔길 바위 사슴".split(),
    "sky": "구름 별 달 바람 새 무지개 노을 번개 비행기 해".split(),
}
TOP = Threshold(at=0.75, rule="precision 0.9", precision=0.9, recall=0.5, share=0.3, examples=100)
LOW = Threshold(at=0.25, rule="recall 0.9", keep="below", precision=0.9, recall=0.9, share=0.3, examples=100)


def text_of(label: str, seed: int, words: int = 8) -> str:
    dice = random.Random(f"{label} {seed}")
    return " ".join(dice.choice(WORDS[label]) + dice.choice(["", "가", "를", "에서"]) for _ in range(words))


def fitted(path: Path, labels: tuple[str, ...], features: LinearFeatures, **more: object) -> Path:
    texts = [(text_of(label, seed), label) for seed in range(60) for label in labels]
    positive = labels[0] if len(labels) == 2 else None
    meaning = Meaning(name=path.stem, positive=positive, labels=tuple(sorted(labels)), language="ko", **more)  # type: ignore[arg-type]
    fit_linear([t for t, _ in texts], [n for _, n in texts], [1.0] * len(texts), 0.0, features, Linear(), meaning, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`two` labels with words and thresholds, `three` labels, and `windows`, whose score is that of a text's highest ones."""
    folder = tmp_path_factory.mktemp("linear")
    platt = Calibration(kind="platt", x=(1.5,), y=(0.2,), examples=50)
    named = {"strict": TOP, "flag": LOW}
    return {
        "two": fitted(
            folder / "two.linear",
            ("sea", "land"),
            LinearFeatures(words=2, bits=14),
            calibration=platt,
            thresholds=named,
        ),
        "three": fitted(folder / "three.linear", ("sea", "land", "sky"), LinearFeatures(maxn=3, bits=14)),
        "windows": fitted(
            folder / "windows.linear", ("sea", "land"), LinearFeatures(bits=14, window=8, top=0.1, squeeze=False)
        ),
    }


def documents(texts: list[str], urls: list[str | None] | None = None) -> pa.RecordBatch:
    rows = [
        {"id": f"{n:032x}", "url": urls[n] if urls else None, "date": None, "source": "t", "title": None, "text": text}
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)


def stage(model: Path, pipeline: str = "ko", **more: object) -> KIND:
    return KIND(name="where", settings=KIND.Settings(model=str(model), **more), pack=language_pack(pipeline))


@pytest.mark.parametrize("name", ["two", "three"])
def test_texts_that_it_never_saw_are_told_apart(models: dict[str, Path], name: str) -> None:
    known = ("sea", "land") if name == "two" else tuple(WORDS)
    texts = [text_of(label, seed) for seed in range(500, 520) for label in known]
    found = stage(models[name], probabilities=known[:2]).measure(documents(texts))
    assert found.column("label").to_pylist() == list(known) * 20
    assert {f.name: f.type for f in found.schema} == stage(models[name], probabilities=known[:2]).signals()
    columns = [np.array(found.column(f"p_{label}")) for label in known[:2]]
    if name == "two":
        assert np.allclose(sum(columns), 1, atol=1e-6)
        assert (columns[0] == np.array(found.column("score"))).all()
    else:
        assert (np.maximum(*columns) <= np.array(found.column("score")) + 1e-6).all()


def test_a_probability_that_is_asked_for_later_is_measured_alone(models: dict[str, Path]) -> None:
    plain, more = stage(models["three"]), stage(models["three"], probabilities=("sky",))
    assert plain.identity() == more.identity()
    assert list(more.groups()) == ["", "p_sky"]
    texts = documents([text_of("sky", 3)])
    alone = more.open(more.artifacts(), ["p_sky"]).measure(texts)
    assert alone.column_names == ["p_sky"]
    assert alone.column("p_sky") == more.measure(texts).column("p_sky")
    assert plain.measure(texts).column_names == ["label", "score"]


def test_without_latin_letters_names_say_nothing() -> None:
    def read(latin: bool) -> list[list[int]]:
        texts = ["Ship 파도가", "éßqz 파도가", "Ship7 파도가"]
        bounds, found, _ = rows_of(texts, LinearFeatures(bits=14, latin=latin))
        return [found[first:last].tolist() for first, last in pairwise(bounds)]

    ship, other, numbered = read(latin=False)
    assert ship == other != numbered
    assert read(latin=True)[0] != read(latin=True)[1]


def test_texts_without_words_have_no_label(models: dict[str, Path]) -> None:
    for path in models.values():
        found = stage(path).measure(documents(["", " \n\t\u3000", "바다"]))
        assert found.column("label").to_pylist()[:2] == [None, None]
        assert found.column("score").to_pylist()[:2] == [0.0, 0.0]
        assert found.column("label")[2].as_py() is not None
        assert stage(path).measure(documents([])).num_rows == 0


TEXTS = st.lists(
    st.sampled_from([text_of(n, s, 30) for n in WORDS for s in range(3)] + ["", " \n"]) | st.text(), max_size=9
)


@pytest.mark.parametrize("name", ["two", "three", "windows"])
@settings(max_examples=20)
@given(texts=TEXTS)
def test_a_row_does_not_depend_on_its_batch(models: dict[str, Path], name: str, texts: list[str]) -> None:
    one = pickle.loads(pickle.dumps(stage(models[name])))
    together = one.measure(documents(texts))
    alone = [one.measure(documents([text])) for text in texts]
    assert together.to_pylist() == [batch.to_pylist()[0] for batch in alone]
    sliced = documents(["바다", *texts]).slice(1)
    assert one.measure(sliced).to_pylist() == together.to_pylist()


def test_a_batch_larger_than_one_piece_is_measured_alike(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text_of(label, seed, seed % 40) for seed in range(60) for label in WORDS]
    whole = stage(models["windows"]).measure(documents(texts))
    monkeypatch.setattr("winnow.classifiers.linear_model.BATCH", 300)
    assert stage(models["windows"]).measure(documents(texts)) == whole


def test_the_beginning_counts_from_the_first_character_that_is_no_space(models: dict[str, Path]) -> None:
    sea, land = text_of("sea", 1, 5), text_of("land", 2, 50)
    one = stage(models["two"], chars=len(sea))
    assert one.measure(documents([f"\n \u3000{sea} {land}"])) == one.measure(documents([sea]))
    assert stage(models["two"]).measure(documents([f"{sea} {land}"])).column("label")[0].as_py() == "land"


def test_one_window_far_down_a_long_text_decides_where_the_highest_count(models: dict[str, Path]) -> None:
    land = "\n".join(text_of("land", seed) for seed in range(9))
    text = f"{land}\n{text_of('sea', 77)}"
    plain, windows = (
        stage(models[name]).measure(documents([text])).column("score")[0].as_py() for name in ("two", "windows")
    )
    assert plain < 0.3 < 0.6 < windows
    shown = stage(models["windows"]).highlight(text, "score")
    assert [text[start:end] for start, end in shown] == [text_of("sea", 77)]


def test_a_threshold_by_name_is_the_default_clause(models: dict[str, Path]) -> None:
    assert stage(models["two"], threshold="strict").clauses() == {"strict": "score >= 0.75"}
    assert stage(models["two"], threshold="flag").clauses() == {"flag": "score < 0.25"}
    assert stage(models["two"]).clauses() == {}
    with pytest.raises(StageError, match="no threshold 'stric': expected one of flag, strict; nearest: 'strict'"):
        stage(models["two"], threshold="stric").clauses()
    with pytest.raises(StageError, match="no threshold 'strict': it brings none"):
        stage(models["three"], threshold="strict").clauses()


def test_the_calibration_is_applied_and_keeps_the_order(models: dict[str, Path], tmp_path: Path) -> None:
    header, rarities, weights = read_model(models["two"])
    bare = tmp_path / "bare.linear"
    write_model(bare, header.model_copy(update={"calibration": None}), rarities, weights)
    texts = [text_of("sea", n, 3) + " " + text_of("land", n, 3) for n in range(30)]
    raw, said = (np.array(stage(p).measure(documents(texts)).column("score"), float) for p in (bare, models["two"]))
    expected = 1 / (1 + np.exp(-(1.5 * np.log(raw / (1 - raw)) + 0.2)))
    assert np.allclose(said, expected, atol=1e-4)
    assert (np.argsort(raw) == np.argsort(said)).all()


def test_hosts_are_scored_once_each_whatever_the_page(tmp_path: Path) -> None:
    hosts = [f"http{'s' * (n % 3)}://{'Casino' if n % 2 else 'library'}-{n}.example/{n}" for n in range(80)]
    labels = ["bad" if n % 2 else "good" for n in range(80)]
    path = tmp_path / "hosts.linear"
    meaning = Meaning(name="hosts", positive="bad", labels=("bad", "good"))
    fit_linear(hosts, labels, [1.0] * 80, 0.0, LinearFeatures(on="host", bits=12), Linear(), meaning, path)
    urls = [
        "https://Casino-901.example:443/a",
        "http://library-902.example/casino",
        None,
        "https://casino-901.example/b",
    ]
    found = stage(path, "en").measure(documents(["x"] * 4, urls))
    assert found.column("label").to_pylist() == ["bad", "good", None, "bad"]
    assert found.column("score")[0] == found.column("score")[3]
    assert stage(path).highlight("casino", "score") == []


def refused(model: Path, pipeline: str = "ko", **more: object) -> str:
    with pytest.raises(StageError) as caught:
        stage(model, pipeline, **more).artifacts()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("cut", [0, 5, 12, 100, 0.5, 0.99])
def test_truncated_files_are_refused(models: dict[str, Path], tmp_path: Path, cut: float) -> None:
    whole = models["two"].read_bytes()
    path = tmp_path / "cut.linear"
    path.write_bytes(whole[: int(cut * len(whole)) if 0 < cut < 1 else int(cut)])
    said = refused(path)
    assert "is no linear model" in said or "is a damaged linear model" in said


def test_what_a_header_cannot_say_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    whole = models["two"].read_bytes()
    (size,) = struct.unpack_from("<Q", whole, len(MAGIC))
    start = len(MAGIC) + 8
    header, packed = json.loads(whole[start : start + size]), whole[start + size : -32]

    def written(change: dict[str, object], body: bytes = packed) -> Path:
        said = json.dumps(header | change).encode()
        content = MAGIC + struct.pack("<Q", len(said)) + said + body
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.linear"
        path.write_bytes(content + hashlib.sha256(content).digest())
        return path

    assert refused(written({"bias": [float("nan")]})).endswith("bias.0: Input should be a finite number")
    assert "scales.0" in refused(written({"scales": [float("inf")]}))
    assert "expected two or more" in refused(written({"labels": ["sea"]}))
    assert "positive label 'fire'" in refused(written({"positive": "fire"}))
    assert "expected 1 of each" in refused(written({"scales": [1.0, 2.0]}))
    assert "features.version" in refused(written({"features": header["features"] | {"version": 9}}))
    assert "damaged" in refused(written({"features": header["features"] | {"bits": 15}}))
    assert "damaged" in refused(written({}, b"not packed"))
    flipped = bytearray(whole)
    flipped[-40] ^= 1
    (tmp_path / "flipped.linear").write_bytes(flipped)
    assert "its checksum is not that" in refused(tmp_path / "flipped.linear")
    (tmp_path / "other.linear").write_bytes(b"\x00" * 5000)
    assert "is no linear model: expected a file that `winnow fit linear` wrote" in refused(tmp_path / "other.linear")


def test_a_model_of_another_language_or_label_is_refused(models: dict[str, Path]) -> None:
    said = refused(models["two"], "en")
    assert "was fitted on texts in ko, and the pipeline's language is en" in said and "`language: ko`" in said
    for meant in ("ko", "kor", "any"):
        assert stage(models["two"], "en", language=meant).artifacts()
    assert "and `language` says fr" in refused(models["two"], "ko", language="fr")
    assert "no label 'see'; expected one of land, sea; nearest: 'sea'" in refused(models["two"], probabilities=("see",))


def test_two_labels_of_one_signal_s_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.linear"
    features = LinearFeatures(bits=8)
    odd = Header(name="odd", positive="a b", labels=("a b", "a-b"), features=features, scales=(1.0,), bias=(0.0,))
    write_model(path, odd, np.zeros(256, np.uint8), np.zeros((256, 1), np.int8))
    assert "labels a b, a-b of the model would be one signal, p_a_b" in refused(path, probabilities=("a b",))
    assert "p_a_b" in stage(path, probabilities=("a-b",)).signals()
