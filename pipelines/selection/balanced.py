"""Long and deep clauses: chains of OR and AND as trees, and what is refused.

The time that polars takes for `a OR b OR c ...` grows with the square of its terms, since each is a level below the one
before; as a balanced tree it grows with their number, and the truth is the same: both are associative, null included.
"""

from __future__ import annotations

from collections.abc import Sequence

from winnow.pipelines.selection.clause import ClauseError, shortened
from winnow.pipelines.selection.tokens import CLOSING, OPENING, Token, arguments_of, closing, split, written

TOKENS_LIMIT = 20_000
"""Words, literals and signs of a clause."""
DEPTH_LIMIT = 24
"""Levels of brackets, CASE and NOT: polars reads no more than about 45."""
RUN_LIMIT = 400
"""Words, literals and signs between two of AND, OR, WHEN and commas, apart from what brackets hold: sums, products and
comparisons of comparisons cannot be made trees."""
BRANCHES_LIMIT = 400
"""WHENs of a clause."""

_SHORT = 8
"""Chains of so many terms are left as they are."""
_OPEN, _CLOSE = Token("op", "("), Token("op", ")")


def check_size(where: str, tokens: Sequence[Token]) -> None:
    """Raises ClauseError for a clause that is too long or too deep, with the limit."""
    text = shortened(written(tokens[:100]))
    if len(tokens) > TOKENS_LIMIT:
        raise ClauseError(
            f"{where}: clause '{text}' has {len(tokens):,} words, literals and signs; expected at most {TOKENS_LIMIT:,}; "
            "many values are one test with IN (...)"
        )
    runs, deepest, nots, longest = [0], 0, 0, 0  # runs: of what is open, the innermost last
    for word in (token.word for token in tokens):
        if word in CLOSING:
            runs = runs[:-1] or [0]
        runs[-1] = 0 if word in ("and", "or", "when", ",") else runs[-1] + 1
        if word in OPENING:
            runs.append(0)
        nots = nots + 1 if word in ("not", "-", "+", "~") else 0
        deepest, longest = max(deepest, len(runs) - 1 + nots), max(longest, runs[-1])
    branches = sum(token.word == "when" for token in tokens)
    if deepest > DEPTH_LIMIT:
        raise ClauseError(f"{where}: clause '{text}' is nested {deepest} levels deep; expected at most {DEPTH_LIMIT}")
    if branches > BRANCHES_LIMIT:
        raise ClauseError(f"{where}: clause '{text}' has {branches:,} WHENs; expected at most {BRANCHES_LIMIT}")
    if longest > RUN_LIMIT:
        raise ClauseError(
            f"{where}: clause '{text}' has an expression of {longest:,} words, literals and signs; expected at most "
            f"{RUN_LIMIT} between two of AND, OR, WHEN and commas"
        )


def balanced(tokens: Sequence[Token]) -> list[Token]:
    """The same clause with every long chain of OR or AND in brackets that make it a balanced tree."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        out.append(tokens[at])
        if tokens[at].text == "(":
            end = closing(tokens, at)
            for number, argument in enumerate(arguments_of(tokens[at + 1 : end])):
                out += [Token("op", ",")] * (number > 0) + balanced(argument)
            out += tokens[end : end + 1]
            at = end
        at += 1
    terms = [split(term, "and") for term in split(out, "or")]
    if max(len(terms), *map(len, terms)) <= _SHORT:
        return out
    return _tree([_tree(term, "and") for term in terms], "or")


def _tree(terms: list[list[Token]], word: str) -> list[Token]:
    if len(terms) <= _SHORT:
        return [token for n, term in enumerate(terms) for token in ([Token("name", word)] * (n > 0) + term)]
    half = len(terms) // 2
    sides = [_tree(terms[:half], word), _tree(terms[half:], word)]
    return [_OPEN, *sides[0], _CLOSE, Token("name", word), _OPEN, *sides[1], _CLOSE]
