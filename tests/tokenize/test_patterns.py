"""The two regex engines read the split patterns alike: every code point, every character class, and in company.

tokenizers uses Oniguruma, tiktoken Rust's regex; their Unicode tables are built into the installed versions, so an
upgrade that made them differ would fail here.
"""

import re

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from winnow.tokenize.byte_bpe import CJK, CONTRACTIONS, PATTERNS

BYTES = {bytes([byte]): byte for byte in range(256)}
EVERY = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CLASSES = [
    r"\p{L}",
    r"\p{N}",
    r"\s",
    r"[^\s\p{L}\p{N}]",
    r"[^\r\n\p{L}\p{N}]",
    f"[{CJK}]",
    rf"[\p{{L}}\p{{M}}&&[^{CJK}]]",
    r"(?i:[smdtrevl])",
]
MIXED = st.text(
    st.sampled_from(list("aZé1３½'stllveI'D ſ가힣ᄒ\u1161漢かナー〇㈀\u3000\u00a0 \t\r\n.,!<|>_\u0301\u200d👩"))
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)


def matched_by_rust(pattern: str, text: str) -> str:
    """Everything the pattern matches, the rest dropped (tiktoken skips what lies between matches)."""
    engine = tiktoken.Encoding("bytes", pat_str=pattern, mergeable_ranks=BYTES, special_tokens={})
    return bytes(engine.encode_ordinary(text)).decode()


def matched_by_oniguruma(pattern: str, text: str) -> str:
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return "".join(piece for piece, _ in split.pre_tokenize_str(text))


@pytest.mark.parametrize("pattern", CLASSES)
def test_classes_hold_the_same_characters(pattern: str) -> None:
    pattern = f"(?:{pattern}){{1,64}}"  # the same characters in fewer pieces
    for start in range(0, len(EVERY), 50_000):
        text = "".join(EVERY[start : start + 50_000])
        assert matched_by_rust(pattern, text) == matched_by_oniguruma(pattern, text)


def test_the_classes_above_are_all_that_the_patterns_use() -> None:
    atoms = {
        atom for pattern in PATTERNS.values() for atom in re.findall(r"\[(?:[^\[\]]|\[[^\]]*\])*\]|\\[ps]", pattern)
    }
    known = {*CLASSES, r"\p", r"\s", r"[\r\n]"}
    assert atoms <= known


@pytest.mark.parametrize("name", PATTERNS)
def test_no_character_falls_between_matches(name: str) -> None:
    for start in range(0, len(EVERY), 50_000):
        text = "".join(EVERY[start : start + 50_000])
        assert matched_by_rust(PATTERNS[name], text) == text


@settings(max_examples=300)
@given(MIXED, st.sampled_from(sorted(PATTERNS)))
def test_whole_patterns_cut_alike(text: str, name: str) -> None:
    # A vocabulary in which a piece of k bytes is k tokens would hide the cuts; matching one piece at a time shows them.
    split = pre_tokenizers.Split(Regex(PATTERNS[name]), "isolated")
    pieces = [piece for piece, _ in split.pre_tokenize_str(text)]
    assert "".join(pieces) == text
    words = {piece.encode() for piece in pieces if len(piece.encode()) > 1}
    ranks = BYTES | {word: 256 + i for i, word in enumerate(sorted(words))}
    engine = tiktoken.Encoding("words", pat_str=PATTERNS[name], mergeable_ranks=ranks, special_tokens={})
    assert engine.encode_ordinary(text) == [ranks[piece.encode()] for piece in pieces]


def test_contractions_fold_case_alike() -> None:
    for text in ("'S 's 'ſ 'T 'rE 'VE 'M 'LL 'lL 'D", "'ß 'ﬅ 'ﬆ"):
        assert matched_by_rust(CONTRACTIONS, text) == matched_by_oniguruma(CONTRACTIONS, text)
