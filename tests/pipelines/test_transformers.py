"""`use: transformer` and `use: lm_loss` through real runs, beside plain transformers, with tiny random models made here."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import winnow
from tests.needs import needs
from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.model_folder import model_folder
from winnow.classifiers.transformer_head import Head, write_head
from winnow.classifiers.transformer_model import width_of
from winnow.filters.languages import language_pack
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import open_run
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.lm_loss import KIND as LM_LOSS
from winnow.stages.opening import opened
from winnow.stages.transformer import KIND as TRANSFORMER
from winnow.testing import check_stage

from .conftest import Command, english, prose

needs("torch", "transformers", "safetensors")

POSITIONS = 48


def documents() -> list[str]:
    """Blank, one word, texts of one window and of several, in two scripts."""
    dice = random.Random(5)
    made = [prose(n, dice.randint(1, 60)) if n % 2 else english(n)[: dice.randint(5, 300)] for n in range(30)]
    return ["", "  \n", "w", *made]


def save_tokenizer(folder: Path, special: bool) -> int:
    """Byte-level BPE; `special`: with [CLS] before and [SEP] behind. Its number of tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = ["[PAD]", "[CLS]", "[SEP]"] if special else ["<eos>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(documents(), trainer)
    if special:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    named = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"} if special else {"eos_token": "<eos>"}
    PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=POSITIONS, **named).save_pretrained(folder)
    return made.get_vocab_size()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders: `two` and `five` (classifiers), `one` (regression), `encoder`, `small` and `large` (causal)."""
    import torch
    import transformers as t

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    for name, labels in (("two", ["bad", "good"]), ("five", list("abcde")), ("one", ["value"]), ("encoder", [])):
        vocabulary = save_tokenizer(folder / name, special=True)
        more: dict[str, Any] = {"id2label": dict(enumerate(labels))} if labels else {}
        config = t.BertConfig(
            vocab_size=vocabulary,
            max_position_embeddings=POSITIONS,
            initializer_range=0.5 if labels else 0.1,
            **size,
            **more,
        )
        (t.BertForSequenceClassification if labels else t.BertModel)(config).save_pretrained(folder / name)
    for name, layers in (("small", 1), ("large", 2)):
        vocabulary = save_tokenizer(folder / name, special=False)
        shape = size | {"num_hidden_layers": layers, "max_position_embeddings": POSITIONS, "initializer_range": 0.3}
        config = t.LlamaConfig(vocab_size=vocabulary, pad_token_id=None, bos_token_id=None, eos_token_id=0, **shape)
        t.LlamaForCausalLM(config).save_pretrained(folder / name)
    layers = tuple(
        (np.random.default_rng(2).normal(size=s).astype("f4"), np.zeros(s[0], "f4")) for s in ((8, 32), (2, 8))
    )
    head = Head(
        model=model_folder(str(folder / "encoder")).digest,
        pooling="mean",
        max_tokens=40,
        labels=("bad", "good"),
        positive="good",
        layers=layers,
    )
    write_head(head, folder / "head.safetensors")
    return folder


def batch(texts: list[str]) -> pa.RecordBatch:
    rows = [{"id": f"{n:032x}", "source": "test", "text": text} for n, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)


def stage(kind: Any, **settings: object) -> Any:
    return kind(
        name="model", settings=kind.Settings(**{k: _told(v) for k, v in settings.items()}), pack=language_pack("ko")
    )


def _told(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def written(folder: Path, stages: str) -> Path:
    rows = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents())
    (folder / "docs.jsonl").write_text(rows, "utf-8")
    declared = folder / "models.yaml"
    declared.write_text(
        f"name: models\nlanguage: ko\nsources: {{docs: {{use: jsonl, paths: docs.jsonl}}}}\nstages:\n{stages}", "utf-8"
    )
    return declared


@pytest.fixture(scope="module")
def measured(models: Path) -> pl.DataFrame:
    """What a run measures with all of them."""
    stages = f"""
  two:   {{use: transformer, model: {models}/two, positive: good, probabilities: [bad], keep: true}}
  five:  {{use: transformer, model: five, windows: max, batch_tokens: 100, keep: true}}
  one:   {{use: transformer, model: ./one, windows: first, keep: true}}
  head:  {{use: transformer, model: encoder, head: head.safetensors, keep: true}}
  loss:  {{use: lm_loss, model: small, against: large, keep: "loss > 0"}}
"""
    declared = written(models, stages)
    winnow.run(declared, folder=models / "run", local=True, progress=Progress(quiet=True))
    names = [
        "two.score",
        "two.label",
        "two.p_bad",
        "five.score",
        "five.label",
        "one.score",
        "one.label",
        "head.score",
        "head.label",
    ]
    names += [f"loss.{name}" for name in ("tokens", "loss", "bits_per_byte", "salt", "min_k", "difference")]
    return pl.concat(open_run(str(models / "run")).read(["text", *names, "multiplicity"]))


def windows(models: Path, name: str, text: str, most: int = POSITIONS) -> list[list[int]]:
    """As transformers' own tokenizer cuts a text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models / name)
    found: list[list[int]] = tokenizer(text.strip(), truncation=True, max_length=most, return_overflowing_tokens=True)[
        "input_ids"
    ]
    return found


@pytest.fixture(scope="module")
def plain(models: Path) -> Callable[[str, str], Any]:
    """Outputs of each window, one at a time, [windows, outputs]; or of the last hidden states' mean."""
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    loaded = {n: AutoModelForSequenceClassification.from_pretrained(models / n).eval() for n in ("two", "five", "one")}
    loaded["encoder"] = AutoModel.from_pretrained(models / "encoder").eval()

    def run(name: str, text: str) -> Any:
        with torch.inference_mode():
            most = 40 if name == "encoder" else POSITIONS
            out = [loaded[name](input_ids=torch.tensor([row])) for row in windows(models, name, text, most)]
        return np.array([(o.last_hidden_state.mean(1) if name == "encoder" else o.logits)[0].numpy() for o in out])

    return run


def softmax(logits: Any) -> Any:
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def test_scores_are_those_of_plain_transformers(
    models: Path, measured: pl.DataFrame, plain: Callable[[str, str], Any]
) -> None:
    several = 0
    for row in measured.iter_rows(named=True):
        if not row["text"].strip():
            assert all(
                row[f"{name}.{signal}"] is None
                for name in ("two", "five", "one", "head")
                for signal in ("score", "label")
            )
            continue
        lengths = np.array([len(ids) for ids in windows(models, "two", row["text"])])
        several += len(lengths) > 1
        two = (softmax(plain("two", row["text"])) * lengths[:, None]).sum(0) / lengths.sum()
        assert (row["two.p_bad"], row["two.score"]) == pytest.approx(two.tolist(), abs=6e-5)
        assert row["two.label"] == ["bad", "good"][two.argmax()]
        five = softmax(plain("five", row["text"])).max(0)
        assert row["five.score"] == pytest.approx(five.max(), abs=6e-5) and row["five.label"] == "abcde"[five.argmax()]
        assert row["one.score"] == pytest.approx(plain("one", row["text"])[0, 0], abs=6e-5) and row["one.label"] is None
    assert several > 5


def test_a_head_stands_on_the_mean_of_the_last_hidden_states(
    models: Path, measured: pl.DataFrame, plain: Callable[[str, str], Any]
) -> None:
    from safetensors.numpy import load_file

    weights = load_file(models / "head.safetensors")
    for row in measured.filter(pl.col("head.score").is_not_null()).iter_rows(named=True):
        hidden = np.maximum(plain("encoder", row["text"]) @ weights["hidden.weight"].T + weights["hidden.bias"], 0)
        lengths = np.array([len(ids) for ids in windows(models, "encoder", row["text"], 40)])
        scores = (softmax(hidden @ weights["out.weight"].T + weights["out.bias"]) * lengths[:, None]).sum(
            0
        ) / lengths.sum()
        assert row["head.score"] == pytest.approx(scores[1], abs=6e-5)


def test_losses_are_those_of_plain_transformers(models: Path, measured: pl.DataFrame) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models / "small")
    loaded = [AutoModelForCausalLM.from_pretrained(models / name).eval() for name in ("small", "large")]
    short = long = 0
    for row in measured.iter_rows(named=True):
        text = row["text"].strip()
        ids = torch.tensor([tokenizer(text)["input_ids"]], dtype=torch.long)
        if ids.shape[1] < 2:
            assert row["loss.tokens"] == 0 and row["loss.loss"] is None and row["multiplicity"] == 0
            continue
        assert row["loss.tokens"] == ids.shape[1] - 1
        losses, ranks = [], []
        for model in loaded:
            parts = []
            for at in range(0, ids.shape[1] - 1, POSITIONS - 1):
                part = ids[:, at : at + POSITIONS]
                with torch.inference_mode():
                    out = model(input_ids=part, labels=part)
                chances = torch.log_softmax(out.logits[0, :-1].double(), -1)
                own = chances.gather(1, part[0, 1:, None])
                parts.append(-own[:, 0].numpy())
                ranks.append((chances > own).sum(1).numpy())
            losses.append(np.concatenate(parts))
        if ids.shape[1] <= POSITIONS:
            short += 1
            with torch.inference_mode():
                theirs = loaded[0](input_ids=ids, labels=ids).loss.item()
            assert row["loss.loss"] == pytest.approx(theirs, abs=1e-6)
        long += ids.shape[1] > POSITIONS
        small, large = losses
        near = np.concatenate(ranks[: len(ranks) // 2]) < 10
        least = np.sort(-small)[: max(1, int(0.2 * len(small)))]
        assert row["loss.loss"] == pytest.approx(small.mean(), rel=1e-6)
        assert row["loss.difference"] == pytest.approx(small.mean() - large.mean(), abs=1e-5)
        assert row["loss.bits_per_byte"] == pytest.approx(small.sum() / np.log(2) / len(text.encode()), rel=1e-6)
        assert row["loss.min_k"] == pytest.approx(least.mean(), abs=1e-5)
        assert row["loss.salt"] == (pytest.approx(np.median(small[near]), abs=1e-5) if near.any() else None)
    assert short > 3 and long > 3


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (TRANSFORMER, {"model": "five"}),
        (TRANSFORMER, {"model": "encoder", "head": "head.safetensors", "batch_tokens": 200}),
        (TRANSFORMER, {"model": "five", "precision": "bfloat16"}),
        (LM_LOSS, {"model": "small", "against": "large"}),
    ],
)
def test_a_row_does_not_depend_on_its_batch(models: Path, kind: Any, settings: dict[str, Any]) -> None:
    named = {key: models / value if key in ("model", "head", "against") else value for key, value in settings.items()}
    measurer = opened(stage(kind, **named))
    texts = documents()
    together = measurer.measure(batch(texts))
    assert {field.name: field.type for field in together.schema} == stage(kind, **named).signals()
    backwards = measurer.measure(batch(texts[::-1])).to_pylist()[::-1]
    alone = [measurer.measure(batch([text])).to_pylist()[0] for text in texts]
    assert together.to_pylist() == backwards == alone
    assert measurer.measure(batch([])).num_rows == 0


def test_a_width_holds_its_row_and_is_little_wider() -> None:
    for length in range(1, 2000):
        assert length <= width_of(length, 4096) < length + max(8, length / 4 + 1)
    assert width_of(45, 48) == 48 and width_of(47, 47) == 47


def test_chars_and_the_content_of_a_folder(models: Path, tmp_path: Path) -> None:
    text = prose(3, 40)
    cut = opened(stage(TRANSFORMER, model=models / "five", chars=30)).measure(batch(["\n " + text]))
    assert cut == opened(stage(TRANSFORMER, model=models / "five")).measure(batch([text[:30]]))
    shutil.copytree(models / "five", tmp_path / "again")
    first, again = (model_folder(str(folder)).digest for folder in (models / "five", tmp_path / "again"))
    assert first == again
    (tmp_path / "again" / "README.md").write_text("unrelated")
    assert model_folder(str(tmp_path / "again")).digest == first
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    (tmp_path / "again" / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 0.1}))
    assert model_folder(str(tmp_path / "again")).digest != first


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _config(**changed: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changed))

    return change


def _weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors", {"format": "pt"})

    return changed


def _cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def _nan(held: dict[str, Any]) -> None:
    held["classifier.weight"][0, 0] = np.nan


BAD: list[tuple[Callable[[Path], object], dict[str, object], list[str]]] = [
    (shutil.rmtree, {}, ["no such folder"]),
    (_without("config.json"), {}, ["holds no config.json"]),
    (_without("tokenizer.json"), {}, ["holds no tokenizer.json", "tokenizer"]),
    (_without("model.safetensors"), {}, ["no .safetensors file"]),
    (_cut, {}, ["not a whole safetensors file"]),
    (lambda folder: (folder / "config.json").write_text("["), {}, ["config.json", "not JSON"]),
    (_config(architectures=["BertModel"]), {}, ["is a BertModel", "ForSequenceClassification", "head:"]),
    (_config(auto_map={}), {}, ["code of its own"]),
    (_config(model_type="berd"), {}, ["cannot be loaded"]),
    (
        _config(id2label={"0": "a", "1": "b", "2": "c"}),
        {"positive": "a"},
        ["weights have another shape", "classifier."],
    ),
    (_config(max_position_embeddings=2), {}, ["takes 2 tokens, too few"]),
    (_weights(lambda held: held.pop("classifier.weight")), {}, ["lack classifier.weight"]),
    (_weights(_nan), {}, ["classifier.weight", "NaN"]),
    (_config(), {"positive": None}, ["two labels", "positive: bad or good"]),
    (_config(), {"positive": "goood"}, ["no label 'goood'", "good"]),
    (_config(), {"max_tokens": 100}, ["takes 48 tokens", "got 100"]),
    (_config(), {"head": "head.safetensors"}, ["another model"]),
]


@pytest.mark.parametrize(("damage", "settings", "words"), BAD)
def test_a_bad_model_is_one_sentence(
    models: Path, tmp_path: Path, damage: Callable[[Path], object], settings: dict[str, Any], words: list[str]
) -> None:
    folder = tmp_path / "two"
    shutil.copytree(models / "two", folder)
    damage(folder)
    chosen = {"model": folder, "positive": "good"} | settings
    if "head" in chosen:
        chosen["head"] = models / chosen["head"]
    with pytest.raises(StageError) as error:
        opened(stage(TRANSFORMER, **chosen)).measure(batch(["some text"]))
    said = str(error.value)
    assert said.startswith("model: ") and "\n" not in said
    for word in words:
        assert word in said


def test_a_bad_head_or_causal_model_is_one_sentence(models: Path, tmp_path: Path) -> None:
    (tmp_path / "head.safetensors").write_bytes(b"nothing")
    for head, word in (
        (tmp_path / "head.safetensors", "no head of"),
        (models / "two" / "model.safetensors", "no head of"),
    ):
        with pytest.raises(StageError, match=word):
            opened(stage(TRANSFORMER, model=models / "encoder", head=head))
    with pytest.raises(StageError, match="is a BertForSequenceClassification: expected one ForCausalLM"):
        opened(stage(LM_LOSS, model=models / "two"))
    other = tmp_path / "other"
    shutil.copytree(models / "large", other)
    content = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(StageError, match="different tokenizers"):
        opened(stage(LM_LOSS, model=models / "small", against=other))
    with pytest.raises(ModelError, match="with a commit"):
        model_folder("hub:owner/repo")


def test_the_command_says_it_in_one_sentence(
    models: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = written(tmp_path, f"  m: {{use: transformer, model: {models}/small, keep: true}}\n")
    code, said = command("plan", declared)
    assert code != 0 and "is a LlamaForCausalLM" in said and "Traceback" not in said
    monkeypatch.setattr("winnow.classifiers.model_folder.find_spec", lambda name: None if name == "torch" else name)
    code, said = command("plan", declared)
    assert code != 0 and "needs torch: pip install 'winnow[train]'" in said


def test_a_head_is_fitted_by_label_and_again_the_same(models: Path, tmp_path: Path, command: Command) -> None:
    for name, made in (("ko", [prose(n, 20) for n in range(80)]), ("en", [english(n)[:150] for n in range(80)])):
        rows = [json.dumps({"text": text}, ensure_ascii=False) for text in made]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows), "utf-8")
    words = ["--label", f"korean={tmp_path}/ko.jsonl", "--label", f"other={tmp_path}/en.jsonl", "--hidden", "16"]
    for out in ("a", "b"):
        to = ("--out", tmp_path / f"{out}.safetensors")
        fit = ("fit", "transformer-head", "--model", models / "encoder", *words, *to)
        code, said = command(*fit)
        assert code == 0 and "macro-F1 1.000" in said and "AUC 1.000" in said, said
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    scorer = opened(stage(TRANSFORMER, model=models / "encoder", head=tmp_path / "a.safetensors"))
    found = scorer.measure(batch([prose(1000, 20), english(1000)[:150]]))
    assert found["label"].to_pylist() == ["korean", "other"]
    high, low = found["score"].to_pylist()
    assert high > 0.8 and low < 0.2
    code, said = command(*fit)
    assert code != 0 and "is there already" in said
    for change, word in ((("--pooling", "max"), "cls"), (("--max-tokens", "100"), "takes 48 tokens")):
        code, said = command(*fit, "--force", *change)
        assert code != 0 and word in said and "Traceback" not in said


def test_both_kinds_keep_the_contract(models: Path) -> None:
    pack = language_pack("ko")
    check_stage(TRANSFORMER("s", TRANSFORMER.Settings(model=str(models / "two"), positive="good"), pack))
    check_stage(LM_LOSS("s", LM_LOSS.Settings(model=str(models / "small")), pack))
