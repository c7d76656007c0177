"""A KenLM model: found with its sidecar and its SentencePiece model, loaded once per process, scored in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from winnow.classifiers.artifacts import ModelError, digest
from winnow.classifiers.kenlm_file import cause_of, check_once
from winnow.classifiers.kenlm_units import Normalization, Splitter, Unit, Units, unit_counts

Floats = npt.NDArray[np.float64]

ENDINGS = (".arpa.bin", ".arpa.gz", ".arpa.bz2", ".arpa.xz", ".arpa", ".bin", ".binary", ".kenlm", ".klm")
_PACKAGES = {"kenlm": "kenlm-ex", "sentencepiece": "sentencepiece"}


class KenlmSidecar(BaseModel):
    """`<model>.json` beside a KenLM model: its units, and how held-out texts of the kind that it was fitted on score."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    language: str | None = None
    """ISO 639 code of the texts, None where none is said."""
    units: Units
    pieces: str | None = None
    """Name of the SentencePiece model's file, beside this one."""
    percentiles: dict[str, tuple[float, ...]] = {}
    """`perplexity` and `bits_per_char` at 1, 2, ..., 99 percent of those texts."""
    licence: str = ""
    model_sha256: str


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What belongs to one model: `units` as its sidecar says, or as the files beside it suggest."""

    model: Path
    units: Units
    pieces: Path | None
    sidecar: KenlmSidecar | None
    digest: str
    """sha256 (hex) over the model, its sidecar and its SentencePiece model."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each text: the sum of log10 probabilities, float64, and the number of units with one end for each line that has
    any, int64."""

    log10: Floats
    units: npt.NDArray[np.int64]

    def perplexity(self) -> Floats:
        """Per unit; NaN for a text without any."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.asarray(10.0 ** (-self.log10 / self.units))

    def bits(self) -> Floats:
        """-log2 of the probability."""
        return np.asarray(-self.log10 * np.log2(10.0))


@dataclass(frozen=True, slots=True)
class KenlmScorer:
    """A loaded model."""

    score_line: Callable[[bytes], float]
    splitter: Splitter
    order: int

    def score(self, texts: Sequence[bytes]) -> Scores:
        """See `Scores`; texts are UTF-8. Lines without a unit are left out; CCNet's normalisation makes a text one line."""
        sentences = self.splitter.split(texts)
        counts = unit_counts(sentences)
        log10 = np.zeros(len(texts))
        for row in np.flatnonzero(counts):
            found = list(map(self.score_line, filter(bytes.strip, sentences[row].split(b"\n"))))
            log10[row] = sum(found)
            counts[row] += len(found)
        return Scores(log10, counts)


def stem(model: Path) -> str:
    """A model's file name without its ending."""
    return next((model.name.removesuffix(end) for end in ENDINGS if model.name.endswith(end)), model.stem)


def sidecar_path(model: Path) -> Path:
    """Where a model's sidecar lies."""
    return model.with_name(f"{stem(model)}.json")


def beside(model: Path) -> tuple[Path, Path]:
    """Where a model's sidecar and its SentencePiece model lie, if it has any."""
    return sidecar_path(model), model.with_name(f"{stem(model)}.sp.model")


def read_sidecar(model: Path) -> KenlmSidecar | None:
    """The sidecar of a model, None where it has none. Raises ModelError where it is broken or of another model."""
    path = sidecar_path(model)
    if not path.is_file():
        return None
    try:
        sidecar = KenlmSidecar.model_validate(json.loads(path.read_text("utf-8")))
    except (ValidationError, ValueError) as error:
        raise ModelError(f"{path} is not the sidecar of a KenLM model: {str(error).splitlines()[0]}") from error
    seen = digest(model)
    if seen != sidecar.model_sha256:
        raise ModelError(
            f"{path} belongs to another model: expected sha256 {sidecar.model_sha256}, {model.name} has {seen}"
        )
    return sidecar


def model_files(
    model: Path, unit: Unit | None = None, normalize: Normalization | None = None, pieces: str | None = None
) -> ModelFiles:
    """What belongs to a model; what is given stands above its sidecar. Without either, units are SentencePiece's where
    `<model>.sp.model` lies beside it, as CCNet keeps its models, else words. Raises ModelError."""
    sidecar = read_sidecar(model)
    _, usual = beside(model)
    own = sidecar.units if sidecar else Units(unit="sentencepiece" if pieces or usual.is_file() else "word")
    units = Units(unit=unit or own.unit, normalize=normalize or own.normalize)
    found: Path | None = None
    if units.unit == "sentencepiece":
        named = pieces or (sidecar.pieces if sidecar else None)
        found = model.parent / Path(named).expanduser() if named else usual
        if not found.is_file():
            raise ModelError(
                f"no SentencePiece model {found} for {model.name}: expected one there, or set `pieces` to it"
            )
    for package in ("kenlm", *(["sentencepiece"] if found else [])):
        _installed(package)
    files = [model, *(path for path in (sidecar_path(model), found) if path and path.is_file())]
    content = " ".join(digest(path.resolve()) for path in files)
    return ModelFiles(model, units, found, sidecar, hashlib.sha256(content.encode()).hexdigest())


def check_files(files: ModelFiles) -> None:
    """Raises ModelError unless the model can be loaded; once per process for the same content. A binary that a sidecar vouches
    for is not tried out."""
    check_once(files.model, digest(files.model), files.sidecar is None)


@cache
def load_kenlm(
    path: Path,
    content: str,
    unit: Unit | None = None,
    normalize: Normalization | None = None,
    pieces: str | None = None,
) -> KenlmScorer:
    """The scorer of a model file, once per process for the same content (`ModelFiles.digest`) and settings. Raises ModelError."""
    files = model_files(path, unit, normalize, pieces)
    if files.digest != content:
        raise ModelError(f"{path} changed since the run was planned")
    check_files(files)
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        model = kenlm.Model(str(path), config)
    except (OSError, RuntimeError, MemoryError) as error:
        raise ModelError(f"KenLM cannot load {path}: {cause_of(str(error))}") from error
    return KenlmScorer(model.score, Splitter(files.units, _pieces(files.pieces)), model.order)


def _pieces(path: Path | None) -> Any:
    if path is None:
        return None
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{path} is no SentencePiece model: {' '.join(str(error).split())[:200]}") from error


def _installed(package: str) -> None:
    if find_spec(package) is None:
        raise ModelError(
            f"the package {package} is not installed: install {_PACKAGES[package]} as constraints.txt has it"
        )
