"""The measures of the rules in plain Python, with datatrove's own functions wherever the definition is theirs."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate, find_duplicates, get_n_grams
from datatrove.utils.text import TERMINAL_PUNCTUATION

BULLETS = tuple("-*•·ㆍ‣⁃◦▪▫■□●○◆◇▶►▷※")


def trimmed(text: str) -> list[str]:
    """The lines that hold anything, without outer white space."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def paragraphs(text: str) -> list[str]:
    blanked = "\n".join(line.strip() for line in text.split("\n"))
    return [block for block in re.split(r"\n{2,}", blanked.strip("\n")) if block]


def core(word: str) -> str:
    kept = [i for i, c in enumerate(word) if unicodedata.category(c)[0] in "LMN"]
    return word[kept[0] : kept[-1] + 1].lower() if kept else ""


def reference(text: str, stop_words: tuple[str, ...]) -> dict[str, float]:
    """Every measure but the language's own, for whitespace words. `text` must hold a word."""
    lines = trimmed(text)
    whole = "\n".join(lines)
    words = whole.split()
    real = [word for word in words if core(word)]
    measures: dict[str, float] = {
        "char_count": len(whole),
        "line_count": len(lines),
        "word_count": len(real),
        "mean_word_length": sum(map(len, real)) / len(real) if real else 0.0,
        "alpha_word_share": sum(any(c.isalpha() for c in word) for word in words) / len(words),
        "hash_ratio": whole.count("#") / len(words),
        "ellipsis_ratio": (whole.count("...") + whole.count("…")) / len(words),
        "bullet_lines": sum(line.startswith(BULLETS) for line in lines) / len(lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines) / len(lines),
        "stop_words": len(set(stop_words) & {core(word) for word in words}),
        "line_punctuation": sum(ends_sentence(line) for line in lines) / len(lines),
        "short_lines": sum(len(line) <= 30 for line in lines) / len(lines),
        "newline_ratio": whole.count("\n") / len(words),
        "unique_words": len(set(real)) / len(real) if real else 0.0,
        "top_word_share": max(Counter(real).values(), default=0) / max(1, len(real)),
    }
    count, characters = find_duplicates(lines)
    measures["dup_lines"] = count / len(lines)
    measures["dup_line_chars"] = characters / len(whole.replace("\n", ""))
    blocks = paragraphs(text)
    count, characters = find_duplicates(blocks)
    measures["dup_paragraphs"] = count / len(blocks)
    measures["dup_paragraph_chars"] = characters / len(whole)
    for n in (2, 3, 4):
        gram, times = (Counter(get_n_grams(words, n)).most_common(1) or [("", 0)])[0]
        measures[f"top_{n}gram_share"] = min(1.0, len(gram) * times / len(whole)) if times > 1 else 0.0
    for n in range(5, 11):
        measures[f"dup_{n}gram_share"] = find_all_duplicate(words, n) / len(whole)
    return measures


def ends_sentence(line: str) -> bool:
    end = len(line) - 1
    while end > 0 and (unicodedata.category(line[end]) in ("Pe", "Pf") or line[end] in "\"'"):
        end -= 1
    return line[end] in TERMINAL_PUNCTUATION
