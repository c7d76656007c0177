"""Declarations made up at random: stages of every shape, side by side and over each other, with clauses of every sort."""

from __future__ import annotations

import random
from typing import Any

CLAUSES = {
    "langid": ["score >= 0.6", "label = 'en' and score > 0.2", "score >= quantile(0.3)", "sample(0.9)"],
    "rules": [
        "word_count >= 20",
        "top 60% of documents by word_count",
        "word_count <= mean(word_count) * 4",
        "{tokens}",
    ],
    "clean": ["removed_share < 0.9"],
    "minhash": ["representative", "copies < 4", "shards.tokens > 2"],
    "personal": ["masked < 9"],
    "host_lines": ["repeated_share < 1"],
}
REPEATS = ["2", "0.5"]


def declaration(seed: int) -> dict[str, Any]:
    """One declaration. Not every one of them can be planned: what a stage reads may wait for it."""
    draw = random.Random(seed)
    stages: dict[str, Any] = {"extract": {"use": "extract"}}
    kinds = draw.choices(
        ["langid", "rules", "rules", "clean", "minhash", "personal", "host_lines"], k=draw.randint(2, 8)
    )
    terminal = draw.random() < 0.8
    for number, kind in enumerate(kinds):
        name = f"{kind}{number}"
        stage: dict[str, Any] = {"use": kind}
        if kind == "rules":
            stage["packs"] = ["gopher"]
        if draw.random() < 0.4:
            stage["over"] = draw.sample(list(stages), k=min(len(stages), draw.randint(1, 2)))
        if draw.random() < 0.7:
            clause = draw.choice(CLAUSES[kind])
            if "shards." in clause and not terminal:
                clause = "copies < 3"
            count = "top 50% of tokens by word_count" if draw.random() < 0.5 else "shards.tokens > 3"
            stage["keep"] = clause.format(tokens=count if terminal else "word_count > 3")
        else:
            stage["keep"] = True
        if draw.random() < 0.15:
            stage["repeat"] = draw.choice(REPEATS)
        stages[name] = stage
    if draw.random() < 0.4:
        labels = [f"{name}.label" for name, stage in stages.items() if stage["use"] == "langid"]
        if labels and terminal:
            stages["mixture"] = {"use": "mixture", "by": draw.choice(labels), "over": list(stages)}
    if terminal:
        stages["shards"] = {"use": "tokenize", "tokenizer": "web-bpe"}
    return {
        "name": "made",
        "language": "en",
        "seed": seed,
        "sources": {"web": {"use": "jsonl", "paths": ["web.jsonl"]}, "crawl": {"use": "warc", "paths": ["a.warc"]}},
        "stages": stages,
    }
