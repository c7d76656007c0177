"""Tokenizers by name, path or hub id, and encoding of many texts into one flat array of ids.

    file = find("ko-bpe")                       # shipped; or a path, or "hub:owner/repo[@revision]"
    tokenizer = load(file)                      # once per process
    encoded = tokenizer.encode(texts, eos=True) # flat uint32 ids and a length per text

Control tokens written in a text (`<|endoftext|>` in a blog post about language models) are encoded as the ordinary
characters they are; only this module's callers put control tokens into a stream.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from winnow.nearest import hint
from winnow.tokenize.byte_bpe import ByteBpe, NotEqual
from winnow.tokenize.shard import TOKENIZER, TokenizerIdentity

MODELS = Path(__file__).parent / "models"
CONFIG = "tokenizer_config.json"
EOS_NAMES = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]")
BOS_NAMES = ("<|begin_of_text|>", "<s>", "<bos>", "<|bos|>", "[BOS]")
# Long runs that defeat one engine, quotes and contractions, mixed scripts, digits, line ends, controls, emoji, Hangul in
# parts (jamo): what separates two implementations of the same split, if anything does.
PROBES = (
    "안녕하세요, 세계! API를 3.14159번 호출했습니다.\r\n\r\n\t두 번째 줄  끝   ",
    "It's we'll I'D 'ſt ﬁne ﬃ — naïve café 12345 ６７８ ½ ² Ⅷ 〇 ㉠ ㈀",
    "한국어 ㄱㄴㄷ ㅋㅋㅋㅋ 각 漢字かなカナー混じり文。ﾊﾝｶｸ　全角　スペース",
    "  \n \n\n\t\t x\u00a0y\u2003z\u200b\u200d\ufeff 👩‍👩‍👧‍👦🇰🇷 e\u0301 \u0928\u093f ไทย عربى עברית",
    "<|endoftext|> <|im_start|>user</s> [MASK] <s> #!/usr/bin/env python3\nif a!=b:\n    return {'k': [1,2]}\n",
)


class TokenizerError(ValueError):
    """A tokenizer cannot be found, read or used as asked: one sentence with the nearest valid choice."""


@dataclass(frozen=True, slots=True)
class TokenizerFile:
    """A tokenizer.json on this machine. `digest` is its sha256 hex; `eos` and `bos` are its control tokens' texts, which
    `config`, the tokenizer_config.json beside it, names where there is one."""

    name: str
    path: Path
    digest: str
    config: Path | None
    eos: str | None
    bos: str | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ids` uint32 [sum(lengths)], `lengths` int64 [texts]; `errors` maps the position of a text that could not be
    encoded to its cause (its length is 0)."""

    ids: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.int64]
    errors: dict[int, str]


def shipped() -> list[str]:
    """Names of the tokenizers that come with the package, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{TOKENIZER}"))


def find(reference: str) -> TokenizerFile:
    """The tokenizer.json behind a shipped name, a path (file or folder), or a hub id (`hub:owner/repo[@revision]` or
    plain `owner/repo`), downloaded if need be. Raises TokenizerError."""
    local = Path(reference).expanduser()
    if reference in shipped():
        path = MODELS / reference / TOKENIZER
    elif local.is_dir():
        path = local / TOKENIZER
        if not path.is_file():
            raise TokenizerError(f"tokenizer '{reference}': the folder holds no {TOKENIZER}")
    elif local.is_file():
        path = local
    elif reference.startswith("hub:") or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?", reference):
        path = _download(reference.removeprefix("hub:"))
    else:
        raise TokenizerError(
            f"tokenizer '{reference}' is neither shipped ({', '.join(shipped()) or 'none'}), nor a path, nor a hub id"
            + hint(reference, shipped())
        )
    config = path.parent / CONFIG if path.name == TOKENIZER and (path.parent / CONFIG).is_file() else None
    versions = tuple(file.stat().st_mtime_ns for file in (path, config) if file)
    return _described(reference, path, config, versions)


def _download(reference: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RemoteEntryNotFoundError

    repo, _, revision = reference.partition("@")
    path = Path()
    # The second lands beside the first and names the control tokens; old repositories have none.
    for file in (TOKENIZER, CONFIG):
        try:
            found = hf_hub_download(repo, file, revision=revision or None)
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            if file == CONFIG and isinstance(error, RemoteEntryNotFoundError):
                break
            cause = str(error).strip().splitlines()[0]
            raise TokenizerError(f"tokenizer 'hub:{reference}': {file} cannot be had ({cause})") from None
        path = Path(found) if file == TOKENIZER else path
    return path


@lru_cache(maxsize=16)
def _described(reference: str, path: Path, config: Path | None, versions: tuple[int, ...]) -> TokenizerFile:
    """Read and hashed once per version of the files: stages look their tokenizer up for every batch."""
    content = path.read_bytes()
    eos, bos = _control_tokens(path, content, config)
    return TokenizerFile(reference, path, hashlib.sha256(content).hexdigest(), config, eos, bos)


def _control_tokens(path: Path, content: bytes, config: Path | None) -> tuple[str | None, str | None]:
    """(EOS, BOS) as `config` names them, else by the usual names among the special tokens."""
    try:
        special = {t["content"] for t in json.loads(content).get("added_tokens") or [] if t["special"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenizerError(f"{path}: not a tokenizer.json of Hugging Face tokenizers ({error})") from None
    if config is None:
        eos, bos = (next((n for n in names if n in special), None) for names in (EOS_NAMES, BOS_NAMES))
    else:
        try:
            named = [json.loads(config.read_bytes()).get(key) for key in ("eos_token", "bos_token")]
            eos, bos = (token["content"] if isinstance(token, dict) else token for token in named)
        except (ValueError, KeyError, AttributeError) as error:
            raise TokenizerError(f"{config}: not a tokenizer configuration of transformers ({error})") from None
    return eos, (bos if bos != eos else None)  # GPT-2 names one token for both: documents need it once


class Tokenizer:
    """A loaded tokenizer. `engine` says which library encodes; both give the same ids (see winnow.tokenize.byte_bpe)."""

    def __init__(self, file: TokenizerFile, engine: Literal["tiktoken", "tokenizers"] | None = None) -> None:
        # Rust threads of every worker process would compete for the same cores; a user's own setting wins.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import tokenizers

        content = file.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != file.digest:
            raise TokenizerError(f"{file.path}: changed since it was looked up (sha256 was {file.digest[:12]})")
        self.file = file
        try:
            self._slow: Any = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # the binding raises bare Exception
            raise TokenizerError(f"{file.path}: tokenizers cannot read it ({error})") from None
        self._slow.encode_special_tokens = True
        self._slow.no_truncation()
        self._slow.no_padding()
        added = self._slow.get_added_tokens_decoder()
        self._control = np.array(sorted(i for i, token in added.items() if token.special), np.uint32)
        self.vocab_size = max(self._slow.get_vocab(with_added_tokens=True).values()) + 1
        self.eos = self._id(file.eos)
        self.bos = self._id(file.bos)
        self._content = content
        self._wish = engine
        if engine == "tiktoken" and self.why_slow:
            raise TokenizerError(f"{file.path}: not proven equal under tiktoken: {self.why_slow}")

    @cached_property
    def _proven(self) -> tuple[ByteBpe | None, str | None]:
        """The fast engine, or why there is none. Proven on first use: a manifest needs the vocabulary alone."""
        if self._wish == "tokenizers":
            return None, "tokenizers was asked for"
        try:
            fast = ByteBpe(self._content)
        except NotEqual as error:
            return None, str(error)
        for text in PROBES:
            if fast.encode(text).tolist() != self._slow.encode(text, add_special_tokens=False).ids:
                return None, f"the engines differ on the probe {text!r}"
        return fast, None

    @property
    def engine(self) -> Literal["tiktoken", "tokenizers"]:
        """The library that encodes."""
        return "tokenizers" if self._proven[0] is None else "tiktoken"

    @property
    def why_slow(self) -> str | None:
        """What keeps tiktoken out, None where it is in."""
        return self._proven[1]

    def identity(self, eos: bool = True, bos: bool = False) -> TokenizerIdentity:
        """What a manifest says about it, with the control tokens that are written around documents."""
        return TokenizerIdentity(
            name=self.file.name,
            sha256=self.file.digest,
            vocab_size=self.vocab_size,
            eos=self._wanted("EOS", self.eos) if eos else None,
            bos=self._wanted("BOS", self.bos) if bos else None,
        )

    def encode(self, texts: Sequence[str], eos: bool = False, bos: bool = False) -> Encoded:
        """Ids of `texts` one after the other, each with BOS before and EOS behind it where asked. One thread.

        Raises TokenizerError where EOS or BOS is asked of a tokenizer that has none."""
        fast, _ = self._proven
        before = [np.array([self._wanted("BOS", self.bos)], np.uint32)] if bos else []
        behind = [np.array([self._wanted("EOS", self.eos)], np.uint32)] if eos else []
        pieces: list[npt.NDArray[np.uint32]] = []
        lengths = np.zeros(len(texts), np.int64)
        errors: dict[int, str] = {}
        for row, ids in enumerate(self._bodies(texts, fast)):
            if fast is None and len(self._control) and np.isin(ids, self._control).any():
                # Unigram models hold control tokens as pieces that a text can spell.
                errors[row] = f"the text spells a control token of '{self.file.name}', which has no other encoding"
                continue
            pieces += [*before, ids, *behind]
            lengths[row] = len(ids) + bos + eos
        return Encoded(np.concatenate(pieces) if pieces else np.empty(0, np.uint32), lengths, errors)

    def _bodies(self, texts: Sequence[str], fast: ByteBpe | None) -> list[npt.NDArray[np.uint32]]:
        if fast is None:
            rows = self._slow.encode_batch_fast(list(texts), add_special_tokens=False)
            return [np.array(row.ids, np.uint32) for row in rows]
        bodies = []
        for text in texts:
            try:
                bodies.append(fast.encode(text))
            except ValueError:  # its regex engine gives up on runs of a million spaces; the other does not
                bodies.append(np.array(self._slow.encode(text, add_special_tokens=False).ids, np.uint32))
        return bodies

    def _id(self, token: str | None) -> int | None:
        if token is None:
            return None
        found: int | None = self._slow.token_to_id(token)
        if found is None:
            raise TokenizerError(
                f"{self.file.path}: the control token {token!r} of its {CONFIG} is not in its vocabulary"
            )
        return found

    def _wanted(self, what: str, token: int | None) -> int:
        if token is None:
            raise TokenizerError(
                f"tokenizer '{self.file.name}' has no {what} token, so none can be written around documents"
            )
        return token


@lru_cache(maxsize=4)
def load(file: TokenizerFile) -> Tokenizer:
    """The tokenizer of a file, read once per process. Raises TokenizerError."""
    return Tokenizer(file)
