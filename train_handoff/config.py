"""What the `train:` section of a declaration may say: typed, immutable, unknown keys refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from winnow.nearest import nearest
from winnow.train_handoff.schedule import Shape


class TrainError(Exception):
    """Training cannot start or go on: one sentence that names what is wrong, where, and what was expected. `keys` is the
    path of the setting that is wrong, where it is one."""

    def __init__(self, sentence: str, *keys: str) -> None:
        super().__init__(sentence)
        self.keys = keys


class Section(BaseModel):
    """Base of every section: immutable, unknown keys and infinite numbers refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


def _steps_or_share(value: Any) -> Any:
    """As YAML and JSON write them: `1` is a step, and `1.0` would be the whole curve."""
    if isinstance(value, float) and not 0.0 <= value < 1.0:
        raise ValueError(
            "a fraction is a share of the curve, from 0 to below 1.0; steps are a whole number such as 100"
        )
    return value


Stretch = Annotated[Annotated[int, Field(ge=0, strict=True)] | Share, BeforeValidator(_steps_or_share)]


class ModelConfig(Section):
    """Either a `checkpoint` to go on from, or a `shape` to start from scratch (the defaults: a 5M Llama).

    `checkpoint` is a local folder or a hub id with safetensors; its tokenizer must be that of the shards.
    `trust_tokenizer` takes this for granted where the checkpoint brings no tokenizer.json, and lets documents end with
    another token than the checkpoint's.
    """

    checkpoint: str | None = None
    revision: str | None = None
    trust_tokenizer: bool = False
    shape: Literal["llama", "qwen3"] = "llama"
    layers: Positive = 4
    hidden: Positive = 256
    heads: Positive = 4
    kv_heads: Positive | None = None
    head_dim: Positive | None = None
    ffn: Positive | None = None
    tie_embeddings: bool = True
    rope_theta: float = Field(default=10_000.0, gt=0)
    norm_eps: float = Field(default=1e-6, gt=0)
    init_std: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _coherent(self) -> ModelConfig:
        if self.checkpoint is not None:
            extra = sorted(self.model_fields_set - {"checkpoint", "revision", "trust_tokenizer"})
            if extra:
                raise ValueError(
                    f"'checkpoint' brings its own shape: remove {', '.join(extra)}; over a recipe that declares them: "
                    f"--set train.model=null --set train.model.checkpoint={self.checkpoint}"
                )
            return self
        for key in ("revision", "trust_tokenizer"):
            if getattr(self, key):
                raise ValueError(f"'{key}' belongs to a 'checkpoint'")
        if self.head_dim is None and self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}; set head_dim")
        if self.heads % (self.kv_heads or self.heads):
            raise ValueError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        return self


class DataConfig(Section):
    """A folder of shards (default: the run's own) and its weight, in blocks drawn, relative to the phase's others."""

    shards: str | None = None
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class LearningRate(Section):
    """A learning-rate curve. `warmup` and `decay`: an integer counts steps, a fraction is a share of the curve. `decay` is
    of `wsd` alone, and `constant` has no `final`."""

    shape: Shape = "cosine"
    peak: float = Field(default=3e-4, ge=0)
    final: float = Field(default=3e-5, ge=0)
    warmup: Stretch = 0.02
    decay: Stretch = 0.1

    @model_validator(mode="after")
    def _falling(self) -> LearningRate:
        if self.shape != "constant" and self.final > self.peak:
            default = "" if "final" in self.model_fields_set else ", its default,"
            raise ValueError(
                f"final {self.final:g}{default} is above peak {self.peak:g}; set final to at most the peak"
            )
        return self


class PhaseConfig(Section):
    """A stretch of training on one blend of data.

    Its length is `steps`, or `tokens`; without either, one pass over its only data set. Without `lr` it continues the
    curve of the phase before it, which then spans both.
    """

    name: str = Field(min_length=1)
    data: tuple[DataConfig, ...] = Field(default=(DataConfig(),), min_length=1)
    steps: Positive | None = None
    tokens: Positive | None = None
    lr: LearningRate | None = None

    @model_validator(mode="after")
    def _one_budget(self) -> PhaseConfig:
        if self.steps is not None and self.tokens is not None:
            raise ValueError("give 'steps' or 'tokens', not both")
        if self.steps is None and self.tokens is None and len(self.data) > 1:
            raise ValueError("a phase over several data sets needs 'steps' or 'tokens'")
        return self


class BatchConfig(Section):
    """The global batch: `sequences`, or `tokens` rounded down to whole sequences.

    `micro` bounds the sequences that one process puts through the model at a time; gradient accumulation follows from
    it and the number of processes.
    """

    sequences: Positive | None = None
    tokens: Positive | None = None
    micro: Positive = 8

    @model_validator(mode="after")
    def _one_size(self) -> BatchConfig:
        if self.sequences is not None and self.tokens is not None:
            raise ValueError("give 'sequences' or 'tokens', not both")
        return self


class OptimizerConfig(Section):
    """AdamW; weight decay applies to the matrices alone, not to norms, biases and embeddings."""

    beta1: Share = 0.9
    beta2: Share = 0.95
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    clip: float = Field(default=1.0, gt=0)


class TrainConfig(Section):
    """The whole training declaration. `shards` and `out` are folders; the CLI fills them in from the run.

    Without `phases` there is one, over `shards`, as long as `steps` or `tokens` say (default: one pass).
    """

    shards: str | None = None
    out: str
    model: ModelConfig = ModelConfig()
    phases: tuple[PhaseConfig, ...] = ()
    steps: Positive | None = None
    tokens: Positive | None = None
    sequence_length: Annotated[int, Field(ge=2)] = 512
    batch: BatchConfig = BatchConfig()
    lr: LearningRate = LearningRate()
    optimizer: OptimizerConfig = OptimizerConfig()
    mask_documents: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: Positive | None = None
    threads: Positive | None = None
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    attention: Literal["sdpa", "eager", "flex_attention"] = "sdpa"
    activation_checkpointing: bool = False
    compile: bool = False
    loss_chunk: Positive = 2048
    checkpoint_every: Positive = 100
    keep_last: Positive = 2
    async_checkpoint: bool = False
    log_every: Positive = 1
    deterministic: bool = False
    export: bool = True

    @model_validator(mode="after")
    def _coherent(self) -> TrainConfig:
        if self.steps is not None and self.tokens is not None:
            raise ValueError("give 'steps' or 'tokens', not both")
        if self.phases and (self.steps is not None or self.tokens is not None):
            raise ValueError("with 'phases', give 'steps' or 'tokens' on each phase, not beside them")
        names = [phase.name for phase in self.phases]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"two phases are named '{repeated}'")
        if self.batch.tokens is not None and self.batch.tokens < self.sequence_length:
            raise ValueError(
                f"batch.tokens {self.batch.tokens:,} is less than one sequence of {self.sequence_length:,} tokens"
            )
        needed = not self.phases or any(data.shards is None for phase in self.phases for data in phase.data)
        if needed and self.shards is None:
            raise ValueError("nothing to train on: give 'shards', or 'phases' whose data name theirs")
        return self

    @property
    def batch_sequences(self) -> int:
        """Sequences in the global batch (default 8)."""
        if self.batch.tokens is not None:
            return self.batch.tokens // self.sequence_length
        return self.batch.sequences or 8

    def all_phases(self) -> tuple[PhaseConfig, ...]:
        """The phases with every default made explicit: at least one, the first with its `lr`, all data with folders."""
        declared = self.phases or (PhaseConfig(name="train", steps=self.steps, tokens=self.tokens),)
        resolved = [
            phase.model_copy(update={"data": tuple(self._with_folder(data) for data in phase.data)})
            for phase in declared
        ]
        resolved[0] = resolved[0].model_copy(update={"lr": resolved[0].lr or self.lr})
        return tuple(resolved)

    def _with_folder(self, data: DataConfig) -> DataConfig:
        return data if data.shards is not None else data.model_copy(update={"shards": self.shards})


def parse_config(values: Mapping[str, Any], where: str = "train") -> TrainConfig:
    """`values` (the `train:` section with `shards` and `out` filled in) as a TrainConfig.

    Raises TrainError with one sentence about the first thing wrong: its path below `where`, what was found, what was
    expected, and for an unknown key the nearest known one.
    """
    try:
        return TrainConfig.model_validate(dict(values))
    except ValidationError as error:
        raise _refusal(error, where) from error


def _refusal(error: ValidationError, where: str) -> TrainError:
    # Unknown keys first: a mistyped key often also makes a required one look missing.
    problems = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    problem = problems[0]
    location = [part for part in problem["loc"] if isinstance(part, int) or not _is_branch(part)]
    keys = [str(part) for part in location]
    path = ".".join([where, *keys])
    if problem["type"] == "extra_forbidden":
        known = sorted(_section_at(location[:-1]).model_fields)
        near = nearest(keys[-1], known, 0.6)
        same = [f"{where}.{key}" for key in leaves() if key.rpartition(".")[2] == keys[-1]]
        meant = [*sorted(same, key=lambda key: key.count(".")), *([near] if near else [])]
        hint = (f"did you mean '{meant[0]}'? " if meant else "") + f"known keys: {', '.join(known)}"
        return TrainError(f"{path}: unknown key; {hint}", *keys)
    if problem["type"] == "missing":
        return TrainError(f"{path}: required, but not given", *keys)
    message = problem["msg"].removeprefix("Value error, ")
    found = problem["input"]
    shown = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
    return TrainError(f"{path}: {message[0].lower()}{message[1:]}{shown}", *keys)


def _is_branch(part: str) -> bool:
    """Whether pydantic put the part there to say which member of a union it tried."""
    return part in {"int", "float"} or part.startswith(("constrained-", "function-"))


def _section_at(location: list[int | str]) -> type[BaseModel]:
    section: type[BaseModel] = TrainConfig
    for part in location:
        if isinstance(part, int):
            continue
        found = _section_in(section.model_fields[part].annotation)
        if found is not None:
            section = found
    return section


def leaves(section: type[BaseModel] = TrainConfig) -> list[str]:
    """Every setting as a dotted key; those of list items stand below the list's key."""
    found: list[str] = []
    for name, field in section.model_fields.items():
        inner = _section_in(field.annotation)
        found += [name] if inner is None else [f"{name}.{leaf}" for leaf in leaves(inner)]
    return found


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _section_in(argument)
        if found is not None:
            return found
    return None


def with_values(values: Mapping[str, Any], assignments: list[str]) -> dict[str, Any]:
    """A copy of nested `values` with `dotted.key=YAML` assignments applied. Raises TrainError for a malformed one."""
    import yaml

    result: dict[str, Any] = _copy(values)
    for assignment in assignments:
        key, found, text = assignment.partition("=")
        if not found or not key:
            raise TrainError(f"--set {assignment}: expected key=value, such as steps=20 or model.layers=8")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise TrainError(f"--set {assignment}: the value is not YAML") from error
        *parents, last = key.split(".")
        node: dict[str, Any] = result
        for parent in parents:
            child = node.get(parent)
            if not isinstance(child, dict):
                child = node[parent] = {}
            node = child
        node[last] = value
    return result


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()}
