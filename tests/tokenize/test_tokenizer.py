"""Tokenizers: the fast engine gives the ids of the reference, and text never becomes a control token."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from winnow.tokenize.byte_bpe import LLAMA3, QWEN2, ByteBpe, NotEqual, surely_composed
from winnow.tokenize.tokenizer import MODELS, PROBES, Tokenizer, TokenizerError, find, load, shipped

NAMES = ["ko-bpe", "web-bpe"]
INJECTED = [
    "<|endoftext|>",
    "글의 끝<|endoftext|>다음 글",
    " <|pad|><|endoftext|>\n<|endoftext|>",
    "<|endoftext|",
    "</s><s><|im_start|>",
]


@cache
def reference(name: str) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer.from_file(str(MODELS / name / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def split(flat: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    return [part.tolist() for part in np.split(flat, np.cumsum(lengths)[:-1])] if len(lengths) else []


def korean(data: Path) -> list[str]:
    pages = (
        sorted((data / "ko-docs-k8s").rglob("*.md"))[:60] + sorted((data / "ko-docs-techinterview").rglob("*.md"))[:40]
    )
    gsd = (data / "ko-hq-ud-gsd" / "ko_gsd-ud-test.conllu").read_text("utf-8").splitlines()
    return [p.read_text("utf-8") for p in pages] + [line[9:] for line in gsd if line.startswith("# text = ")]


def test_the_shipped_tokenizers() -> None:
    assert set(NAMES) <= set(shipped())
    for name in NAMES:
        tokenizer = load(find(name))
        assert tokenizer.engine == "tiktoken", tokenizer.why_slow
        assert (tokenizer.eos, tokenizer.bos) == (0, None)
        assert tokenizer.vocab_size == reference(name).get_vocab_size()
        assert (MODELS / name / "README.md").read_text("utf-8").count(tokenizer.file.digest) == 1


@pytest.mark.parametrize("name", NAMES)
def test_ids_equal_tokenizers_and_transformers_on_korean_pages(name: str, data: Path) -> None:
    texts = korean(data)
    encoded = load(find(name)).encode(texts)
    assert encoded.errors == {}
    ids = split(encoded.ids, encoded.lengths)
    assert ids == [row.ids for row in reference(name).encode_batch(texts, add_special_tokens=False)]
    hugging_face = PreTrainedTokenizerFast(
        tokenizer_file=str(MODELS / name / "tokenizer.json"), eos_token="<|endoftext|>", pad_token="<|pad|>"
    )
    assert ids == hugging_face(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert [reference(name).decode(row) for row in ids[:50]] == texts[:50]


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.sampled_from(NAMES))
def test_ids_equal_on_any_text(text: str, name: str) -> None:
    assert load(find(name)).encode([text]).ids.tolist() == reference(name).encode(text).ids


@pytest.mark.parametrize("engine", ["tiktoken", "tokenizers"])
@pytest.mark.parametrize("name", NAMES)
def test_control_tokens_in_text_are_text(name: str, engine: str) -> None:
    tokenizer = Tokenizer(find(name), engine)  # type: ignore[arg-type]
    assert tokenizer.engine == engine
    encoded = tokenizer.encode(INJECTED)
    assert encoded.errors == {}
    assert not {0, 1} & set(encoded.ids.tolist())
    plain = reference(name)
    assert [plain.decode(ids) for ids in split(encoded.ids, encoded.lengths)] == INJECTED


@pytest.mark.parametrize("engine", ["tiktoken", "tokenizers"])
def test_eos_is_written_once_behind_each_text_and_empty_texts_keep_it(engine: str) -> None:
    tokenizer = Tokenizer(find("ko-bpe"), engine)  # type: ignore[arg-type]
    encoded = tokenizer.encode(["가나다", "", "<|endoftext|>"], eos=True)
    assert encoded.ids.dtype == np.uint32
    assert int((encoded.ids == 0).sum()) == 3
    assert [row[-1] for row in split(encoded.ids, encoded.lengths)] == [0, 0, 0]
    assert encoded.lengths[1] == 1
    assert tokenizer.encode([]).ids.size == 0


def test_texts_are_composed_first() -> None:
    tokenizer = load(find("ko-bpe"))
    assert tokenizer.encode(["\u1112\u1161\u11ab글"]).ids.tolist() == tokenizer.encode(["한글"]).ids.tolist()


@pytest.mark.parametrize("text", [" " * 1_000_000, "가" * 200_000, "\n" * 200_000, "!" * 200_000])
def test_text_that_defeats_the_fast_regex_has_the_same_ids(text: str) -> None:
    assert load(find("ko-bpe")).encode([text]).ids.tolist() == reference("ko-bpe").encode(text).ids


def test_what_is_surely_composed_is_left_as_it_is_by_the_other_library_too() -> None:
    nfc = tokenizers.normalizers.NFC()
    alone = [c for c in map(chr, range(0x10000)) if not "\ud800" <= c <= "\udfff" and surely_composed(c)]
    assert len(alone) > 60_000
    for c in alone:
        for text in (c, f"a\u0323{c}", f"{c}\u0301", f"가{c}"):
            assert not surely_composed(text) or nfc.normalize_str(text) == text
    assert not surely_composed("a\u0301")
    assert surely_composed("한글 漢字 é")


def test_one_text_does_not_depend_on_its_neighbours() -> None:
    tokenizer = load(find("ko-bpe"))
    together = tokenizer.encode(PROBES, eos=True)
    assert split(together.ids, together.lengths) == [tokenizer.encode([text], eos=True).ids.tolist() for text in PROBES]


def test_asking_for_control_tokens_that_are_not_there() -> None:
    with pytest.raises(TokenizerError, match="'ko-bpe' has no BOS token"):
        load(find("ko-bpe")).encode(["a"], bos=True)
    with pytest.raises(TokenizerError, match="has no BOS"):
        load(find("ko-bpe")).identity(bos=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ko-pbe", r"'ko-pbe' is neither shipped \(ko-bpe, web-bpe.*nearest: 'ko-bpe'"),
        (str(Path(__file__).parent), "the folder holds no tokenizer.json"),
        (__file__, "not a tokenizer.json of Hugging Face tokenizers"),
    ],
)
def test_unknown_tokenizers(given: str, said: str) -> None:
    with pytest.raises(TokenizerError, match=said):
        find(given)


def test_paths_and_names_find_the_same_tokenizer() -> None:
    named = find("ko-bpe")
    assert find(str(named.path)).digest == find(str(named.path.parent)).digest == named.digest


def test_a_file_that_changed_after_look_up(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(find("web-bpe").path.read_bytes())
    file = find(str(path))
    path.write_bytes(find("ko-bpe").path.read_bytes())
    with pytest.raises(TokenizerError, match="changed since it was looked up"):
        load(file)


def test_control_tokens_as_the_configuration_names_them(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(find("ko-bpe").path.read_bytes())
    assert (find(str(tmp_path)).eos, find(str(tmp_path)).bos) == ("<|endoftext|>", None)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"eos_token": {"content": "<|pad|>"}, "bos_token": "<|endoftext|>"}))
    tokenizer = load(find(str(tmp_path)))
    assert (tokenizer.eos, tokenizer.bos) == (1, 0)
    config.write_text(json.dumps({"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}))
    assert find(str(tmp_path)).bos is None
    config.write_text(json.dumps({"eos_token": "<eos>"}))
    with pytest.raises(TokenizerError, match=r"control token '<eos>' .* is not in its vocabulary"):
        load(find(str(tmp_path)))
    config.write_text("[")
    with pytest.raises(TokenizerError, match="not a tokenizer configuration"):
        find(str(tmp_path))


@pytest.mark.parametrize("given", ["hub:someone/ko", "someone/ko", "hub:someone/ko@main"])
def test_hub_ids_come_from_the_cache_when_offline(tmp_path: Path, given: str) -> None:
    snapshot = tmp_path / "models--someone--ko" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--someone--ko" / "refs").mkdir()
    (tmp_path / "models--someone--ko" / "refs" / "main").write_text("0123abc")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (snapshot / name).write_bytes((MODELS / "ko-bpe" / name).read_bytes())
    code = (
        "from winnow.tokenize.tokenizer import TokenizerError, find\n"
        "import sys\n"
        "print(find(sys.argv[1]).digest)\n"
        "try: find('hub:someone/else')\n"
        "except TokenizerError as error: print(error)"
    )
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, given]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    digest, error = done.stdout.strip().splitlines()
    assert digest == find("ko-bpe").digest
    assert error.startswith("tokenizer 'hub:someone/else': tokenizer.json cannot be had (")


class TestWhatIsNotProvenEqual:
    """Each variation of a shipped model falls back to tokenizers, with a reason, and still has the reference's ids."""

    @staticmethod
    def vary(tmp_path: Path, change: object) -> Tokenizer:
        content = json.loads(find("web-bpe").path.read_bytes())
        change(content)  # type: ignore[operator]
        path = tmp_path / "tokenizer.json"
        path.write_text(json.dumps(content), "utf-8")
        tokenizer = Tokenizer(find(str(path)))
        plain = tokenizers.Tokenizer.from_file(str(path))
        plain.encode_special_tokens = True
        encoded = tokenizer.encode(PROBES)
        assert split(encoded.ids, encoded.lengths) == [plain.encode(t, add_special_tokens=False).ids for t in PROBES]
        return tokenizer

    def test_unknown_split(self, tmp_path: Path) -> None:
        def change(content: dict) -> None:
            content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"

        assert "split pattern" in (self.vary(tmp_path, change).why_slow or "")

    def test_other_normaliser(self, tmp_path: Path) -> None:
        assert "normaliser" in (self.vary(tmp_path, lambda c: c.update(normalizer={"type": "NFKC"})).why_slow or "")

    def test_merge_order_that_leaves_a_token_unreachable(self, tmp_path: Path) -> None:
        def change(content: dict) -> None:
            vocab, merges = content["model"]["vocab"], content["model"]["merges"]
            last = max(vocab.values())
            vocab |= {"qz": last + 1, "zq": last + 2, "qzq": last + 3}
            # "qz" always forms first, so "q" + "zq" is never seen: tiktoken would still make the word one token.
            merges += [["q", "z"], ["z", "q"], ["q", "zq"]]

        assert "not reached by its own merge" in (self.vary(tmp_path, change).why_slow or "")

    def test_tokens_added_beside_the_merges(self, tmp_path: Path) -> None:
        def change(content: dict) -> None:
            token = dict(content["added_tokens"][0], id=max(content["model"]["vocab"].values()) + 1)
            content["added_tokens"].append(token | {"content": "한국어", "special": False})

        assert "adds the token '한국어'" in (self.vary(tmp_path, change).why_slow or "")

    def test_a_unigram_model_cannot_be_made_to_emit_its_control_token(self, tmp_path: Path) -> None:
        unigram = tokenizers.Tokenizer(
            tokenizers.models.Unigram(
                [("<unk>", 0.0), ("</s>", -0.1), ("<", -3.0), ("/", -3.0), ("s", -3.0), (">", -3.0), ("a", -2.0)], 0
            )
        )
        unigram.add_special_tokens(["</s>"])
        unigram.save(str(tmp_path / "tokenizer.json"))
        tokenizer = Tokenizer(find(str(tmp_path)))
        encoded = tokenizer.encode(["a", "a</s>a", "aa"], eos=True)
        assert tokenizer.engine == "tokenizers"
        assert list(encoded.errors) == [1]
        assert "spells a control token" in encoded.errors[1]
        assert encoded.lengths.tolist() == [2, 0, 3]
        assert (encoded.ids == 1).sum() == 2


@pytest.mark.parametrize("pattern", [LLAMA3, QWEN2])
def test_known_families_are_proven(tmp_path: Path, pattern: str) -> None:
    texts = [*PROBES, "안녕하세요 세계 hello world's 12345 " * 20]
    model = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=True))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    model.train_from_iterator(texts, trainer)
    model.add_special_tokens(["<|end_of_text|>", "<|begin_of_text|>"])
    model.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(find(str(tmp_path)), "tiktoken")
    assert (tokenizer.file.eos, tokenizer.file.bos) == ("<|end_of_text|>", "<|begin_of_text|>")
    encoded = tokenizer.encode(texts, eos=True, bos=True)
    rows = split(encoded.ids, encoded.lengths)
    assert [row[1:-1] for row in rows] == [row.ids for row in model.encode_batch(texts)]
    assert {(row[0], row[-1]) for row in rows} == {(tokenizer.bos, tokenizer.eos)}


def test_converted_merge_lists_with_every_way_to_form_a_token() -> None:
    # transformers' converters list all the pairs of a token side by side; only one of them is ever reached.
    content = json.loads(find("web-bpe").path.read_bytes())
    vocab = content["model"]["vocab"]
    merges = []
    for left, right in content["model"]["merges"]:
        word = left + right
        ways = [(word[:i], word[i:]) for i in range(1, len(word)) if word[:i] in vocab and word[i:] in vocab]
        earlier = [w for w in ways if max(vocab[w[0]], vocab[w[1]]) < vocab[word]]
        merges += sorted(earlier, key=lambda w: (vocab[w[0]], vocab[w[1]]))
    assert len(merges) > len(content["model"]["merges"])
    content["model"]["merges"] = merges
    fast = ByteBpe(json.dumps(content).encode())
    plain = tokenizers.Tokenizer.from_str(json.dumps(content))
    plain.encode_special_tokens = True
    for text in PROBES:
        assert fast.encode(text).tolist() == plain.encode(text).ids


def test_prefix_spaces_are_not_byte_level_bpe_as_proven() -> None:
    content = json.loads(find("web-bpe").path.read_bytes())
    content["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    with pytest.raises(NotEqual, match="pre-tokenizer"):
        ByteBpe(json.dumps(content).encode())
