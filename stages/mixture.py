"""`use: mixture`: how many tokens each group of documents gives, and so how often its documents are repeated.

Groups are the values of any label signal; their sizes are counted by the tokenizer that will write the shards, a
document that a stage before has repeated as often as that. The solvers are in `stages/solvers/`. A fractional
multiplicity becomes copies of a document by `winnow.filters.hash_random`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError, model_validator

from winnow.filters.hash_random import MOST
from winnow.identity import code_of, modules_of, name_of
from winnow.nearest import expected
from winnow.stages import allocation
from winnow.stages.base import Artifact, CorpusStage, Outputs, Part, Reducer, Settings, StageError, TokenCount
from winnow.stages.registry import NoKind, find
from winnow.stages.solver import Solver

NO_LABEL = "null"
"""The group of documents whose label is null."""


class MixtureSettings(Settings):
    by: str
    """The dotted name of the label signal whose values are the groups."""
    solver: str | dict[str, Any] | None = None
    """`natural` keeps the groups' shares, `unimax` makes them even, `temperature` takes `alpha`, `fixed` takes `shares`; or one
    of another package, as `{use: package.module:Class}` with its settings. Without a budget no document is left out: the
    natural mixture, which is the default there, takes each once, and another solver repeats until its shares hold, as far
    as `max_epochs` allows. With one the default is `unimax`."""
    max_epochs: float = Field(default=4.0, gt=0, le=MOST)
    """How often a document is repeated at most."""
    alpha: float = Field(default=0.5, ge=0, le=1)
    """For the solver `temperature`: share ~ size^alpha."""
    shares: dict[str, float] | None = None
    """For the solver `fixed`: group -> share, summing to 1."""
    budget_tokens: int | None = Field(default=None, ge=0)
    """How many tokens there are to be."""
    shortage: Literal["error", "shrink"] = "error"
    """What is done with a budget beyond what the groups hold: refused, or cut to that."""
    tokens: Annotated[str | None, TokenCount()] = None
    """The dotted name of the signal that sizes are counted in; the count of the stage that writes the shards unless given."""

    @model_validator(mode="after")
    def _solvable(self) -> MixtureSettings:
        if self.solver == "fixed" and not self.shares:
            raise ValueError("solver 'fixed' needs 'shares': a mapping of group to share, summing to 1")
        if self.solver != "fixed" and self.shares is not None:
            raise ValueError(f"'shares' go with solver 'fixed', but the solver is '{self.use}'")
        self.chosen()
        return self

    @property
    def use(self) -> str:
        """The name of the declared solver, or of the default."""
        if isinstance(self.solver, dict):
            return str(self.solver.get("use"))
        return self.solver or ("natural" if self.budget_tokens is None else "unimax")

    def chosen(self) -> Solver:
        """The solver with its settings. Raises ValueError."""
        try:
            kind = find("solvers", self.use)
        except NoKind as error:
            raise ValueError(f"solver {error}") from error
        if isinstance(self.solver, dict):
            given = {key: value for key, value in self.solver.items() if key != "use"}
        else:
            ours = {"alpha": self.alpha, "shares": self.shares}
            given = {key: value for key, value in ours.items() if key in kind.Settings.model_fields}
        try:
            return cast("Solver", kind(settings=kind.Settings.model_validate(given)))
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(map(str, first["loc"]))
            unknown = first["type"] == "extra_forbidden"
            said = f"unknown key; {expected(at, kind.Settings.model_fields)}" if unknown else first["msg"]
            raise ValueError(f"solver '{self.use}': {at}: {said.removeprefix('Value error, ')}") from error


class Mixture(CorpusStage):
    """Signals: `group` (the label), `multiplicity` (tokens allocated to the group / tokens of the group: epochs)."""

    __slots__ = ()
    kind = "mixture"
    outputs = Outputs(multiplicity="multiplicity")
    version = 3
    guards = ("kept > 0 or rows < 20",)  # a small budget leaves out as much as it must
    Settings = MixtureSettings

    def identity(self, measured: bool = False) -> dict[str, Any]:
        solver = self.settings.chosen()
        code = code_of(type(solver))
        return super().identity(measured) | {"solver": [name_of(type(solver)), solver.version, code]}

    def modules(self) -> set[str]:
        return modules_of(type(self), type(self.settings.chosen()))

    def signals(self) -> dict[str, pa.DataType]:
        return {"multiplicity": pa.float32(), "group": pa.string()}

    def reads(self) -> list[str]:
        chosen: MixtureSettings = self.settings
        return [chosen.by] if chosen.tokens is None else [chosen.by, chosen.tokens]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Divider:
        return Divider(self.name, self.settings)


class Divider(Reducer):
    """Counts the groups and divides the budget among them. State: the figures of the last `reduce`."""

    def __init__(self, name: str, settings: MixtureSettings) -> None:
        self.name, self.settings, self.figures = name, settings, dict[str, Any]()

    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        chosen: MixtureSettings = self.settings
        self.figures.clear()
        if chosen.tokens is None:
            raise StageError(
                f"{self.name}: no token counts to size the groups by; "
                "add a tokenize stage to the pipeline, or name a signal in 'tokens:', such as 'shards.tokens'"
            )
        documents: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for part in parts:
            for group, rows, tokens in self._count(part, chosen.tokens):
                documents[group] = documents.get(group, 0) + rows
                sizes[group] = sizes.get(group, 0) + tokens
        budget = self._budget(sizes)
        given = self._solve(sizes, budget)
        epochs = {group: given[group] / size if size else 1.0 for group, size in sizes.items()}
        total = sum(given[group] for group in sorted(given))
        self.figures.update(
            solver=chosen.use,
            budget_tokens=round(total if budget is None else budget),
            tokens=sum(sizes.values()),
            allocated_tokens=round(total),
            groups={
                group: {
                    "documents": documents[group],
                    "tokens": sizes[group],
                    "epochs": epochs[group],
                    "allocated_tokens": round(given[group]),
                    "share": given[group] / total if total else 0.0,
                }
                for group in sorted(sizes)
            },
        )
        if budget is not None and budget != chosen.budget_tokens:
            self.figures["shrunk_from"] = chosen.budget_tokens
        for part in parts:
            label = self._groups(part.read([chosen.by]))
            names = pc.unique(label)
            rate = pa.array([epochs[str(name)] for name in names.to_pylist()], pa.float32())
            yield pa.RecordBatch.from_pydict({"multiplicity": rate.take(pc.index_in(label, names)), "group": label})

    def report(self) -> dict[str, Any]:
        """Tokens in all, and per group: documents, tokens, epochs, allocated tokens, share of what was allocated.

        `shrunk_from` is there when the budget asked for was cut. A group without tokens has 1 epoch: it costs nothing.
        """
        return dict(self.figures)

    def _groups(self, table: pa.Table) -> pa.Array[Any]:
        label = table.column(self.settings.by).combine_chunks()
        return label.cast(pa.string()).fill_null(NO_LABEL)

    def _count(self, part: Part, tokens: str) -> Iterator[tuple[str, int, int]]:
        """Group, documents and tokens of one part; a document that is repeated counts as often."""
        table = part.read([self.settings.by, tokens, "multiplicity"])
        counts = table.column(tokens)
        if not pa.types.is_integer(counts.type):
            raise StageError(f"{self.name}: '{tokens}' is {counts.type}, expected whole token counts")
        counts = counts.cast(pa.int64())
        least = pc.min(counts).as_py()
        if counts.null_count or (least is not None and least < 0):
            raise StageError(
                f"{self.name}: '{tokens}' has {counts.null_count} nulls and a least value of {least} "
                f"in part {part.index}, expected a count for every selected document"
            )
        repeated = np.rint(counts.to_numpy() * table.column("multiplicity").to_numpy()).astype(np.int64)
        named = pa.table({"group": self._groups(table), "tokens": repeated})
        summed = named.group_by("group").aggregate([("tokens", "count"), ("tokens", "sum")])
        columns = (summed.column(name).to_pylist() for name in ("group", "tokens_count", "tokens_sum"))
        yield from zip(*columns, strict=True)

    def _budget(self, sizes: dict[str, int]) -> float | None:
        """The budget in tokens, cut to what there is where the settings say so; None where none is declared."""
        chosen: MixtureSettings = self.settings
        if chosen.budget_tokens is None or chosen.shortage == "error":
            return chosen.budget_tokens
        return min(chosen.budget_tokens, chosen.chosen().capacity(sizes, chosen.max_epochs))

    def _solve(self, sizes: dict[str, int], budget: float | None) -> dict[str, float]:
        chosen: MixtureSettings = self.settings
        try:
            given = chosen.chosen().solve(sizes, budget, chosen.max_epochs)
        except allocation.Infeasible as error:
            raise StageError(
                f"{self.name}: {error}; lower budget_tokens, raise max_epochs or set 'shortage: shrink'"
            ) from error
        except ValueError as error:
            raise StageError(f"{self.name}: {error}") from error
        for group, size in sizes.items():
            tokens = given.get(group)
            if tokens is None or not 0 <= tokens <= chosen.max_epochs * size * (1 + 1e-9):
                raise StageError(
                    f"{self.name}: solver '{chosen.use}' gives group '{group}' {tokens} tokens of {size:,}: expected a number "
                    f"from 0 to {chosen.max_epochs:g} times those"
                )
        return given


KIND = Mixture
