"""What a proxy is: its model, how it is warmed, how an arm is trained on from there. Part of the protocol; free of torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]


def tier_name(rate: float) -> str:
    """Of the runs at one learning rate."""
    return f"proxy-lr-{rate:g}"


class ProxySettings(BaseModel):
    """A proxy model, by default of a million parameters for one thread.

    One model is warmed on the raw pool, `warm_tokens` of it with a cosine from `warm_rate` to the highest of `rates`.
    Every arm goes on from it for `tokens` at a constant rate, once for each of `rates`: small rates, because a proxy's
    order of data sets changes with a large one (arXiv:2512.24503). The last `averaged` points, evenly over the last
    `averaged_share` of an arm's steps, are averaged. Without `warm_tokens` every arm starts from random weights, the same
    for the same seed. `threads` is of the settings that decide the figures: the same number gives the same bits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    vocabulary: Annotated[int, Field(gt=258)] = 4096
    """At most: a pool too small for it gets a half of it, or less."""
    vocabulary_characters: Positive = 6_000_000
    """The tokenizer is fitted on the first texts of the pool, up to this many characters."""
    layers: Positive = 3
    width: Positive = 128
    heads: Positive = 4
    ffn: Positive | None = None
    tied: bool = True
    context: Annotated[int, Field(ge=2)] = 256
    batch: Positive = 8
    """Sequences of `context` tokens in a step."""
    micro: Positive = 4
    """Sequences of them at a time in memory."""
    warm_tokens: Annotated[int, Field(ge=0)] = 1_500_000
    warm_rate: Annotated[float, Field(gt=0)] = 3e-3
    tokens: Positive = 300_000
    rates: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1e-3, 3e-4)
    curve: Literal["constant", "cosine"] = "constant"
    """Of an arm's learning rate; `cosine` falls to a hundredth of it."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of an arm's steps in which the rate rises to its constant, because the optimizer starts without moments."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    averaged: Positive = 6
    averaged_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    points: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.125, 0.25, 0.5, 1.0)
    """Shares of an arm's steps after which points of its curve are taken, of the weights as they are then."""
    point_characters: Positive = 3000
    """Characters of each target for them: its first documents, one at least."""
    overlap: Annotated[int, Field(ge=0)] = 32
    """Tokens that a window over a long target document shares at least with the one before it."""
    threads: Positive = 1
    warm_threads: Positive = 2
    device: Literal["cpu", "cuda"] = "cpu"

    @model_validator(mode="after")
    def _coherent(self) -> ProxySettings:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.overlap >= self.context:
            raise ValueError(f"overlap {self.overlap} is not below context {self.context}")
        if len(set(self.rates)) < len(self.rates):
            raise ValueError(f"rates {', '.join(f'{rate:g}' for rate in self.rates)} name one twice")
        if self.warm_tokens and max(self.rates) > self.warm_rate:
            raise ValueError(f"rates go up to {max(self.rates):g}, above warm_rate {self.warm_rate:g}")
        for name in ("tokens", "warm_tokens") if self.warm_tokens else ("tokens",):
            if getattr(self, name) < self.step_tokens:
                raise ValueError(f"{name} {getattr(self, name):,} is less than one step of {self.step_tokens:,}")
        if self.averaged > self.steps:
            raise ValueError(f"averaged {self.averaged} is more than the {self.steps} steps of an arm")
        return self

    @property
    def resources(self) -> tuple[int, int]:
        """CPUs and GPUs that a run takes."""
        return self.threads, int(self.device == "cuda")

    @property
    def step_tokens(self) -> int:
        """Tokens of a step."""
        return self.batch * self.context

    @property
    def steps(self) -> int:
        """Steps on an arm."""
        return self.tokens // self.step_tokens

    def point_steps(self) -> dict[int, float]:
        """Steps -> share, of the points."""
        return {round(share * self.steps): share for share in sorted(self.points)}

    @property
    def apart(self) -> int:
        """Steps between two of the points that are averaged."""
        return max(1, int(self.steps * self.averaged_share) // self.averaged)

    def warming(self) -> dict[str, Any]:
        """The settings that decide what is prepared once."""
        arms = {"tokens", "rates", "curve", "warmup", "averaged", "averaged_share", "overlap", "threads"}
        points = {"points", "point_characters"}
        return {**self.model_dump(mode="json", exclude=arms | points), "final": max(self.rates)}

    def rate(self, peak: float) -> dict[str, Any]:
        """The learning rate of an arm, of `rates`, as the trainer's section."""
        final = {"final": peak / 100} if self.curve == "cosine" else {}
        return {"shape": self.curve, "peak": peak, "warmup": self.warmup, **final}

    def model(self) -> dict[str, Any]:
        """The model section of a training declaration."""
        return {
            "layers": self.layers,
            "hidden": self.width,
            "heads": self.heads,
            "ffn": self.ffn,
            "tie_embeddings": self.tied,
        }

    def training(self) -> dict[str, Any]:
        """What the warm-up and the arms have in common, as settings of the trainer."""
        return {
            "sequence_length": self.context,
            "batch": {"sequences": self.batch, "micro": self.micro},
            "mask_documents": False,  # a document's first token is then learnt from the end of the one before it
            "optimizer": {"weight_decay": self.weight_decay},
            "loss_chunk": self.micro * self.context,
            "deterministic": True,
            "device": self.device,
            "export": False,
        }
