"""Encodes a Hugging Face byte-level BPE tokenizer through tiktoken's engine (5-8 times faster), where that is proven equal.

Three things decide the ids, and each is checked before the engine is used; a model that misses one is not equal:

1. Normaliser: none, or NFC. A text that is not surely composed is composed by `tokenizers` itself.
2. Split pattern: one of PATTERNS, whose character classes were compared for every code point in both regex engines
   (Oniguruma in tokenizers, Rust's regex in tiktoken): tests/tokenize/test_patterns.py does so again.
3. Merges. tokenizers merges the adjacent pair whose *merge* comes first in the list; tiktoken the adjacent pair whose
   *concatenation* has the lowest rank, and a word that is itself a token becomes that token at once. Take the merge
   order as rank. As long as the two agree, boundaries only vanish, so inside a stretch of bytes that is about to become
   token t nothing has crossed the stretch's ends, and what happened inside is what would happen to t's bytes alone.
   Hence both engines give the same ids on *every* input if, for each token t, encoding t's bytes alone reaches exactly
   the two parts of t's merge just before t is formed. `merge_ranks` checks that for every token.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CJK = r"\p{Hangul}\p{Han}\p{Hiragana}\p{Katakana}ー"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WINNOW = (
    # As Llama-3's, but letter runs also end where CJK script begins or ends, so that "API를" is "API" and "를":
    # particles and stems are shared between native and foreign words. Combining marks stay with their letters.
    CONTRACTIONS
    + rf"|[^\r\n\p{{L}}\p{{N}}]?(?:[{CJK}]+|[\p{{L}}\p{{M}}&&[^{CJK}]]+)"
    + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {"gpt2": GPT2, "llama3": LLAMA3, "qwen2": QWEN2, "winnow": WINNOW}
"""Split patterns that read the same in both engines. Each matches every character, so none is lost between matches."""


LONG = 500_000
"""Characters from which on tiktoken's regex may give up: its stack holds a million states and a run of white space takes
one a character. `encode_to_numpy` then raises, `encode_ordinary` would panic."""


class NotEqual(Exception):
    """Why a model cannot go through tiktoken with the same ids; the caller then uses `tokenizers`."""


@cache
def byte_alphabet() -> dict[str, int]:
    """The printable stand-in of each byte in byte-level vocabularies: GPT-2's bytes_to_unicode (openai/gpt-2 encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def split_pattern(pre_tokenizer: dict[str, Any] | None) -> str:
    """The split pattern of a `pre_tokenizer` entry of tokenizer.json. Raises NotEqual."""
    match pre_tokenizer:
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}:
            return GPT2
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        }:
            if pattern in PATTERNS.values():
                return str(pattern)
            raise NotEqual("its split pattern is not one of the compared ones")
    raise NotEqual("its pre-tokenizer is not byte-level with a compared split pattern")


def merge_ranks(model: dict[str, Any]) -> tuple[dict[bytes, int], npt.NDArray[np.uint32]]:
    """Ranks for tiktoken (bytes 0-255, then tokens in merge order) and the vocabulary id of each rank, uint32 [ranks].

    Raises NotEqual unless the model is plain byte-level BPE and every merge passes the check described above.
    """
    if model.get("type") != "BPE":
        raise NotEqual(f"its model is {model.get('type')}, not BPE")
    for key in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise NotEqual(f"its BPE model sets {key}")
    if model.get("byte_fallback"):
        raise NotEqual("its BPE model falls back to bytes")
    alphabet = byte_alphabet()
    vocab: dict[str, int] = model["vocab"]
    if not alphabet.keys() <= vocab.keys():
        raise NotEqual("its vocabulary lacks some bytes")
    ranks = {bytes([byte]): byte for byte in range(256)}
    ids = np.zeros(256 + len(model["merges"]), np.uint32)
    for symbol, byte in alphabet.items():
        ids[byte] = vocab[symbol]
    pairs: dict[tuple[int, int], int] = {}
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        try:
            parts = bytes(alphabet[c] for c in left), bytes(alphabet[c] for c in right)
            pair = ranks[parts[0]], ranks[parts[1]]
            token = vocab[left + right]
        except KeyError:
            raise NotEqual(f"merge {left!r} + {right!r} is not made of earlier tokens") from None
        rank = ranks.setdefault(parts[0] + parts[1], len(ranks))
        # Converted vocabularies list every way to form a token, one after the other: one rank. Later ones would
        # have a priority of their own, which tiktoken cannot express.
        if rank != len(ranks) - 1:
            raise NotEqual(f"merge {left!r} + {right!r} forms a token that an earlier merge formed")
        ids[rank] = token
        pairs[pair] = rank
    _check_merges(ranks, pairs)
    ignored = vocab.keys() - {"".join(_symbols(token)) for token in ranks}
    if model.get("ignore_merges") and any(_is_bytes(token) for token in ignored):
        raise NotEqual("it takes whole words from the vocabulary that no merge forms")
    return ranks, ids[: len(ranks)]


def _check_merges(ranks: dict[bytes, int], pairs: dict[tuple[int, int], int]) -> None:
    """Encodes each token's bytes alone with the merges before its own; exactly one pair that forms it may be left."""
    none = len(ranks)
    for token, rank in ranks.items():
        if rank < 256:
            continue
        parts = list(token)
        while len(parts) > 2:
            found = [pairs.get(pair, none) for pair in pairwise(parts)]
            lowest = min(found)
            if lowest >= rank:
                break
            at = found.index(lowest)
            parts[at : at + 2] = [lowest]
        if len(parts) != 2 or pairs.get((parts[0], parts[1])) != rank:
            raise NotEqual(f"token {token!r} is not reached by its own merge")


@cache
def _letters() -> dict[int, str]:
    return {byte: symbol for symbol, byte in byte_alphabet().items()}


def _symbols(token: bytes) -> list[str]:
    letters = _letters()
    return [letters[byte] for byte in token]


def _is_bytes(token: str) -> bool:
    alphabet = byte_alphabet()
    return all(c in alphabet for c in token)


def surely_composed(text: str) -> bool:
    """Whether `text` is NFC in this Python's Unicode version and in every later one, whatever `tokenizers` has.

    Later versions normalise strings of characters that are assigned today in the same way (UAX #15, section 3,
    stability); so it takes a text without unassigned ones, which here includes everything beyond U+FFFF.
    """
    return _unsettled().search(text) is None and unicodedata.is_normalized("NFC", text)


@cache
def _unsettled() -> re.Pattern[str]:
    unassigned = [c for c in range(0x10000) if unicodedata.category(chr(c)) == "Cn"]
    return re.compile(f"[{re.escape(''.join(map(chr, unassigned)))}\U00010000-\U0010ffff]")


class ByteBpe:
    """tiktoken's engine over the merges of a tokenizer.json. Building it proves the equality or raises NotEqual."""

    def __init__(self, tokenizer_json: bytes) -> None:
        import tiktoken
        from tokenizers import normalizers

        content = json.loads(tokenizer_json)
        normalizer = content.get("normalizer")
        if normalizer not in (None, {"type": "NFC"}):
            raise NotEqual("its normaliser is neither none nor NFC")
        added = [token for token in content.get("added_tokens") or [] if not token["special"]]
        if added:
            raise NotEqual(f"it adds the token {added[0]['content']!r} beside the merges")
        if content.get("truncation") or content.get("padding"):
            raise NotEqual("it truncates or pads")
        pattern = split_pattern(content.get("pre_tokenizer"))
        ranks, self._ids = merge_ranks(content["model"])
        self._nfc = normalizers.NFC() if normalizer else None
        self._engine = tiktoken.Encoding(
            "winnow", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}, explicit_n_vocab=len(ranks)
        )

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """Ids of one text, uint32. Raises ValueError where the regex engine gives up (runs of a million spaces)."""
        if self._nfc is not None and not (text.isascii() or surely_composed(text)):
            text = self._nfc.normalize_str(text)
        if len(text) > LONG:
            return self._ids[self._engine.encode_to_numpy(text, disallowed_special=())]
        # encode_to_numpy takes half as long again for looking after control tokens.
        return self._ids[np.array(self._engine.encode_ordinary(text), np.uint32)]
