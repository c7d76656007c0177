"""What all arms of an experiment share: a tokenizer fitted on the raw pool and one model warmed on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from winnow.pipelines.console import say
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.proxy.shards import write_texts
from winnow.pipelines.results.table import RunError
from winnow.tokenize.fit import fit_tokenizer
from winnow.tokenize.tokenizer import TokenizerError, find, load
from winnow.train_handoff.config import TrainError, parse_config
from winnow.train_handoff.plan import make_plan

VERSION = 1
"""Of what is prepared, and of how an arm is trained and measured from there: raised when figures change."""

DONE = "prepared.json"

LEAST_VOCABULARY = 320
"""A pool too small for the vocabulary that is asked gets half of it, and so on, down to this."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder with a `tokenizer` and, where it was warmed, a `model`; `digest` is that of their contents."""

    folder: Path
    digest: str

    def model(self, settings: ProxySettings) -> dict[str, Any]:
        """What an arm starts from, as the trainer's section."""
        return {"checkpoint": str(self.folder / "model")} if settings.warm_tokens else settings.model()


def prepare(pool: Callable[[], Iterator[str]], settings: ProxySettings, seed: int, folder: Path) -> Prepared:
    """The tokenizer and the warmed model of a pool, made below `folder` or found there whole.

    `pool` gives the raw pool's texts in a fixed order that mixes its sources: the tokenizer is fitted on the first of
    them, the model trained on as many as `warm_tokens` need; a smaller pool is seen again. Raises RunError.
    """
    need_torch()
    key = _key(pool, settings, seed)
    made = folder / key[:16]
    if not (made / DONE).is_file():
        partial = folder / f".{key[:16]}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _make(pool, settings, seed, partial)
        except (TrainError, TokenizerError) as error:
            raise RunError(f"the proxy cannot be prepared: {error}") from error
        shutil.rmtree(made, ignore_errors=True)
        partial.rename(made)
    return Prepared(made, json.loads((made / DONE).read_bytes())["digest"])


def need_torch() -> None:
    """Raises RunError where the extra that trains is not installed."""
    missing = [name for name in ("torch", "transformers", "safetensors") if find_spec(name) is None]
    if missing:
        raise RunError(
            f"tier 1 trains proxy models, which needs {', '.join(missing)}, not installed here: pip install "
            "'winnow[train]'; --tier 0 does without"
        )


def _make(pool: Callable[[], Iterator[str]], settings: ProxySettings, seed: int, folder: Path) -> None:
    vocabulary = settings.vocabulary
    while True:
        try:
            fit_tokenizer(_first(pool(), settings.vocabulary_characters), vocabulary, folder / "tokenizer", "proxy")
            break
        except TokenizerError:  # too few texts for so many tokens
            if vocabulary <= LEAST_VOCABULARY:
                raise
            vocabulary = max(vocabulary // 2, LEAST_VOCABULARY)
    if vocabulary < settings.vocabulary:
        say(
            f"note: the pool is too small for {settings.vocabulary:,} tokens; the proxies' vocabulary has {vocabulary:,}"
        )
    loss = _warm(pool, settings, seed, folder) if settings.warm_tokens else None
    digest = sha256((folder / "tokenizer" / "tokenizer.json").read_bytes())
    for part in sorted((folder / "model").glob("*.safetensors")):
        digest.update(part.read_bytes())
    done = {"version": VERSION, "digest": digest.hexdigest(), "loss": loss}
    done |= {"vocabulary": vocabulary, "settings": settings.model_dump()}
    (folder / DONE).write_text(json.dumps(done, indent=1), encoding="utf-8")


def _warm(pool: Callable[[], Iterator[str]], settings: ProxySettings, seed: int, folder: Path) -> float:
    """Trains `folder`/model on the pool; its last loss, in nats per token."""
    import torch

    from winnow.train_handoff.alone import alone, train_alone
    from winnow.train_handoff.export import export

    tokenizer = load(find(str(folder / "tokenizer")))
    tokens = 0

    def enough() -> Iterator[str]:
        nonlocal tokens
        for text in pool():
            if tokens > settings.warm_tokens:
                return
            tokens += len(tokenizer.encode([text]).ids) + 1
            yield text

    write_texts(enough(), tokenizer, folder / "shards")
    config = parse_config(
        {
            **settings.training(),
            "shards": str(folder / "shards"),
            "out": str(folder),
            "model": settings.model(),
            "steps": settings.warm_tokens // settings.step_tokens,
            "lr": {"shape": "cosine", "peak": settings.warm_rate, "final": max(settings.rates), "warmup": 0.05},
            "seed": seed,
            "threads": settings.warm_threads,
        }
    )
    plan = make_plan(config)
    with alone(config) as process:
        trainee, losses = train_alone(config, plan, process)
        export(trainee, plan.shards[0], folder, torch.float32)
    shutil.rmtree(folder / "shards")
    return float(losses[-1])


def _key(pool: Callable[[], Iterator[str]], settings: ProxySettings, seed: int) -> str:
    """What decides the prepared folder's content."""
    key = sha256(json.dumps([VERSION, seed, settings.warming()], sort_keys=True).encode())
    for text in pool():
        content = text.encode()
        key.update(len(content).to_bytes(8, "big") + content)
    return key.hexdigest()


def _first(texts: Iterator[str], characters: int) -> Iterator[str]:
    seen = 0
    for text in texts:
        yield text
        seen += len(text)
        if seen >= characters:
            return
