"""The words of a clause: cut apart, split at top-level ANDs, and the operands around a comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from winnow.nearest import expected
from winnow.pipelines.selection.clause import ClauseError, shortened

FUNCTIONS = frozenset(
    """
    abs ceil coalesce concat contains ends_with exp floor greatest if ifnull least left length ln log10 lower ltrim
    mod nullif octet_length pow power regexp_like replace reverse right round rtrim sign sqrt starts_with strpos
    substr trim upper
    """.split()
)
OURS = frozenset(["quantile", "mean", "std", "sample", "uniform", "gumbel"])
KEYWORDS = frozenset(
    """
    and or not in is null between like ilike rlike regexp true false case when then else end cast as escape float
    double int integer bigint varchar string boolean real distinct from
    """.split()
)
TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<quoted>\"[^\"]+\")|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<op><=|>=|<>|!=|==|\|\||::|[-+*/%<>=(),!~]))"
)
COMPARISONS = frozenset(["=", "==", "<", ">", "<=", ">=", "<>", "!="])
OPENING, CLOSING = ("(", "case"), (")", "end")
BOUNDARIES = frozenset(["and", "or", "not", "when", "then", "else", "between"])


@dataclass(frozen=True, slots=True)
class Token:
    """One word, literal or sign of a clause."""

    kind: str  # string, quoted, number, name, call, op, or column: a name that is none of the user's
    text: str
    start: int = 0  # in the clause
    end: int = 0

    @property
    def word(self) -> str:
        """Its text, names in lower case."""
        return self.text.lower() if self.kind in ("name", "call") else self.text

    @property
    def is_signal(self) -> bool:
        """Whether it is a name that can only be a signal's."""
        return self.kind == "name" and self.word not in KEYWORDS


def tokens_of(where: str, text: str) -> list[Token]:
    """The tokens of a clause. Raises ClauseError for what cannot be read and functions that there are not."""
    out: list[Token] = []
    at = 0
    text = text.strip()
    if not text:
        raise ClauseError(f"{where}: an empty clause; expected an SQL boolean over signals, such as score >= 0.5")
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ClauseError(f"{where}: cannot read {text[at:].strip()[:20]!r} in clause {shortened(text)!r}")
        kind = str(match.lastgroup)
        out.append(Token(kind, match.group(kind), match.start(kind), match.end()))
        at = match.end()
    for number, (here, following) in enumerate(zip(out, [*out[1:], Token("op", "")], strict=True)):
        if here.kind != "name" or following.text != "(" or here.word in KEYWORDS or here.word == "by":
            continue
        if here.word not in FUNCTIONS | OURS:
            raise ClauseError(
                f"{where}: function '{here.text}' in clause {shortened(text)!r} is not available; "
                f"{expected(here.word, sorted(FUNCTIONS | OURS))}"
            )
        out[number] = replace(here, kind="call")
    return out


def split(tokens: Sequence[Token], word: str) -> list[list[Token]]:
    """Cut at a word or sign where no bracket or CASE is open; the AND of a BETWEEN is none."""
    groups: list[list[Token]] = [[]]
    depth = between = 0
    for token in tokens:
        here = token.word
        depth += (here in OPENING) - (here in CLOSING)
        between += depth == 0 and here == "between"
        if depth == 0 and here == word and not (here == "and" and between):
            groups.append([])
            continue
        between -= depth == 0 and here == "and" and between > 0
        groups[-1].append(token)
    return groups


def conjuncts(stage: str, tokens: list[Token]) -> list[list[Token]]:
    """The terms of a conjunction; one where an OR at top level leaves it whole. Raises ClauseError for an empty term."""
    if len(split(tokens, "or")) > 1:
        return [tokens]
    groups = split(tokens, "and")
    if not all(groups):
        raise ClauseError(f"{stage}.keep: clause {shortened(written(tokens))!r}: AND without something on both sides")
    return groups


def written(tokens: Sequence[Token]) -> str:
    """The tokens as text."""
    return " ".join(token.text for token in tokens)


def arguments_of(tokens: Sequence[Token]) -> list[list[Token]]:
    """The arguments between a call's brackets."""
    groups = split(tokens, ",")
    return [] if groups == [[]] else groups


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Where a bracket closes; the number of tokens where it does not."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += (tokens[at].text == "(") - (tokens[at].text == ")")
        if depth == 0:
            return at
    return len(tokens)


def operand(tokens: Sequence[Token], opening: str) -> list[Token]:
    """The tokens up to where an operand ends: a boolean word, or the bracket that holds it. `tokens` run away from the
    comparison, so `opening` is the bracket that would end it."""
    out: list[Token] = []
    depth = 0
    ends, begins = (OPENING, CLOSING) if opening == "(" else (CLOSING, OPENING)
    for token in tokens:
        depth += (token.word in begins) - (token.word in ends)
        if depth < 0 or (depth == 0 and (token.word in BOUNDARIES or token.text == ",")):
            break
        out.append(token)
    return out


def between(tokens: Sequence[Token]) -> int | None:
    """Where the BETWEEN stands whose lower or upper end comes next, if one does."""
    depth = ands = 0
    for at in range(len(tokens) - 1, -1, -1):
        word = tokens[at].word
        depth += (word in CLOSING) - (word in OPENING)
        if depth < 0 or (depth == 0 and word == "or"):
            return None
        if depth == 0 and word == "between":
            return at
        ands += depth == 0 and word == "and"
        if ands > 1:
            return None
    return None
