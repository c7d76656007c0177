"""The selection language: `keep` clauses over signals, and the verdict of every stage on every row.

A clause is an SQL boolean over signals. Bare names are the stage's own, dotted names any ancestor's. A conjunction is
split at its top-level ANDs so that each reason for a drop has a name, a value and a threshold of its own. A clause
that is null (a signal without a value) does not keep. Functions that look beyond the row are refused: a verdict must
not depend on which rows share a batch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

UNSEEN, KEPT, DROPPED, FAILED = 0, 1, 2, 3
"""Status of a row at a stage: an ancestor had dropped it; kept; dropped by a clause; the measurement failed."""

FUNCTIONS = frozenset(
    [
        "abs",
        "ceil",
        "coalesce",
        "concat",
        "contains",
        "ends_with",
        "exp",
        "floor",
        "greatest",
        "ifnull",
        "least",
        "left",
        "length",
        "ln",
        "log10",
        "lower",
        "ltrim",
        "mod",
        "nullif",
        "octet_length",
        "pow",
        "power",
        "regexp_like",
        "replace",
        "reverse",
        "right",
        "round",
        "rtrim",
        "sign",
        "sqrt",
        "starts_with",
        "strpos",
        "substr",
        "trim",
        "upper",
    ]
)
KEYWORDS = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "between",
        "like",
        "ilike",
        "rlike",
        "regexp",
        "true",
        "false",
        "case",
        "when",
        "then",
        "else",
        "end",
        "cast",
        "as",
        "escape",
        "float",
        "double",
        "int",
        "integer",
        "bigint",
        "varchar",
        "string",
        "boolean",
        "real",
    ]
)
TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<quoted>\"[^\"]+\")|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<op><=|>=|<>|!=|==|\|\||::|[-+*/%<>=(),!~]))"
)
COMPARISONS = frozenset(["=", "==", "<", ">", "<=", ">=", "<>", "!="])


LISTED = 12
"""Names that an error sentence lists before it shows the nearest alone."""


class ClauseError(ValueError):
    """A clause that cannot be used: one sentence saying what is wrong and the nearest valid choice."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One reason to drop: `sql` must hold. `signal` is the one whose value is recorded, None for several."""

    name: str  # dotted: rules.too_short
    sql: str  # with quoted dotted columns, for polars
    text: str  # as written
    signals: tuple[str, ...]
    signal: str | None
    threshold: str

    def expr(self) -> pl.Expr:
        """True where the clause keeps; never null."""
        return pl.sql_expr(self.sql).fill_null(False)

    def value(self) -> pl.Expr:
        """The value that is recorded with a drop, as text."""
        if self.signal is not None:
            return pl.col(self.signal).cast(pl.String)
        parts = [pl.format(f"{name}={{}}", pl.col(name).cast(pl.String).fill_null("null")) for name in self.signals]
        return pl.concat_str(parts, separator=", ") if parts else pl.lit("")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def compile_clauses(stage: str, keep: Mapping[str, str] | str, known: Mapping[str, pa.DataType]) -> list[Clause]:
    """The clauses of one stage. `known`: dotted name -> type of every signal it may use. Raises ClauseError."""
    named: list[tuple[str, str]] = []
    if isinstance(keep, str):
        used: dict[str, int] = {}
        for tokens in _conjuncts(_tokens(stage, keep)):
            first = next((t.text.rpartition(".")[2] for t in tokens if t.kind == "name" and _is_signal(t)), "keep")
            used[first] = used.get(first, 0) + 1
            named.append((first if used[first] == 1 else f"{first}_{used[first]}", _written(tokens)))
    else:
        named = list(keep.items())
    return [_compile(stage, name, text, known) for name, text in named]


def verdict(
    clauses: Sequence[Clause], frame: pl.DataFrame, seen: np.ndarray, failed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Status (uint8) of every row at a stage, and the index of the first clause that drops it (int16, -1 for none)."""
    status = np.where(seen, np.where(failed, FAILED, KEPT), UNSEEN).astype(np.uint8)
    first = np.full(len(frame), -1, np.int16)
    if clauses and len(frame):
        holds = frame.select(c.expr().alias(str(i)) for i, c in enumerate(clauses))
        for index in reversed(range(len(clauses))):
            column = holds.get_column(str(index))
            keeps = column.to_numpy() if len(column) == len(frame) else np.full(len(frame), column[0])
            first[(status != UNSEEN) & (status != FAILED) & ~keeps] = index
        status[first >= 0] = DROPPED
    return status, first


def explain(clauses: Sequence[Clause], frame: pl.DataFrame, first: np.ndarray) -> pl.DataFrame:
    """Columns clause, value, threshold (strings; null where `first` is -1), aligned with `frame`."""
    index = pl.Series("first", first)
    out = pl.DataFrame({"clause": [None] * len(frame), "value": None, "threshold": None}, _REASON)
    for i in np.unique(first[first >= 0]):
        clause, hit = clauses[i], index == i
        value = frame.select(clause.value().alias("value")).get_column("value")
        out = out.with_columns(
            pl.when(hit).then(pl.lit(clause.name)).otherwise("clause").alias("clause"),
            pl.when(hit).then(value).otherwise("value").alias("value"),
            pl.when(hit).then(pl.lit(clause.threshold)).otherwise("threshold").alias("threshold"),
        )
    return out


_REASON = {"clause": pl.String, "value": pl.String, "threshold": pl.String}


def nearest(name: str, choices: Iterable[str]) -> str:
    """`expected one of a, b, c; nearest: 'b'` for an error sentence; long lists are cut to the nearest names."""
    names = list(dict.fromkeys(choices))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if not names:
        return "there is none to choose"
    if len(names) <= LISTED:
        return f"expected one of {', '.join(names)}" + (f"; nearest: '{near[0]}'" if near else "")
    if near:
        return f"nearest of {len(names)}: '{near[0]}'" + (f" (then {', '.join(near[1:])})" if near[1:] else "")
    return f"expected one of {len(names)}: {', '.join(names[:LISTED])}, ..."


def _tokens(stage: str, text: str) -> list[_Token]:
    out: list[_Token] = []
    at = 0
    text = text.strip()
    if not text:
        raise ClauseError(f"{stage}: an empty clause; expected an SQL boolean over signals, such as score >= 0.5")
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ClauseError(f"{stage}: cannot read {text[at:].strip()[:20]!r} in clause {text!r}")
        out.append(_Token(str(match.lastgroup), match.group(str(match.lastgroup))))
        at = match.end()
    for here, following in zip(out, [*out[1:], _Token("op", "")], strict=True):
        is_call = here.kind == "name" and following.text == "(" and here.text.lower() not in KEYWORDS
        if is_call and here.text.lower() not in FUNCTIONS:
            raise ClauseError(
                f"{stage}: function '{here.text}' in clause {text!r} is not available: a clause sees one document at a "
                f"time; {nearest(here.text.lower(), sorted(FUNCTIONS))}"
            )
    return [
        _Token("call", t.text) if t.kind == "name" and n.text == "(" and t.text.lower() in FUNCTIONS else t
        for t, n in zip(out, [*out[1:], _Token("op", "")], strict=True)
    ]


def _is_signal(token: _Token) -> bool:
    return token.kind == "name" and token.text.lower() not in KEYWORDS


def _conjuncts(tokens: list[_Token]) -> list[list[_Token]]:
    """Split at the ANDs that are neither nested nor part of BETWEEN; an OR at top level leaves it whole."""
    groups: list[list[_Token]] = [[]]
    depth = between = 0
    for token in tokens:
        word = token.text.lower() if token.kind == "name" else token.text
        depth += (word in ("(", "case")) - (word in (")", "end"))
        if depth == 0 and word == "or":
            return [tokens]
        if depth == 0 and word == "between":
            between += 1
        if depth == 0 and word == "and":
            if between:
                between -= 1
            else:
                groups.append([])
                continue
        groups[-1].append(token)
    return groups


def _written(tokens: Sequence[_Token]) -> str:
    return " ".join(token.text for token in tokens)


def _compile(stage: str, name: str, text: str, known: Mapping[str, pa.DataType]) -> Clause:
    tokens = _tokens(f"{stage}.{name}", text)
    signals: list[str] = []
    sql = []
    for token in tokens:
        if not _is_signal(token):
            sql.append(token.text)
            continue
        full = token.text if "." in token.text else f"{stage}.{token.text}"
        if full not in known:
            own = [k.removeprefix(f"{stage}.") for k in known if k.startswith(f"{stage}.")]
            near = nearest(full, known) if "." in token.text else nearest(token.text, own)
            raise ClauseError(
                f"{stage}.keep: clause '{name}' uses signal '{token.text}', which neither it nor an ancestor measures; {near}"
            )
        signals.append(full)
        sql.append(f'"{full}"')
    clause = Clause(
        f"{stage}.{name}",
        " ".join(sql),
        text.strip(),
        tuple(dict.fromkeys(signals)),
        *_threshold(tokens, signals, text),
    )
    _try(clause, known)
    return clause


def _threshold(tokens: list[_Token], signals: list[str], text: str) -> tuple[str | None, str]:
    if len(tokens) == 1 and signals:
        return signals[0], "true"
    if len(signals) == 1 and _is_signal(tokens[0]) and len(tokens) > 2 and tokens[1].text in COMPARISONS:
        literal = tokens[2:]
        if all(t.kind in ("string", "number") or t.text in ("-", "+") for t in literal):
            return signals[0], f"{tokens[1].text} {''.join(t.text for t in literal)}"
    return (signals[0] if len(set(signals)) == 1 else None), text.strip()


def _try(clause: Clause, known: Mapping[str, pa.DataType]) -> None:
    """Run the clause on one row, so that wrong types are found before anything else runs."""
    frame = pl.DataFrame({s: pl.from_arrow(pa.nulls(1, known[s])) for s in clause.signals} or {"_": [0]})
    frame = frame.with_columns(
        pl.col(c).fill_null(pl.lit("") if t == pl.String else pl.lit(False) if t == pl.Boolean else pl.lit(0).cast(t))
        for c, t in frame.schema.items()
    )
    types = ", ".join(f"{s} is {known[s]}" for s in clause.signals)
    try:
        result = frame.select(pl.sql_expr(clause.sql).alias("keep")).get_column("keep")
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ClauseError(f"{clause.name}: clause {clause.text!r} cannot be evaluated ({types}): {reason}") from error
    if result.dtype != pl.Boolean:
        raise ClauseError(f"{clause.name}: clause {clause.text!r} gives {result.dtype}; expected a boolean ({types})")
