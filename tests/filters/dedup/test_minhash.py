"""Signatures: what they are blind to, how well they estimate similarity, and parity with other implementations."""

from __future__ import annotations

import json
import math
import random
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.filters.dedup.minhash import Scheme, band_keys, coefficients

NUMBER = re.compile(r"\d+(?:[.,،٫⎖⎗⎘]\d+)?")


def reference_words(text: str) -> list[str]:
    """The normalisation, written from its definition with the standard library."""
    out = []
    for char in NUMBER.sub("0", text):
        category = unicodedata.category(char)
        if category[0] in "PSZ" or category == "Cc":
            out.append(" ")
        elif category != "Cf" and not "\u0300" <= char <= "\u036f" and not "\ufe00" <= char <= "\ufe0f":
            parts = unicodedata.normalize("NFD", char)
            if all("\u0300" <= mark <= "\u036f" for mark in parts[1:]):
                char = parts[0]
            out.append(char.lower()[0].replace("ς", "σ"))
    return "".join(out).split()


def shingles(text: str, ngram: int = 5) -> set[tuple[str, ...]]:
    words = reference_words(text)
    return {tuple(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))}


def jaccard(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b)


def signatures(texts: pa.Array, scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """The value of every function, shape (texts, functions), as keys of bands of one row each: equal where it is."""
    alone = replace(scheme, bands=scheme.functions, rows=1)
    keys, _, empty = band_keys(texts, alone)
    return keys.T, empty


def sign(texts: list[str], scheme: Scheme | None = None) -> np.ndarray:
    return signatures(pa.array(texts, pa.large_string()), scheme or Scheme())[0]


TEXTS = st.text(
    st.one_of(
        st.sampled_from(" \n\t.,;!0123456789٣５abcABCéÉçΣς가나다라한글がカ漢字😀\u0301\u200b\ufe0f\u3000"),
        st.characters(max_codepoint=0x1FFFF, exclude_categories=("Cs", "Cn", "Co")),
    ),
    max_size=80,
).map(lambda text: unicodedata.normalize("NFC", text))


@given(TEXTS)
def test_a_text_and_its_normal_form_have_one_signature(text: str) -> None:
    words = reference_words(text)
    batch = pa.array([text, " ".join(words)], pa.large_string())
    values, empty = signatures(batch, Scheme(bands=2, rows=2))
    assert list(empty) == [not words] * 2
    assert (values[0] == values[1]).all()


@given(TEXTS, TEXTS)
def test_texts_of_other_shingles_have_another_signature(one: str, two: str) -> None:
    values = sign([one, two])
    assert (values[0] == values[1]).all() == (shingles(one) == shingles(two))


@given(st.lists(TEXTS, max_size=6), st.integers(0, 6))
def test_batches_and_slices_do_not_matter(texts: list[str], cut: int) -> None:
    scheme = Scheme(bands=3, rows=2)
    whole = pa.array(["앞에 있는 글", *texts, "뒤"], pa.large_string())
    keys, chars, empty = band_keys(whole.slice(1, len(texts)), scheme)
    assert list(chars) == [len(text) for text in texts]
    for part, start in ((texts[:cut], 0), (texts[cut:], cut)):
        again, _, none = band_keys(pa.array(part, pa.string()), scheme)
        assert (again == keys[:, start : start + len(part)]).all()
        assert (none == empty[start : start + len(part)]).all()


def test_short_texts_differ_and_empty_ones_have_no_signature() -> None:
    texts = pa.array(["하나", "둘", "하나 둘", "", " \n", "?!...", "둘 하나"], pa.large_string())
    keys, _, empty = band_keys(texts, Scheme())
    assert list(empty) == [False, False, False, True, True, True, False]
    assert len(np.unique(keys[0][~empty])) == 4


def test_numbers_fold_as_a_whole() -> None:
    values = sign(["a 1 b", "a 2,345 b", "a ٣٤ b", "a 1.5.2 b", "a 1b"])
    assert (values[0] == values[1]).all() and (values[0] == values[2]).all()
    assert not (values[0] == values[3]).all() and not (values[0] == values[4]).all()


def test_characters_are_the_unit_where_words_are_not_spaced() -> None:
    scheme = Scheme(characters=True)
    one = sign(["東京は日本の首都である。", "東京 は、日本の\n首都である", "大阪は日本の都市である。"], scheme)
    assert (one[0] == one[1]).all()
    assert not (one[0] == one[2]).all()


def test_the_seed_chooses_the_functions() -> None:
    a, b = coefficients(Scheme(seed=1))
    assert len(set(a) | set(b)) == 2 * Scheme().functions
    assert not (a == coefficients(Scheme(seed=2))[0]).any()
    assert (a == coefficients(Scheme(seed=1))[0]).all()


def test_bands_are_a_function_of_their_rows_alone() -> None:
    """Two texts share a band's key exactly where they share all values of that band."""
    rng = random.Random(5)
    words = [f"낱말{chr(0xAC00 + i)}" for i in range(400)]
    base = [rng.choice(words) for _ in range(120)]
    texts = [" ".join(rng.choice(words) if rng.random() < 0.02 else word for word in base) for _ in range(60)]
    scheme = Scheme()
    values = sign(texts, scheme).reshape(len(texts), scheme.bands, scheme.rows)
    keys = band_keys(pa.array(texts, pa.large_string()), scheme)[0].T
    same_rows = (values[:, None] == values[None]).all(-1)
    assert (same_rows == (keys[:, None] == keys[None])).all()
    assert same_rows.any(-1).sum() > len(texts)


@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8, 0.95])
def test_estimates_have_the_theoretical_error(similarity: float) -> None:
    """Mean within four standard errors, variance within a quarter of s(1-s)/k, over 600 pairs of random sets."""
    rng = random.Random(int(similarity * 100))
    scheme = Scheme(ngram=1)
    pairs, size = 600, 200
    shared = round(similarity * size)
    texts = []
    for _ in range(pairs):
        words = [f"{chr(0xAC00 + rng.randrange(11172))}{chr(0xAC00 + rng.randrange(11172))}" for _ in range(size)]
        half = shared + (size - shared) // 2
        texts += [" ".join(words[:half]), " ".join(words[:shared] + words[half:])]
    values = sign(texts, scheme)
    exact = np.array([jaccard(shingles(texts[2 * i], 1), shingles(texts[2 * i + 1], 1)) for i in range(pairs)])
    errors = (values[::2] == values[1::2]).mean(1) - exact
    expected = exact * (1 - exact) / scheme.functions
    assert abs(errors.mean()) < 4 * math.sqrt(expected.mean() / pairs)
    assert 0.75 < (errors**2).mean() / expected.mean() < 1.25


@pytest.fixture(scope="module")
def real_pairs(data: Path) -> tuple[list[str], list[tuple[int, int, float]]]:
    """The installation guides, and every tenth same-page pair that is not exact, with its word 5-gram similarity."""
    rows = [json.loads(line) for line in (data / "dup-ko-ig-arch" / "docs.jsonl").read_text("utf-8").splitlines()]
    number = {row["id"]: i for i, row in enumerate(rows)}
    texts = [unicodedata.normalize("NFC", row["text"]) for row in rows]
    sets = [shingles(text) for text in texts]
    pairs = []
    for line in (data / "dup-ko-ig-arch" / "pairs.tsv").read_text("utf-8").splitlines()[1:]:
        one, two = (number[name] for name in line.split("\t")[:2])
        similarity = jaccard(sets[one], sets[two])
        if similarity < 1:
            pairs.append((one, two, similarity))
    return texts, pairs


def test_error_on_real_text_is_no_worse_than_datasketch(
    real_pairs: tuple[list[str], list[tuple[int, int, float]]],
) -> None:
    from datasketch import MinHash

    texts, pairs = real_pairs
    scheme = Scheme()
    ours = sign(texts, scheme)
    used = sorted({i for pair in pairs[::4] for i in pair[:2]})
    theirs = {}
    for i in used:
        theirs[i] = MinHash(num_perm=scheme.functions, seed=1)
        theirs[i].update_batch([" ".join(shingle).encode() for shingle in shingles(texts[i])])
    exact = np.array([similarity for _, _, similarity in pairs[::4]])
    our_error = np.array([(ours[one] == ours[two]).mean() for one, two, _ in pairs[::4]]) - exact
    their_error = np.array([theirs[one].jaccard(theirs[two]) for one, two, _ in pairs[::4]]) - exact
    theory = math.sqrt((exact * (1 - exact)).mean() / scheme.functions)
    # the pairs are not independent (7 builds of each page), hence the wide margin
    assert math.sqrt((our_error**2).mean()) < 1.5 * theory
    assert math.sqrt((our_error**2).mean()) < 1.5 * math.sqrt((their_error**2).mean())


def test_similarity_agrees_with_datatroves_normalisation(
    real_pairs: tuple[list[str], list[tuple[int, int, float]]],
) -> None:
    from datatrove.utils.text import ngrams, simplify_text

    texts, pairs = real_pairs
    sets: dict[int, set[tuple[str, ...]]] = {}
    differences = []
    for one, two, similarity in pairs[::4]:
        for i in (one, two):
            if i not in sets:
                sets[i] = set(ngrams(simplify_text(texts[i]).split(), 5)) or {("short",)}
        differences.append(abs(jaccard(sets[one], sets[two]) - similarity))
    assert np.mean(differences) < 0.005
    assert max(differences) < 0.05
