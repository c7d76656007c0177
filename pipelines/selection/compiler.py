"""From the tokens of one clause to SQL for polars, with the statistics and draws that it asks for as columns; each is tried on
one row, so that wrong types are found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

import polars as pl
import pyarrow as pa

from winnow.nearest import expected
from winnow.pipelines.selection.balanced import balanced
from winnow.pipelines.selection.clause import (
    BYTES,
    GUMBEL,
    UNIFORM,
    Clause,
    ClauseError,
    Statistic,
    compiled,
    shortened,
)
from winnow.pipelines.selection.tokens import (
    COMPARISONS,
    OURS,
    TOKEN,
    Token,
    arguments_of,
    between,
    closing,
    operand,
    written,
)

ARITHMETIC = frozenset("+-*/%")
PARTIAL = frozenset(["ln", "log10", "mod", "pow", "power", "sqrt"])
"""Functions that give no number for some numbers."""

NAN = "CAST('NaN' AS DOUBLE)"
TOKENS = "tokens"


@dataclass
class Compiler:
    """Turns the tokens of one clause into a Clause. State: the signals and statistics met so far."""

    stage: str
    name: str
    text: str
    known: Mapping[str, pa.DataType]
    tokens: str | None
    key: str = "keep"
    signals: list[str] = field(default_factory=list)
    statistics: list[Statistic] = field(default_factory=list)
    draws: bool = False

    def clause(self, tokens: list[Token]) -> Clause:
        """A boolean. Raises ClauseError."""
        if tokens[0].word == "top" and len(tokens) > 1 and tokens[1].kind == "number":
            sql = self._top(tokens)
        else:
            sql = self._sql(tokens)
        made = self._made(sql, tokens)
        return tried(made, self.known, pl.Boolean)

    def number(self, tokens: list[Token]) -> Clause:
        """An expression over one document. Raises ClauseError."""
        made = self._made(self._sql(tokens), tokens)
        if made.statistics:
            raise ClauseError(
                f"{self.stage}.repeat: '{shortened(self.text)}' compares with all documents; expected an expression over one document"
            )
        return tried(made, self.known, pl.Float64)

    def _made(self, sql: str, tokens: list[Token]) -> Clause:
        plain = not self.statistics and not self.draws
        signal, threshold, operator, number = None, shortened(self.text), None, None
        if plain and len(tokens) == 1 and self.signals:
            signal, threshold = self.signals[0], "true"
        elif len(set(self.signals)) == 1:
            signal = self.signals[0]
            literal = tokens[2:]
            if plain and tokens[0].is_signal and len(tokens) > 2 and tokens[1].text in COMPARISONS:
                value = "".join(t.text for t in literal)
                signed = len(literal) == 2 and literal[0].text in ("-", "+")
                if (len(literal) == 1 or signed) and literal[-1].kind in ("string", "number"):
                    threshold = f"{tokens[1].text} {value}"
                    if literal[-1].kind == "number":
                        operator, number = tokens[1].text, float(value)
        return Clause(
            f"{self.stage}.{self.name}",
            sql,
            self.text,
            tuple(dict.fromkeys(self.signals)),
            signal,
            threshold,
            tuple(self.statistics),
            self.draws,
            operator,
            number,
        )

    def _error(self, what: str) -> ClauseError:
        return ClauseError(f"{self._where()} ({shortened(self.text)}): {what}")

    def _where(self) -> str:
        return f"{self.stage}.{self.key}" + (f": clause '{self.name}'" if self.key == "keep" else "")

    def _signal(self, token: Token) -> str:
        text = token.text.strip('"')
        full = text if "." in text else f"{self.stage}.{text}"
        if full not in self.known and token.kind == "quoted":
            raise self._error(f"{token.text} is no signal; text is written in single quotes: '{text}'")
        if full not in self.known:
            own = [k.removeprefix(f"{self.stage}.") for k in self.known if k.startswith(f"{self.stage}.")]
            near = expected(full, self.known) if "." in token.text else expected(token.text, own)
            raise ClauseError(
                f"{self._where()} uses signal '{token.text}', which neither it nor an ancestor measures; {near}"
            )
        self.signals.append(full)
        return full

    def _sql(self, tokens: Sequence[Token]) -> str:
        """SQL for polars. Arithmetic is that of 64-bit floats, which does not wrap; what is not a number is null, as is a
        quotient by zero, so that it does not keep."""
        called = self._called(balanced(tokens))
        computes = any(t.text in ARITHMETIC or t.kind == "call" for t in called)
        out: list[str] = []
        closers: dict[int, str] = {}  # token after which a bracket of ours closes -> what closes it
        for at, token in enumerate(called):
            if token.kind == "call" and token.word in PARTIAL:
                out.append("nullif(")
                closers[self._operand(called, at)] = f", {NAN})" + closers.get(self._operand(called, at), "")
            if token.kind == "column":
                out.append(f'"{token.text}"')
            elif token.kind == "quoted" or token.is_signal:
                signal = self._signal(token)
                whole = computes and pa.types.is_integer(self.known[signal])
                out.append(f'CAST("{signal}" AS DOUBLE)' if whole else f'"{signal}"')
            else:
                out.append(token.text)
            if token.text in ("/", "%") and token.kind == "op":
                out.append("nullif(")
                end = self._operand(called, at + 1)
                closers[end] = ", 0)" + closers.get(end, "")
            if at in closers:
                out.append(closers[at])
        return " ".join(out)

    def _operand(self, tokens: Sequence[Token], at: int) -> int:
        """Where the operand ends that begins at a token."""
        while at < len(tokens) - 1 and tokens[at].text in ("-", "+"):
            at += 1
        if at < len(tokens) and tokens[at].kind == "call":
            return self._closing(tokens, at + 1)
        return self._closing(tokens, at) if at < len(tokens) and tokens[at].text == "(" else at

    def _called(self, tokens: list[Token]) -> list[Token]:
        """The tokens with every function of our own replaced by the column that holds its value."""
        out: list[Token] = []
        at = 0
        while at < len(tokens):
            token = tokens[at]
            if token.kind != "call" or token.word not in OURS:
                out.append(token)
                at += 1
                continue
            end = self._closing(tokens, at + 1)
            arguments = arguments_of(tokens[at + 2 : end])
            if token.word in ("uniform", "gumbel", "sample"):
                out += self._drawn(token, arguments)
            else:
                out.append(self._statistic(token, arguments, out, tokens[end + 1 :]))
            at = end + 1
        return out

    def _closing(self, tokens: Sequence[Token], opening: int) -> int:
        end = closing(tokens, opening)
        if end == len(tokens):
            raise self._error("a bracket is not closed")
        return end

    def _drawn(self, token: Token, arguments: list[list[Token]]) -> list[Token]:
        self.draws = True
        wanted = 1 if token.word == "sample" else 0
        if len(arguments) != wanted:
            expected = (
                "the share to keep, such as sample(0.1)" if wanted else f"nothing between brackets: {token.word}()"
            )
            raise self._error(f"{token.word}() takes {expected}")
        if token.word != "sample":
            return [Token("column", f"{UNIFORM if token.word == 'uniform' else GUMBEL} {self.stage}.{self.name}")]
        share = "".join(t.text for t in arguments[0])
        number = arguments[0][-1].kind == "number" and all(t.text in "+-" for t in arguments[0][:-1])
        if number and not 0 <= float(share) <= 1:
            raise self._error(f"sample({share}): expected a share from 0 to 1")
        drawn = Token("column", f"{UNIFORM} {self.stage}.{self.name}")
        return [Token("op", "("), drawn, Token("op", "<"), *self._called(arguments[0]), Token("op", ")")]

    def _statistic(self, token: Token, arguments: list[list[Token]], before: list[Token], after: list[Token]) -> Token:
        by = None
        if arguments and len(arguments[-1]) == 3 and [t.word for t in arguments[-1][:2]] == ["by", "="]:
            by = self._group(arguments.pop()[2])
        amount = 0.0
        if token.word == "quantile":
            last = arguments.pop() if arguments else []
            if len(last) != 1 or last[0].kind != "number" or not 0 <= float(last[0].text) <= 1:
                raise self._error(
                    "quantile() takes a number from 0 to 1, such as quantile(0.7), quantile(score, 0.7) or "
                    "quantile(0.7, by = domain.label)"
                )
            amount = float(last[0].text)
        if len(arguments) > 1:
            raise self._error(f"{token.word}() takes one expression, got {len(arguments)}")
        key = arguments[0] if arguments else self._compared(token, before, after)
        name = token.word if token.word != "quantile" else f"quantile({amount:g})"
        return self._add(token.word, self._sql(key), by, f"{name} of {written(key)}", amount=amount)

    def _compared(self, token: Token, before: list[Token], after: list[Token]) -> list[Token]:
        """What a statistic without an expression is compared with."""
        found: list[Token] = []
        if before and before[-1].text in COMPARISONS:
            found = operand(before[:-1][::-1], opening="(")[::-1]
        elif after and after[0].text in COMPARISONS:
            found = operand(after[1:], opening=")")
        elif (at := between(before)) is not None:
            left = before[: at - 1] if at and before[at - 1].word == "not" else before[:at]
            found = operand(left[::-1], opening="(")[::-1]
        if not any(t.is_signal for t in found) or any(t.kind == "column" for t in found):
            raise self._error(f"{token.text}() of what? Compare with it, or name it: {token.text}(score, 0.7)")
        return found

    def _group(self, token: Token) -> str:
        if not token.is_signal:
            raise self._error(f"'{token.text}' is not a signal to group by")
        signal = self._signal(token)
        if pa.types.is_floating(self.known[signal]):
            raise self._error(
                f"groups by '{signal}', which is {self.known[signal]}; expected a label, count or boolean"
            )
        return signal

    def _add(self, kind: str, key: str, by: str | None, text: str, **rest: object) -> Token:
        column = f"@{len(self.statistics)} {self.stage}.{self.name}"
        label = f"{text} per {by}" if by else text
        self.statistics.append(Statistic(kind, column, key, by, text=label, **rest))  # type: ignore[arg-type]
        return Token("column", column)

    def _top(self, tokens: list[Token]) -> str:
        """`top N[% of] UNIT by EXPRESSION [per SIGNAL] [temperature T]`."""
        words = [t.word for t in tokens]
        share = words[2:4] == ["%", "of"]
        at = 4 if share else 2
        exact = Fraction(words[1]) / (100 if share else 1)
        amount = float(exact)
        if "by" not in words[at + 1 : at + 2] or at + 2 >= len(tokens):
            raise self._error(
                "expected: top 30% of tokens by SCORE [per LABEL] [temperature T], or top 1000 documents by SCORE"
            )
        if not 0 < amount <= (1 if share else 2**62):
            raise self._error(f"top {words[1]}: expected a share above 0 and up to 100%, or a number above 0")
        if not share and exact.denominator != 1:
            raise self._error(
                f"top {words[1]} of what can be counted: expected a whole number, or a share such as 30% of"
            )
        rest, by, temperature = tokens[at + 2 :], None, None
        for _ in range(2):
            if len(rest) > 2 and rest[-2].word == "per":
                by, rest = self._group(rest[-1]), rest[:-2]
            elif len(rest) > 2 and rest[-2].word == "temperature" and rest[-1].kind == "number":
                temperature, rest = float(rest[-1].text), rest[:-2]
        key = self._sql(rest)
        if temperature is not None:
            if temperature <= 0:
                raise self._error("temperature 0: expected a number above 0; without noise leave it out")
            mean = self._add("mean", key, by, f"mean of {written(rest)}").text
            std = self._add("std", key, by, f"std of {written(rest)}").text
            z = f'CASE WHEN "{std}" > 0 THEN (({key}) - "{mean}") / "{std}" WHEN ({key}) IS NOT NULL THEN 0.0 END'
            key = f'CAST(({z}) / {temperature} + "{GUMBEL} {self.stage}.{self.name}" AS REAL)'
            self.draws = True
        weight = self._weight(tokens[at])
        return f'"{self._add("top", key, by, shortened(self.text), amount=amount, share=share, weight=weight).text}"'

    def _weight(self, token: Token) -> str | None:
        if token.word == "documents":
            return None
        if token.word == "bytes":
            return BYTES
        if token.word == TOKENS:
            if self.tokens is None:
                raise self._error(
                    "nothing counts tokens: expected a tokenize stage, or 'top ... of documents', 'of bytes' or a signal"
                )
            self.signals.append(self.tokens)
            return self.tokens
        if "." not in token.text and f"{self.stage}.{token.text}" not in self.known:
            raise self._error(f"'{token.text}' is nothing to weigh by; expected documents, tokens, bytes or a count")
        signal = self._signal(token)
        if not pa.types.is_integer(self.known[signal]):
            raise self._error(
                f"'{signal}' is {self.known[signal]}; expected documents, tokens, bytes or a count to weigh documents by"
            )
        return signal


def tried(clause: Clause, known: Mapping[str, pa.DataType], expected: type[pl.DataType]) -> Clause:
    """The clause with the types of its statistics. `expected`: Boolean, or Float64 for any number. Raises ClauseError."""
    return _tried(clause, tuple((signal, known[signal]) for signal in clause.signals if signal in known), expected)


@lru_cache(maxsize=4096)  # a command checks the declaration of a run more than once
def _tried(clause: Clause, types: tuple[tuple[str, pa.DataType], ...], expected: type[pl.DataType]) -> Clause:
    known, statistics = dict(types), []
    frame = pl.DataFrame({s: pl.from_arrow(pa.nulls(1, known[s])) for s in clause.signals if s in known} or {"_": [0]})
    frame = frame.with_columns(
        pl.col(c).fill_null(pl.lit("") if t == pl.String else pl.lit(False) if t == pl.Boolean else pl.lit(0).cast(t))
        for c, t in frame.schema.items()
    )
    frame = frame.with_columns(pl.lit(0.5).alias(f"{noise} {clause.name}") for noise in (UNIFORM, GUMBEL))
    for statistic in clause.statistics:
        result = _dtype(clause, statistic.key, frame, known)
        if not result.is_numeric():
            raise ClauseError(
                f"{clause.name}: {statistic.text} is {result}; expected a number ({_types(clause, known)})"
            )
        statistics.append(replace(statistic, dtype=_key_type(result)))
        frame = frame.with_columns(pl.lit(True if statistic.kind == "top" else 0.5).alias(statistic.column))
    result = _dtype(clause, clause.sql, frame, known)
    boolean = expected is pl.Boolean
    if not (result == pl.Boolean if boolean else result.is_numeric()):
        what = f"{'clause ' * boolean}{shortened(clause.text)!r} gives {result}"
        wanted = "boolean" if boolean else "number"
        raise ClauseError(f"{clause.name}: {what}; expected a {wanted} ({_types(clause, known)})")
    return replace(clause, statistics=tuple(statistics))


def _key_type(dtype: pl.DataType) -> str:
    if dtype.is_float():
        return "float32" if dtype == pl.Float32 else "float64"
    return "int32" if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16) else "int64"


def _dtype(clause: Clause, sql: str, frame: pl.DataFrame, known: Mapping[str, pa.DataType]) -> pl.DataType:
    # polars 2.1 compares a text with 0.5 as if it were '0.5', and refuses to with 1
    whole = " ".join("1" if m["number"] else m[0].strip() for m in TOKEN.finditer(sql))
    try:
        frame.select(compiled(whole))
        return frame.select(compiled(sql).alias("value")).get_column("value").dtype
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClauseError(
            f"{clause.name}: clause {shortened(clause.text)!r} cannot be evaluated ({_types(clause, known)}): {reason}"
        ) from error


def _types(clause: Clause, known: Mapping[str, pa.DataType]) -> str:
    return ", ".join(f"{s} is {known[s]}" for s in clause.signals if s in known)
