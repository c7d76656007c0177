"""Long and deep clauses: chains of OR and AND as trees, and what is refused.

The time that polars takes for `a OR b OR c ...` grows with the square of its terms, since each is a level below the one
before; as a balanced tree it grows with their number, and the truth is the same: both are associative, null included.
"""

from __future__ import annotations

from collections.abc import Sequence

from winnow.pipelines.selection.clause import ClauseError, shortened
from winnow.pipelines.selection.tokens import COMPARISONS, Token, arguments_of, written

TOKENS_LIMIT = 20_000
"""Words, literals and signs of a clause."""
DEPTH_LIMIT = 24
"""Levels of brackets, CASE and NOT: polars reads no more than about 45."""
RUN_LIMIT = 400
"""Words, literals and signs between two of AND, OR, commas and comparisons: sums and products cannot be made trees."""

_SHORT = 8
"""Chains of so many terms are left as they are."""
_OPENING, _CLOSING = Token("op", "("), Token("op", ")")


def check_size(where: str, tokens: Sequence[Token]) -> None:
    """Raises ClauseError for a clause that is too long or too deep, with the limit."""
    text = shortened(written(tokens[:100]))
    if len(tokens) > TOKENS_LIMIT:
        raise ClauseError(
            f"{where}: clause '{text}' has {len(tokens):,} words, literals and signs; expected at most {TOKENS_LIMIT:,}; "
            "many values are one test with IN (...)"
        )
    depth = deepest = nots = run = longest = 0
    for token in tokens:
        word = token.word
        depth += (word in ("(", "case")) - (word in (")", "end"))
        nots = nots + 1 if word in ("not", "-", "+", "~") else 0
        run = 0 if word in ("and", "or", ",") or word in COMPARISONS else run + 1
        deepest, longest = max(deepest, depth + nots), max(longest, run)
    if deepest > DEPTH_LIMIT:
        raise ClauseError(f"{where}: clause '{text}' is nested {deepest} levels deep; expected at most {DEPTH_LIMIT}")
    if longest > RUN_LIMIT:
        raise ClauseError(
            f"{where}: clause '{text}' has an expression of {longest:,} words, literals and signs; expected at most "
            f"{RUN_LIMIT} between two of AND, OR, commas and comparisons"
        )


def balanced(tokens: Sequence[Token]) -> list[Token]:
    """The same clause with every long chain of OR or AND in brackets that make it a balanced tree."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        out.append(tokens[at])
        if tokens[at].text == "(":
            end = _closing(tokens, at)
            for number, argument in enumerate(arguments_of(tokens[at + 1 : end])):
                out += [Token("op", ",")] * (number > 0) + balanced(argument)
            out += tokens[end : end + 1]
            at = end
        at += 1
    terms = [_split(term, "and") for term in _split(out, "or")]
    if max(len(terms), *map(len, terms)) <= _SHORT:
        return out
    return _tree([_tree(term, "and") for term in terms], "or")


def _tree(terms: list[list[Token]], word: str) -> list[Token]:
    if len(terms) <= _SHORT:
        return [token for n, term in enumerate(terms) for token in ([Token("name", word)] * (n > 0) + term)]
    half = len(terms) // 2
    sides = [_tree(terms[:half], word), _tree(terms[half:], word)]
    return [_OPENING, *sides[0], _CLOSING, Token("name", word), _OPENING, *sides[1], _CLOSING]


def _split(tokens: Sequence[Token], word: str) -> list[list[Token]]:
    """The terms between words of a chain, at this level alone; the AND of a BETWEEN is none."""
    groups: list[list[Token]] = [[]]
    depth = between = 0
    for token in tokens:
        here = token.word
        depth += (here in ("(", "case")) - (here in (")", "end"))
        between += depth == 0 and here == "between"
        if depth == 0 and here == word and not (here == "and" and between):
            groups.append([])
            continue
        between -= depth == 0 and here == "and" and between > 0
        groups[-1].append(token)
    return groups


def _closing(tokens: Sequence[Token], opening: int) -> int:
    """Where a bracket closes; the last token where it does not, which whoever compiles the clause says."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += (tokens[at].text == "(") - (tokens[at].text == ")")
        if depth == 0:
            return at
    return len(tokens)
