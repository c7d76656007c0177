"""Tier 1: a small model trained on each arm, from one warmed checkpoint, at small constant rates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.pipelines.prove.proxy.prepare import VERSION, Prepared, need_torch, prepare
from winnow.pipelines.prove.proxy.settings import ProxySettings, tier_name
from winnow.pipelines.prove.proxy.shards import write_texts
from winnow.pipelines.prove.scores import Floats, Point, Scores, Unit, first_of, sizes
from winnow.pipelines.results.table import RunError
from winnow.tokenize.shard import ShardError
from winnow.tokenize.tokenizer import find, load
from winnow.train_handoff.config import TrainError, parse_config
from winnow.train_handoff.plan import make_plan

if TYPE_CHECKING:
    from winnow.train_handoff.model import Trainee

SCORED_TOGETHER = 16
"""Windows of full length that are measured in one batch."""


@dataclass(frozen=True, slots=True)
class ProxyTier:
    """The runs at one learning rate. Small to send: paths and settings."""

    settings: ProxySettings
    prepared: Prepared
    rate: float
    unit: Unit = "utf8_byte"

    @property
    def name(self) -> str:
        """Names the rate."""
        return tier_name(self.rate)

    @property
    def identity(self) -> str:
        """Hex digest of the warmed model, its tokenizer and all settings."""
        settings = self.settings.model_dump(mode="json", exclude={"rates"})
        content = json.dumps([VERSION, self.prepared.digest, settings, self.rate], sort_keys=True)
        return sha256(content.encode()).hexdigest()

    def score(
        self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], folder: Path
    ) -> dict[str, Scores]:
        """Trains on `texts` in the order of `seed` and measures the averaged model on the targets: bits of their tokens,
        each document on its own; the measure has the tier's name. `folder` holds the shards meanwhile. Raises RunError."""
        need_torch()
        shards = folder / "shards"
        shutil.rmtree(shards, ignore_errors=True)
        try:
            return {self.name: self._score(texts, seed, targets, shards)}
        except (TrainError, ShardError) as error:
            raise RunError(f"{self.name}, seed {seed}: {error}") from error
        finally:
            shutil.rmtree(shards, ignore_errors=True)

    def _score(self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], shards: Path) -> Scores:
        from winnow.train_handoff.alone import alone, train_alone
        from winnow.train_handoff.evaluate import document_bits

        settings = self.settings
        tokenizer = load(find(str(self.prepared.folder / "tokenizer")))
        manifest = write_texts(texts, tokenizer, shards)
        config = parse_config(
            {
                **settings.training(),
                "shards": str(shards),
                "out": str(shards.parent),
                "model": self.prepared.model(settings),
                "steps": settings.steps,
                "lr": settings.rate(self.rate),
                "seed": seed,
                "threads": settings.threads,
            }
        )
        plan = make_plan(config)
        separator = manifest.tokenizer.eos
        assert separator is not None  # write_texts asks for one
        ids = {}
        for name, documents in targets.items():
            encoded = tokenizer.encode(documents)
            ends = encoded.lengths.cumsum()
            ids[name] = [encoded.ids[end - length : end] for end, length in zip(ends, encoded.lengths, strict=True)]
        characters, utf8_bytes = sizes(targets)
        some = {name: first_of(documents, settings.point_characters) for name, documents in targets.items()}
        points, curve = settings.point_steps(), []
        with alone(config) as process:

            def bits_of(trainee: Trainee, name: str, number: int | None = None) -> Floats:
                windows = (settings.context, settings.overlap, settings.context * SCORED_TOGETHER)
                return document_bits(trainee, ids[name][:number], separator, *windows, process.device)

            def look(steps: int, trainee: Trainee) -> None:
                if steps in points:
                    rates = {
                        name: bits_of(trainee, name, n).sum() / utf8_bytes[name][:n].sum() for name, n in some.items()
                    }
                    curve.append(Point(points[steps], {name: float(rate) for name, rate in rates.items()}))

            trainee, _ = train_alone(config, plan, process, settings.averaged, settings.apart, look)
            bits = {name: bits_of(trainee, name) for name in targets}
        return Scores(bits, characters, utf8_bytes, tuple(curve))


def tiers(pool: Callable[[], Iterator[str]], settings: ProxySettings, seed: int, folder: Path) -> list[ProxyTier]:
    """One tier per learning rate, over one model that is warmed below `folder` first, or found there. Raises RunError."""
    prepared = prepare(pool, settings, seed, folder)
    return [ProxyTier(settings, prepared, rate) for rate in settings.rates]
