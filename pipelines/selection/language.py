"""The selection language: `keep` clauses and `repeat` expressions over signals, compiled for polars.

A clause is an SQL boolean over signals. Bare names are the stage's own, dotted names any ancestor's. A conjunction is
split at its top-level ANDs so that each reason for a drop has a name, a value and a threshold of its own. A clause
that is null (a signal without a value) does not keep.

Beyond SQL over one row there are, each deterministic whatever the partitions and workers:

- `score >= quantile(0.7)`, `quantile(0.7, by = domain.label)`, `quantile(a + b, 0.7)`, `mean(x)`, `std(x)`: statistics
  of the documents that the stage sees, before any of its clauses. Without an expression, of what it is compared with.
- `top 30% of tokens by quality.score per domain.label`, `top 1000000 documents by score`, with `temperature 0.5` after
  QuRating's sampling (https://arxiv.org/abs/2402.09739, section 3.2: scores made z-scores, divided by the temperature,
  with Gumbel noise). The weights are `documents`, `tokens`, `bytes` or a numeric signal. A clause of its own.
- `sample(0.1)`, `uniform()`, `gumbel()`: numbers that a hash of seed, clause name and document id draws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import polars as pl
import pyarrow as pa

from winnow.pipelines.selection.clause import GUMBEL, UNIFORM, Clause, ClauseError, Statistic, compiled, nearest
from winnow.pipelines.selection.verdict import MULTIPLICITY

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
        "if",
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
OURS = frozenset(["quantile", "mean", "std", "sample", "uniform", "gumbel"])
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
        "distinct",
        "from",
    ]
)
TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<quoted>\"[^\"]+\")|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<op><=|>=|<>|!=|==|\|\||::|[-+*/%<>=(),!~]))"
)
ARITHMETIC = frozenset("+-*/%")
PARTIAL = frozenset(["ln", "log10", "mod", "pow", "power", "sqrt"])
"""Functions that give no number for some numbers."""

NAN = "CAST('NaN' AS DOUBLE)"
COMPARISONS = frozenset(["=", "==", "<", ">", "<=", ">=", "<>", "!="])
BOUNDARIES = frozenset(["and", "or", "not", "when", "then", "else", "between"])
NAME = re.compile(r"\w[\w-]*\Z")

TOKENS, BYTES = "tokens", "@bytes"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # string, quoted, number, name, call, op, or column: a name that is none of the user's
    text: str
    start: int = 0  # in the clause
    end: int = 0

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind in ("name", "call") else self.text

    @property
    def is_signal(self) -> bool:
        return self.kind == "name" and self.word not in KEYWORDS


def compile_clauses(
    stage: str, keep: Mapping[str, str] | str, known: Mapping[str, pa.DataType], tokens: str | None = None
) -> list[Clause]:
    """The clauses of one stage. `known`: dotted name -> type of every signal it may use; `tokens`: the signal that counts
    a document's tokens. Raises ClauseError."""
    named: list[tuple[str, list[_Token], str]] = []
    if isinstance(keep, str):
        used: dict[str, int] = {MULTIPLICITY: 1}  # whatever drops for that has the name
        for group in _conjuncts(stage, _tokens(stage, keep)):
            first = next((t.text.rpartition(".")[2] for t in group if t.is_signal), "keep")
            if group[0].word == "top" and len(group) > 1:
                first = "top"
            elif group[0].kind == "call" and group[0].word in OURS:
                first = group[0].word
            used[first] = used.get(first, 0) + 1
            text = keep.strip()[group[0].start : group[-1].end]
            named.append((first if used[first] == 1 else f"{first}_{used[first]}", group, text))
    else:
        for name, text in keep.items():
            if not NAME.match(name):
                raise ClauseError(f"{stage}.keep: clause name {name!r}: expected letters, digits, '_' and '-'")
            if name == MULTIPLICITY:
                raise ClauseError(
                    f"{stage}.keep: '{name}' is what a document is dropped by that is repeated less than once; "
                    "expected another name"
                )
            named.append((name, _tokens(f"{stage}.{name}", text), text.strip()))
    return [_Compiler(stage, name, text, known, tokens).clause(group) for name, group, text in named]


def compile_repeat(stage: str, text: str, known: Mapping[str, pa.DataType]) -> Clause:
    """A `repeat` expression: a number over signals. Raises ClauseError."""
    return _Compiler(stage, "repeat", text.strip(), known, None, "repeat").number(_tokens(f"{stage}.repeat", text))


def _tokens(where: str, text: str) -> list[_Token]:
    out: list[_Token] = []
    at = 0
    text = text.strip()
    if not text:
        raise ClauseError(f"{where}: an empty clause; expected an SQL boolean over signals, such as score >= 0.5")
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ClauseError(f"{where}: cannot read {text[at:].strip()[:20]!r} in clause {text!r}")
        kind = str(match.lastgroup)
        out.append(_Token(kind, match.group(kind), match.start(kind), match.end()))
        at = match.end()
    for number, (here, following) in enumerate(zip(out, [*out[1:], _Token("op", "")], strict=True)):
        if here.kind != "name" or following.text != "(" or here.word in KEYWORDS or here.word == "by":
            continue
        if here.word not in FUNCTIONS | OURS:
            raise ClauseError(
                f"{where}: function '{here.text}' in clause {text!r} is not available; "
                f"{nearest(here.word, sorted(FUNCTIONS | OURS))}"
            )
        out[number] = replace(here, kind="call")
    return out


def _conjuncts(stage: str, tokens: list[_Token]) -> list[list[_Token]]:
    """Split at the ANDs that are neither nested nor part of BETWEEN; an OR at top level leaves it whole."""
    groups: list[list[_Token]] = [[]]
    depth = between = 0
    for token in tokens:
        word = token.word
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
    if any(not group for group in groups):
        raise ClauseError(f"{stage}.keep: clause {_written(tokens)!r}: AND without something on both sides")
    return groups


def _written(tokens: Sequence[_Token]) -> str:
    return " ".join(token.text for token in tokens)


@dataclass
class _Compiler:
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

    def clause(self, tokens: list[_Token]) -> Clause:
        if tokens[0].word == "top" and len(tokens) > 1 and tokens[1].kind == "number":
            sql = self._top(tokens)
        else:
            sql = self._sql(tokens)
        made = self._made(sql, tokens)
        return _checked(made, self.known, pl.Boolean)

    def number(self, tokens: list[_Token]) -> Clause:
        made = self._made(self._sql(tokens), tokens)
        if made.statistics:
            raise ClauseError(
                f"{self.stage}.repeat: '{self.text}' compares with all documents; expected an expression over one document"
            )
        return _checked(made, self.known, pl.Float64)

    def _made(self, sql: str, tokens: list[_Token]) -> Clause:
        plain = not self.statistics and not self.draws
        signal, threshold, operator, number = None, self.text, None, None
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
        return ClauseError(f"{self._where()} ({self.text}): {what}")

    def _where(self) -> str:
        return f"{self.stage}.{self.key}" + (f": clause '{self.name}'" if self.key == "keep" else "")

    def _signal(self, token: _Token) -> str:
        text = token.text.strip('"')
        full = text if "." in text else f"{self.stage}.{text}"
        if full not in self.known and token.kind == "quoted":
            raise self._error(f"{token.text} is no signal; text is written in single quotes: '{text}'")
        if full not in self.known:
            own = [k.removeprefix(f"{self.stage}.") for k in self.known if k.startswith(f"{self.stage}.")]
            near = nearest(full, self.known) if "." in token.text else nearest(token.text, own)
            raise ClauseError(
                f"{self._where()} uses signal '{token.text}', which neither it nor an ancestor measures; {near}"
            )
        self.signals.append(full)
        return full

    def _sql(self, tokens: Sequence[_Token]) -> str:
        """SQL for polars. Arithmetic is that of 64-bit floats, which does not wrap; what is not a number is null, as is a
        quotient by zero, so that it does not keep."""
        called = self._called(list(tokens))
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

    def _operand(self, tokens: Sequence[_Token], at: int) -> int:
        """Where the operand ends that begins at a token."""
        while at < len(tokens) - 1 and tokens[at].text in ("-", "+"):
            at += 1
        if at < len(tokens) and tokens[at].kind == "call":
            return self._closing(tokens, at + 1)
        return self._closing(tokens, at) if at < len(tokens) and tokens[at].text == "(" else at

    def _called(self, tokens: list[_Token]) -> list[_Token]:
        """The tokens with every function of our own replaced by the column that holds its value."""
        out: list[_Token] = []
        at = 0
        while at < len(tokens):
            token = tokens[at]
            if token.kind != "call" or token.word not in OURS:
                out.append(token)
                at += 1
                continue
            end = self._closing(tokens, at + 1)
            arguments = _split(tokens[at + 2 : end])
            if token.word in ("uniform", "gumbel", "sample"):
                out += self._drawn(token, arguments)
            else:
                out.append(self._statistic(token, arguments, out, tokens[end + 1 :]))
            at = end + 1
        return out

    def _closing(self, tokens: Sequence[_Token], opening: int) -> int:
        depth = 0
        for at in range(opening, len(tokens)):
            depth += (tokens[at].text == "(") - (tokens[at].text == ")")
            if depth == 0:
                return at
        raise self._error("a bracket is not closed")

    def _drawn(self, token: _Token, arguments: list[list[_Token]]) -> list[_Token]:
        self.draws = True
        wanted = 1 if token.word == "sample" else 0
        if len(arguments) != wanted:
            expected = (
                "the share to keep, such as sample(0.1)" if wanted else f"nothing between brackets: {token.word}()"
            )
            raise self._error(f"{token.word}() takes {expected}")
        if token.word != "sample":
            return [_Token("column", f"{UNIFORM if token.word == 'uniform' else GUMBEL} {self.stage}.{self.name}")]
        share = "".join(t.text for t in arguments[0])
        number = arguments[0][-1].kind == "number" and all(t.text in "+-" for t in arguments[0][:-1])
        if number and not 0 <= float(share) <= 1:
            raise self._error(f"sample({share}): expected a share from 0 to 1")
        drawn = _Token("column", f"{UNIFORM} {self.stage}.{self.name}")
        return [_Token("op", "("), drawn, _Token("op", "<"), *self._called(arguments[0]), _Token("op", ")")]

    def _statistic(
        self, token: _Token, arguments: list[list[_Token]], before: list[_Token], after: list[_Token]
    ) -> _Token:
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
        return self._add(token.word, self._sql(key), by, f"{name} of {_written(key)}", amount=amount)

    def _compared(self, token: _Token, before: list[_Token], after: list[_Token]) -> list[_Token]:
        """What a statistic without an expression is compared with."""
        found: list[_Token] = []
        if before and before[-1].text in COMPARISONS:
            found = _atom(before[:-1][::-1], opening="(")[::-1]
        elif after and after[0].text in COMPARISONS:
            found = _atom(after[1:], opening=")")
        elif (at := _between(before)) is not None:
            left = before[: at - 1] if at and before[at - 1].word == "not" else before[:at]
            found = _atom(left[::-1], opening="(")[::-1]
        if not any(t.is_signal for t in found) or any(t.kind == "column" for t in found):
            raise self._error(f"{token.text}() of what? Compare with it, or name it: {token.text}(score, 0.7)")
        return found

    def _group(self, token: _Token) -> str:
        if not token.is_signal:
            raise self._error(f"'{token.text}' is not a signal to group by")
        signal = self._signal(token)
        if pa.types.is_floating(self.known[signal]):
            raise self._error(
                f"groups by '{signal}', which is {self.known[signal]}; expected a label, count or boolean"
            )
        return signal

    def _add(self, kind: str, key: str, by: str | None, text: str, **rest: object) -> _Token:
        column = f"@{len(self.statistics)} {self.stage}.{self.name}"
        label = f"{text} per {by}" if by else text
        self.statistics.append(Statistic(kind, column, key, by, text=label, **rest))  # type: ignore[arg-type]
        return _Token("column", column)

    def _top(self, tokens: list[_Token]) -> str:
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
            mean = self._add("mean", key, by, f"mean of {_written(rest)}").text
            std = self._add("std", key, by, f"std of {_written(rest)}").text
            z = f'CASE WHEN "{std}" > 0 THEN (({key}) - "{mean}") / "{std}" WHEN ({key}) IS NOT NULL THEN 0.0 END'
            key = f'CAST(({z}) / {temperature} + "{GUMBEL} {self.stage}.{self.name}" AS REAL)'
            self.draws = True
        weight = self._weight(tokens[at])
        return f'"{self._add("top", key, by, self.text, amount=amount, share=share, weight=weight).text}"'

    def _weight(self, token: _Token) -> str | None:
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


def _split(tokens: Sequence[_Token]) -> list[list[_Token]]:
    """The arguments between a call's brackets."""
    groups: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.text == ",":
            groups.append([])
        else:
            groups[-1].append(token)
    return [] if groups == [[]] else groups


def _atom(tokens: Sequence[_Token], opening: str) -> list[_Token]:
    """The tokens up to where an operand ends: a boolean word, or the bracket that holds it. `tokens` run away from the
    comparison, so `opening` is the bracket that would end it."""
    out: list[_Token] = []
    depth = 0
    ends, begins = (("(", "case"), (")", "end")) if opening == "(" else ((")", "end"), ("(", "case"))
    for token in tokens:
        depth += (token.word in begins) - (token.word in ends)
        if depth < 0 or (depth == 0 and (token.word in BOUNDARIES or token.text == ",")):
            break
        out.append(token)
    return out


def _between(tokens: Sequence[_Token]) -> int | None:
    """Where the BETWEEN stands whose lower or upper end comes next, if one does."""
    depth = ands = 0
    for at in range(len(tokens) - 1, -1, -1):
        word = tokens[at].word
        depth += (word in (")", "end")) - (word in ("(", "case"))
        if depth < 0 or (depth == 0 and word == "or"):
            return None
        if depth == 0 and word == "between":
            return at
        ands += depth == 0 and word == "and"
        if ands > 1:
            return None
    return None


def _checked(clause: Clause, known: Mapping[str, pa.DataType], expected: type[pl.DataType]) -> Clause:
    """The clause with the types of its statistics, run on one row, so that wrong types are found before anything runs."""
    statistics = []
    frame = pl.DataFrame({s: pl.from_arrow(pa.nulls(1, known[s])) for s in clause.signals if s in known} or {"_": [0]})
    frame = frame.with_columns(
        pl.col(c).fill_null(pl.lit("") if t == pl.String else pl.lit(False) if t == pl.Boolean else pl.lit(0).cast(t))
        for c, t in frame.schema.items()
    )
    frame = frame.with_columns(pl.lit(0.5).alias(f"{noise} {clause.name}") for noise in (UNIFORM, GUMBEL))
    for statistic in clause.statistics:
        result = _tried(clause, statistic.key, frame, known)
        if not result.is_numeric():
            raise ClauseError(
                f"{clause.name}: {statistic.text} is {result}; expected a number ({_types(clause, known)})"
            )
        statistics.append(replace(statistic, dtype=_key_type(result)))
        frame = frame.with_columns(pl.lit(True if statistic.kind == "top" else 0.5).alias(statistic.column))
    result = _tried(clause, clause.sql, frame, known)
    if expected is pl.Boolean and result != pl.Boolean:
        raise ClauseError(
            f"{clause.name}: clause {clause.text!r} gives {result}; expected a boolean ({_types(clause, known)})"
        )
    if expected is not pl.Boolean and not result.is_numeric():
        raise ClauseError(f"{clause.name}: {clause.text!r} gives {result}; expected a number ({_types(clause, known)})")
    return replace(clause, statistics=tuple(statistics))


def _key_type(dtype: pl.DataType) -> str:
    if dtype.is_float():
        return "float32" if dtype == pl.Float32 else "float64"
    return "int32" if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16) else "int64"


def _tried(clause: Clause, sql: str, frame: pl.DataFrame, known: Mapping[str, pa.DataType]) -> pl.DataType:
    # polars 2.1 compares a text with 0.5 as if it were '0.5', and refuses to with 1
    whole = " ".join("1" if m["number"] else m[0].strip() for m in TOKEN.finditer(sql))
    try:
        frame.select(compiled(whole))
        return frame.select(compiled(sql).alias("value")).get_column("value").dtype
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClauseError(
            f"{clause.name}: clause {clause.text!r} cannot be evaluated ({_types(clause, known)}): {reason}"
        ) from error


def _types(clause: Clause, known: Mapping[str, pa.DataType]) -> str:
    return ", ".join(f"{s} is {known[s]}" for s in clause.signals if s in known)
