"""Tables of counts that `winnow fit importance` and `winnow fit prior` write: JSON, checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from winnow.classifiers.artifacts import ModelError, ModelFile, resolve

Count = Annotated[int, Field(ge=0, strict=True)]


class Corpus(BaseModel):
    """N-grams by bucket of so many texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: int
    counts: Annotated[tuple[Count, ...], Field(min_length=10_000, max_length=10_000)]


class ImportanceTable(BaseModel):
    """What DSIR's weights are made from: `winnow.filters.ngram.importance`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["importance"] = "importance"
    target: Corpus
    raw: Corpus


class PriorTable(BaseModel):
    """Of each token of a tokenizer (sha256 of its tokenizer.json) how often it occurs, and in how many texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["prior"] = "prior"
    tokenizer: str
    documents: int
    occurrences: tuple[Count, ...]
    within: tuple[Count, ...]

    @model_validator(mode="after")
    def _sound(self) -> PriorTable:
        if len(self.occurrences) != len(self.within) or not any(self.within):
            raise ValueError("expected counts of one vocabulary, not all 0, under occurrences and within")
        return self

    def log_priors(self) -> npt.NDArray[np.float64]:
        """ln of occurrences x texts over its sum, [vocabulary]; a token never seen counts as one seen once."""
        product = np.asarray(self.occurrences, np.float64) * np.asarray(self.within, np.float64)
        return np.asarray(np.log(np.maximum(product, 1)) - np.log(product.sum()))


Table = TypeVar("Table", bound=BaseModel)


def read(file: ModelFile, of: type[Table]) -> Table:
    """The table in a file. Raises ModelError for anything else."""
    try:
        return of.model_validate_json(file.path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        kind = of.model_fields["kind"].default
        raise ModelError(
            f"{file.path} is no table of `winnow fit {kind}`: {at + ': ' if at else ''}{first['msg']}"
        ) from error


def found(name: str, of: type[Table]) -> tuple[ModelFile, Table]:
    """A table by the name of its file. Raises ModelError."""
    file = resolve(name)
    return file, read(file, of)


def write(table: BaseModel, path: Path) -> None:
    """In place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.part")
    written.write_text(table.model_dump_json() + "\n", "utf-8")
    written.replace(path)
