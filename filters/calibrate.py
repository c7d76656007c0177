"""Thresholds of the rules for a language, from quantiles of its own text.

    python -m winnow.filters.calibrate --language ko [--bad FILES...] [--join 1000] [--where SQL] FILES...

FILES hold good text: `.md`, `.txt` (one document each), `.jsonl`, `.jsonl.gz`, `.parquet`, `.tsv` (one document per
row, in the first of `--field` that the row has), `.conllu` (one sentence per `# text =` line), or folders of these.
`--join N` joins consecutive rows of one file into documents of at least N characters, for collections of sentences.
`--lines` reads `.txt` and `.md` as one row per line. `--where` leaves stubs out of the good texts. For every measure it prints quantiles and the threshold that `--quantile`
of the good text would miss; then how much of the good text and of `--bad` text (never joined) each clause of the
language pack, and all of them together, would drop.

Why not take published values: FineWeb2's for Korean were tuned on Kiwi morphemes, of which a text has far more than
whitespace words, so that none of its shares and lengths hold for them.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.filters.languages import LanguagePack
from winnow.filters.pack_check import sound_pack
from winnow.filters.rules.table import MEASURES, measure

KNOWN = (".md", ".txt", ".jsonl", ".jsonl.gz", ".tsv", ".conllu", ".parquet")

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

TOO_LITTLE = (
    *("alpha_word_share", "stop_words", "unique_words", "mtld", "line_punctuation"),
    *(
        "hangul_ratio",
        "hangul_share",
        "ending_share",
        "sentence_end_share",
        "lettered_words",
        "running_lines",
        "running_share",
    ),
)
"""Measures of which only too little is bad; of the others but SIZE too much is, of BOTH either."""
BOTH = ("word_count", "mean_word_length")
SIZE = ("char_count", "line_count")


class UnreadableText(ValueError):
    """A file that holds no text that this command knows how to read."""


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those below the folders named that have a known ending, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(KNOWN))
        else:
            yield path


def rows(path: Path, fields: Sequence[str], lines: bool = False) -> Iterator[str]:
    """The texts of one file; with `lines`, of `.md` and `.txt` one per line. Raises UnreadableText for a kind of file,
    or rows, that it cannot take text from."""
    try:
        yield from _rows(path, path.name.removesuffix(".gz"), fields, lines)
    except UnicodeDecodeError as error:
        raise UnreadableText(f"{path}: byte {error.start} is not UTF-8: expected text in UTF-8") from None
    except (json.JSONDecodeError, pa.ArrowInvalid) as error:
        raise UnreadableText(f"{path}: {error}: expected what its name says") from None


def _rows(path: Path, name: str, fields: Sequence[str], lines: bool) -> Iterator[str]:
    if name.endswith(".parquet"):
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(1000):
                yield from (_text(record, path, fields) for record in batch.to_pylist())
        return
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        if name.endswith((".md", ".txt")):
            yield from (line.rstrip("\n") for line in file) if lines else [file.read()]
        elif name.endswith(".conllu"):
            yield from (line.removeprefix("# text = ").strip() for line in file if line.startswith("# text = "))
        elif name.endswith(".jsonl"):
            yield from (_text(json.loads(line), path, fields) for line in file if line.strip())
        elif name.endswith(".tsv"):
            for record in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield _text(record, path, fields)
        else:
            raise UnreadableText(f"{path}: expected one of {', '.join(KNOWN)}")


def _text(record: Any, path: Path, fields: Sequence[str]) -> str:
    if not isinstance(record, dict):
        raise UnreadableText(f"{path}: a row is {type(record).__name__}: expected an object with {', '.join(fields)}")
    for field in fields:
        if field in record:
            return str(record[field] or "")
    raise UnreadableText(f"{path}: a row has none of the fields {', '.join(fields)}, but {', '.join(record)}")


def documents(paths: Sequence[Path], fields: Sequence[str], join: int, lines: bool = False) -> Iterator[str]:
    """NFC texts of all files. Rows of files that hold many are joined, in order, to at least `join` characters."""
    for path in files(paths):
        single = path.suffix in (".md", ".txt") and not lines
        held: list[str] = []
        size = 0
        for text in rows(path, fields, lines):
            held.append(unicodedata.normalize("NFC", text))
            size += len(text)
            if single or size >= join:
                yield "\n".join(held)
                held, size = [], 0


def measured(texts: Iterable[str], pack: LanguagePack, unit: str | None = None) -> pl.DataFrame:
    """One row per text, one column per measure, in a word unit of the pack, its own unless given."""
    frame = pl.from_arrow(measure(pa.array(texts, pa.large_string()), pack, unit))
    assert isinstance(frame, pl.DataFrame)
    return frame


def proposals(good: pl.DataFrame, quantile: float) -> pl.DataFrame:
    """Per measure its quantiles, and the bounds that `quantile` of the good texts lies beyond on each side."""
    table = []
    for m in MEASURES:
        values = good[m.name].to_numpy()
        row: dict[str, object] = {"measure": m.name}
        row |= {f"{q:.0%}": round(float(np.quantile(values, q)), 4) for q in QUANTILES}
        row["at least"] = round(float(np.quantile(values, quantile)), 4) if m.name in TOO_LITTLE + BOTH else None
        row["at most"] = round(float(np.quantile(values, 1 - quantile)), 4) if m.name not in TOO_LITTLE + SIZE else None
        table.append(row)
    return pl.DataFrame(table, infer_schema_length=None)


def drops(frame: pl.DataFrame, pack: LanguagePack) -> dict[str, float]:
    """Share of the texts that each clause of the pack drops, and `all` of them together; `all` counts a text once."""
    clauses = {f"{p}.{c}": e for p, group in pack.clauses.items() for c, e in group.items()}
    kept = frame.select(pl.sql_expr(expression).alias(name) for name, expression in clauses.items())
    together = kept.select(pl.all_horizontal(pl.all())).to_series()
    shares = {name: 1 - float(kept[name].mean() or 0.0) for name in clauses}  # type: ignore[arg-type]
    return {**shares, "all": 1 - float(together.mean() or 0.0)}  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the two tables. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m winnow.filters.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--language", required=True)
    parser.add_argument("--bad", nargs="+", type=Path, default=[])
    parser.add_argument("--field", nargs="+", default=["text"])
    parser.add_argument("--join", type=int, default=0)
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--quantile", type=float, default=0.01)
    parser.add_argument("--where", default="true", help="SQL over the measures: which texts count as good")
    options = parser.parse_args(arguments)
    pack = sound_pack(options.language)
    good = measured(documents(options.files, options.field, options.join, options.lines), pack).filter(
        pl.sql_expr(options.where)
    )
    bad = measured(documents(options.bad, options.field, 0, options.lines), pack)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, tbl_hide_column_data_types=True):
        print(f"{good.height} good documents, {bad.height} bad ones, language pack {pack.code} {pack.version}")
        print(proposals(good, options.quantile))
        columns = {"good": drops(good, pack)} | ({"bad": drops(bad, pack)} if bad.height else {})
        print("share dropped by each clause of the pack:")
        print(pl.DataFrame([{"clause": k} | {c: round(v[k], 4) for c, v in columns.items()} for k in columns["good"]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
