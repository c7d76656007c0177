"""Compares what a pipeline decided on the bundled sample with the truth about it."""

from __future__ import annotations

import polars as pl

ALL = "all"
COLUMNS = {"url": pl.String, "kept": pl.Boolean, "stage": pl.String, "clause": pl.String, "text": pl.String}
GRAM = 5


def judge(truth: pl.DataFrame, decided: pl.DataFrame, *, language: str = "ko") -> pl.DataFrame:
    """Precision and recall of keeping and of dropping, per category of the truth and over all.

    `decided` has `url`, `kept` and, where known, `stage` and `clause` (of the drop) and `text` (as extracted);
    one row per response record. Returned columns, a row per category in alphabetical order and the row `all` last:

    - `pages`, `should_keep`, `kept`, `right`: counts; `undecided`: pages that `decided` does not mention, never right
    - `precision`, `recall`: of keeping: right keeps / keeps, right keeps / pages that should be kept
    - `drop_precision`, `drop_recall`: the same of dropping
    - `expected_stage`: share of the right drops made by the stage or the clause that the truth names (null except for ko)
    - `text_recall`: mean share of the gold text's 5-character grams found in the extracted text, over right keeps

    A share of nothing is null. Two rules make the comparison fair. Of a group of duplicates any one member may
    survive: its verdict is exchanged with that of the member that the truth keeps, whatever dropped that one.
    Pages marked `either` count as right whatever was decided.

    Raises ValueError for missing columns or a URL decided twice.
    """
    missing = {"url", "kept"} - set(decided.columns)
    if missing:
        raise ValueError(f"decided lacks the column {sorted(missing)[0]!r}: expected {', '.join(COLUMNS)}")
    if decided["url"].n_unique() != decided.height:
        twice = decided.filter(pl.col("url").is_duplicated())["url"][0]
        raise ValueError(f"{twice} is decided more than once: expected one row per response record")
    rows = _verdicts(_joined(truth, decided, language))
    per_category = rows.group_by("category").agg(*_figures(language)).sort("category")
    return pl.concat([per_category, rows.select(pl.lit(ALL).alias("category"), *_figures(language))])


def _joined(truth: pl.DataFrame, decided: pl.DataFrame, language: str) -> pl.DataFrame:
    known = decided.select(
        (pl.col(name) if name in decided.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in COLUMNS.items()
    )
    rows = truth.select(
        "url", "category", "either", "group", "why", "gold",
        pl.col("keep_for").struct.field(language).alias("should"),
    )  # fmt: skip
    return rows.join(known, on="url", how="left", maintain_order="left")


def _verdicts(rows: pl.DataFrame) -> pl.DataFrame:
    """Exchanges verdicts inside groups of duplicates, so that any survivor counts as the one the truth keeps."""
    verdict = ["kept", "stage", "clause", "text"]
    table = rows.with_row_index("row")
    grouped = table.filter(pl.col("group").is_not_null())
    lost = grouped.filter(pl.col("should") & ~pl.col("kept"))
    survivors = grouped.filter(pl.col("kept") & ~pl.col("should")).unique("group", keep="first", maintain_order=True)
    pairs = lost.select("group", pl.col("row").alias("lost")).join(
        survivors.select("group", pl.col("row").alias("survivor")), on="group"
    )
    order = dict(zip(pairs["lost"], pairs["survivor"], strict=True))
    order |= {survivor: original for original, survivor in order.items()}
    taken = [order.get(row, row) for row in range(rows.height)]
    return rows.drop(verdict).hstack(rows.select(verdict)[taken])


def _figures(language: str) -> list[pl.Expr]:
    # A page that may go either way enters no share: it is right as it was decided.
    counted = pl.col("kept").is_not_null() & ~pl.col("either")
    should, kept = pl.col("should"), pl.col("kept")
    right_keep, right_drop = counted & should & kept, counted & ~should & ~kept
    right = right_keep | right_drop | (pl.col("either") & kept.is_not_null())
    expected = (pl.col("why") == pl.col("stage")) | (pl.col("why") == pl.col("clause").str.split(".").list.last())
    as_expected = (right_drop & expected.fill_null(False)).sum() if language == "ko" else pl.lit(None)
    return [
        pl.len().alias("pages"),
        (should & ~pl.col("either")).sum().alias("should_keep"),
        kept.sum().alias("kept"),
        right.sum().alias("right"),
        kept.is_null().sum().alias("undecided"),
        _share(right_keep.sum(), (counted & kept).sum()).alias("precision"),
        _share(right_keep.sum(), (should & ~pl.col("either")).sum()).alias("recall"),
        _share(right_drop.sum(), (counted & ~kept).sum()).alias("drop_precision"),
        _share(right_drop.sum(), (~should & ~pl.col("either")).sum()).alias("drop_recall"),
        _share(as_expected, right_drop.sum()).alias("expected_stage"),
        _text_recall(right_keep).alias("text_recall"),
    ]


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).cast(pl.Float64)


def _text_recall(right_keep: pl.Expr) -> pl.Expr:
    return (
        pl.struct("gold", "text")
        .filter(right_keep & pl.col("text").is_not_null())
        .map_batches(lambda column: pl.Series([_mean(column)], dtype=pl.Float64), pl.Float64, returns_scalar=True)
    )


def _mean(column: pl.Series) -> float | None:
    found = [found_share(row["gold"], row["text"]) for row in column]
    return sum(found) / len(found) if found else None


def found_share(gold: str, text: str) -> float:
    """Share of the 5-character grams of `gold` (white space apart) that occur in `text`; 1.0 for an empty `gold`."""
    wanted, there = "".join(gold.split()), "".join(text.split())
    grams = {wanted[at : at + GRAM] for at in range(max(0, len(wanted) - GRAM + 1))}
    present = {there[at : at + GRAM] for at in range(max(0, len(there) - GRAM + 1))}
    return len(grams & present) / len(grams) if grams else 1.0
