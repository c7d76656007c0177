"""Whether two tokenizer.json files turn the same text into the same ids.

What cuts the text is compared as it is written: model, normalizer, pre-tokenizer and added tokens. Two files may say the
same differently, so where they differ, texts decide. The decoder and the template around a whole text change no id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from winnow.tokenize.tokenizer import PROBES, TokenizerError

CUTTING = ("model", "normalizer", "pre_tokenizer", "added_tokens")
SHOWN_TOKENS = 6


def difference(ours: Path, theirs: Path, encoded: Iterable[Sequence[int]]) -> str | None:
    """What `theirs` does otherwise, as a clause with the text and the ids, or None. `theirs` may have more tokens.

    `encoded` are stretches of ids by `ours`; their texts are encoded by both, with some that separate implementations.
    Raises TokenizerError where a file cannot be read.
    """
    first, second = _read(ours), _read(theirs)
    if _cutting(first) == _cutting(second):
        return None
    known, wanted = (one.get_vocab(with_added_tokens=True) for one in (second, first))
    for token, number in sorted(wanted.items(), key=lambda item: item[1]):
        if known.get(token) != number:
            found = f"the id {known[token]}" if token in known else "no id"
            return f"it gives {_text(first, number)} {found}, and not {number}"
    added = {token.content for one in (first, second) for token in one.get_added_tokens_decoder().values()}
    stretches = [*encoded, *([number] for number in sorted(wanted.values()))]  # of each token too: it needs its merges
    texts = [*PROBES, *(f"a {token} b{token}" for token in sorted(added)), *first.decode_batch(stretches)]
    both = [tokenizer.encode_batch(texts, add_special_tokens=False) for tokenizer in (first, second)]
    for text, one, other in zip(texts, *both, strict=True):
        if one.ids != other.ids:
            pairs = enumerate(zip(one.ids, other.ids, strict=False))
            at = next((n for n, (a, b) in pairs if a != b), min(len(one.ids), len(other.ids)))
            start = next((e.offsets[at][0] for e in (one, other) if at < len(e.ids)), 0)
            cuts = [_cuts(tokenizer, e.ids[at:]) for tokenizer, e in ((second, other), (first, one))]
            return f"it cuts {text[start : start + 24]!r} into {cuts[0]}, and not into {cuts[1]}"
    return None


def _read(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the binding raises bare Exception
        raise TokenizerError(f"{path}: tokenizers cannot read it ({error})") from None
    tokenizer.encode_special_tokens = True  # as for documents: see winnow.tokenize.tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _cutting(tokenizer: Any) -> dict[str, Any]:
    parts = json.loads(tokenizer.to_str())
    return {part: parts[part] for part in CUTTING}


def _cuts(tokenizer: Any, ids: Sequence[int]) -> str:
    shown = [f"{_text(tokenizer, number)} ({number})" for number in ids[:SHOWN_TOKENS]]
    return " ".join(shown) or "nothing"


def _text(tokenizer: Any, number: int) -> str:
    """A token as a reader knows it: quoted text, `…` where it holds a part of a character."""
    text = tokenizer.decode([number], skip_special_tokens=False).replace("\N{REPLACEMENT CHARACTER}", "…")
    if text.strip("…"):
        return repr(text)
    return "part of a character" if text else repr(tokenizer.id_to_token(number))
