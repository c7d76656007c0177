"""Fits a byte-level BPE tokenizer to texts: `python -m winnow.tokenize.fit --out FOLDER --vocab 24000 FILES...`

The same texts in the same order give the same bytes. The result is a Hugging Face tokenizer folder that
`transformers.AutoTokenizer` loads and that winnow.tokenize.byte_bpe can encode with.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import orjson
import zstandard

from winnow.tokenize.byte_bpe import WINNOW, byte_alphabet
from winnow.tokenize.shard import TOKENIZER
from winnow.tokenize.tokenizer import CONFIG, TokenizerError, find, load

EOS = "<|endoftext|>"
PAD = "<|pad|>"
SAMPLE = 2000  # texts encoded afterwards for the report; every text may be millions


@dataclass(frozen=True, slots=True)
class FitReport:
    """What was fitted. `tokens_per_character` (fertility) and `bytes_per_token` are measured on the first texts it was
    fitted on (at most SAMPLE), so they flatter it; the raw-byte alternative has `bytes_per_token` 1."""

    name: str
    path: str
    sha256: str
    vocab_size: int
    texts: int
    characters: int
    tokens_per_character: float
    bytes_per_token: float


def fit_tokenizer(texts: Iterable[str], vocab_size: int, out: Path, name: str) -> FitReport:
    """Fits byte-level BPE (NFC, the WINNOW split) and writes tokenizer.json and tokenizer_config.json to `out`.

    `vocab_size` counts everything: EOS (id 0), PAD (id 1), 256 bytes, merges. Raises TokenizerError for a size that
    cannot be, or where the texts are too few for it.
    """
    least = 256 + 2
    if vocab_size <= least:
        raise TokenizerError(
            f"tokenizer '{name}': a vocabulary of {vocab_size}, expected more than {least} (bytes, EOS, PAD)"
        )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WINNOW), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[EOS, PAD],
        initial_alphabet=sorted(byte_alphabet()),
        max_token_length=32,
        show_progress=False,
    )
    sample: list[str] = []
    seen = [0, 0]

    def counted() -> Iterator[str]:
        for text in texts:
            if len(sample) < SAMPLE:
                sample.append(text)
            seen[0] += 1
            seen[1] += len(text)
            yield text

    tokenizer.train_from_iterator(counted(), trainer)
    if tokenizer.get_vocab_size() < vocab_size:
        raise TokenizerError(
            f"tokenizer '{name}': {seen[0]} texts ({seen[1]} characters) fill a vocabulary of "
            f"{tokenizer.get_vocab_size()}, expected {vocab_size}: give more text or ask for less"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / TOKENIZER).write_text(tokenizer.to_str() + "\n", "utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS, "pad_token": PAD}
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    file = find(str(out))
    tokens = len(load(file).encode(sample).ids)
    characters = sum(map(len, sample))
    return FitReport(
        name=name,
        path=str(out / TOKENIZER),
        sha256=file.digest,
        vocab_size=vocab_size,
        texts=seen[0],
        characters=seen[1],
        tokens_per_character=round(tokens / max(characters, 1), 4),
        bytes_per_token=round(sum(len(text.encode()) for text in sample) / max(tokens, 1), 4),
    )


def read_texts(paths: Iterable[Path], key: str = "text") -> Iterator[str]:
    """Texts of files and folders (walked in name order): `.jsonl` (one object a line, its `key`), `.txt` and `.md`
    (a file is a text), each also as `.gz` or `.zst`. NFC. Raises TokenizerError for another kind or a missing key."""
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file() and _kind(p) in (".jsonl", ".txt", ".md"))
            yield from read_texts(inside, key)
            continue
        if not path.is_file():
            raise TokenizerError(f"{path}: no such file, expected jsonl, txt or md")
        kind = _kind(path)
        if kind not in (".jsonl", ".txt", ".md"):
            raise TokenizerError(
                f"{path}: files of kind '{kind}' are not read, expected .jsonl, .txt or .md (.gz, .zst)"
            )
        with _opened(path) as lines:
            if kind != ".jsonl":
                yield unicodedata.normalize("NFC", lines.read())
                continue
            for number, line in enumerate(lines, 1):
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise TokenizerError(f"{path}:{number}: not a JSON object ({error})") from None
                if not isinstance(record, dict) or not isinstance(record.get(key), str):
                    raise TokenizerError(f"{path}:{number}: no text under '{key}', expected an object with one")
                yield unicodedata.normalize("NFC", record[key])


def _kind(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in (".gz", ".zst") else path).suffix


def _opened(path: Path) -> TextIO:
    opener: Any = {".gz": gzip.open, ".zst": zstandard.open}.get(path.suffix, open)
    return cast(TextIO, opener(path, "rt", encoding="utf-8", errors="replace"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="winnow.tokenize.fit", description="Fit a byte-level BPE tokenizer to texts.")
    parser.add_argument("files", nargs="+", type=Path, help="jsonl, txt or md files or folders")
    parser.add_argument("--out", required=True, type=Path, help="folder for tokenizer.json")
    parser.add_argument("--vocab", required=True, type=int, help="size of the vocabulary, control tokens included")
    parser.add_argument("--name", help="name in the report (default: the folder's)")
    parser.add_argument("--key", default="text", help="key of the text in jsonl objects")
    given = parser.parse_args()
    try:
        report = fit_tokenizer(read_texts(given.files, given.key), given.vocab, given.out, given.name or given.out.name)
    except TokenizerError as error:
        raise SystemExit(f"error: {error}") from None
    print(json.dumps(asdict(report), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
