"""`use: kenlm`: how likely a document is under an n-gram language model of KenLM: perplexity, bits per character, CCNet's
buckets, and the difference between two models.

The model is one that `winnow fit kenlm` made, whose sidecar says what its units are, or any ARPA file or binary of KenLM,
such as CCNet's `ko.arpa.bin` with `ko.sp.model` beside it (`normalize: ccnet`). Of two models the difference says which of
them a text is more like, in bits per character, so that their units may differ: good text against text of a forum, as Moore
and Lewis (2010) select by; a model against one of the same texts with their words shuffled shows word salad.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from winnow.classifiers.artifacts import ModelError, resolve, shipped
from winnow.classifiers.kenlm_model import KenlmScorer, ModelFiles, check_files, load_kenlm, model_files
from winnow.classifiers.kenlm_units import Normalization, Unit
from winnow.classifiers.language_id import language_code
from winnow.filters.passages import passages, strongest
from winnow.identity import Execution, Located
from winnow.stages.base import Artifact, DocumentStage, Settings, StageError, Types

ANY = "any"
BUCKETS = ("head", "middle", "tail")


class KenlmSettings(Settings):
    model: Annotated[str, Located(shipped)]
    """A shipped name, a path or `hub:owner/repo/file`: ARPA (also .gz, .bz2, .xz) or a KenLM binary."""
    against: Annotated[str | None, Located(shipped)] = None
    """A second model, for the signal `difference`."""
    unit: Unit | None = None
    """What the models' units are; their sidecars' when null, else SentencePiece's where `<model>.sp.model` lies beside, else
    words."""
    normalize: Normalization | None = None
    """How text is prepared; as the sidecar says when null, else not at all. `ccnet`: as CCNet does."""
    pieces: Annotated[str | None, Located()] = None
    """The SentencePiece model, where it is not beside the model."""
    language: Annotated[str | None, Execution()] = None
    """The language of the models, where it is meant to be another than the pipeline's; `any`: whatever it is."""
    cutoffs: tuple[float, float] | None = None
    """The perplexities below which a document is in the head and in the middle, for the signal `bucket`."""
    quantiles: tuple[float, float] | None = None
    """The same as shares of the texts that the model's sidecar describes; CCNet takes 0.3 and 0.6 of its own."""
    chars: int | None = Field(default=None, ge=1)
    """How many characters of a document are read, from its first that is no white space; all when null."""

    @model_validator(mode="after")
    def _one_cut(self) -> KenlmSettings:
        cut = self.cutoffs or self.quantiles
        if self.cutoffs and self.quantiles:
            raise ValueError("`cutoffs` and `quantiles` both say where buckets end: expected one of them")
        if cut and not 0 < cut[0] < cut[1]:
            raise ValueError(f"buckets end at {cut[0]:g} and {cut[1]:g}: expected two rising numbers above 0")
        if self.quantiles and not (self.quantiles[0] >= 0.01 and self.quantiles[1] <= 0.99):
            raise ValueError("`quantiles` are shares from 0.01 to 0.99")
        return self


class Kenlm(DocumentStage):
    """Signals `log10` (float64, sum of log10 probabilities), `units` (int64, an end for each line counted), `perplexity`
    (float64, per unit), `bits_per_char` (float64); with `cutoffs` or `quantiles` `bucket` (string: head, middle, tail); with
    `against` `difference` (float64: bits per character that the second model needs more than the first).

    Null for a text without a unit, but `log10` and `units`, which are 0."""

    __slots__ = ()

    kind = "kenlm"
    version = 1
    Settings = KenlmSettings

    def signals(self) -> Types:
        found: Types = {"log10": pa.float64(), "units": pa.int64(), "perplexity": pa.float64()}
        found |= {"bits_per_char": pa.float64()}
        if self.settings.cutoffs or self.settings.quantiles:
            found["bucket"] = pa.string()
        if self.settings.against:
            found["difference"] = pa.float64()
        return found

    def artifacts(self) -> list[Artifact]:
        found = []
        for name in (self.settings.model, self.settings.against):
            if name is not None:
                try:
                    model = resolve(name)
                    files = self._files(Artifact(model.name, model.path, model.digest))
                    check_files(files)
                    self._of_language(model.name, files.sidecar.language if files.sidecar else None)
                except ModelError as error:
                    raise StageError(f"{self.name}: {error}") from error
                found.append(Artifact(model.name, model.path, files.digest))
        self._cutoffs(found[0])
        return found

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Likelihood:
        said = (self.settings.unit, self.settings.normalize, self.settings.pieces)
        try:
            first, *rest = [load_kenlm(found.path, found.digest, *said) for found in artifacts]
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error
        return Likelihood(self, first, rest[0] if rest else None, self._cutoffs(artifacts[0]))

    def _of_language(self, model: str, its: str | None) -> None:
        wanted = self.settings.language or self.pack.code
        if its is not None and wanted != ANY and language_code(its) != language_code(wanted):
            raise ModelError(
                f"model {model} is of language {its}, not {wanted}: expected a model of {wanted}, or `language: {its}` where "
                "that is meant"
            )

    def _files(self, model: Artifact) -> ModelFiles:
        return model_files(model.path, self.settings.unit, self.settings.normalize, self.settings.pieces)

    def _cutoffs(self, model: Artifact) -> tuple[float, float] | None:
        """The perplexities at which buckets end."""
        quantiles = self.settings.quantiles
        if quantiles is None:
            return cast("tuple[float, float] | None", self.settings.cutoffs)
        sidecar = self._files(model).sidecar
        if sidecar is None or "perplexity" not in sidecar.percentiles:
            raise StageError(
                f"{self.name}: {model.name} has no sidecar with percentiles: set `cutoffs` in place of `quantiles`"
            )
        shares = np.arange(1, 100) / 100
        head, middle = np.interp(quantiles, shares, sidecar.percentiles["perplexity"])
        return float(head), float(middle)


class Likelihood:
    """One or two loaded models."""

    def __init__(
        self, stage: Kenlm, scorer: KenlmScorer, against: KenlmScorer | None, cutoffs: tuple[float, float] | None
    ) -> None:
        self.stage, self.scorer, self.against, self.cutoffs = stage, scorer, against, cutoffs

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """See `Kenlm`; `error` where a model gives a text no finite probability."""
        texts = pc.utf8_trim_whitespace(documents.column("text"))
        if self.stage.settings.chars:
            texts = pc.utf8_slice_codeunits(texts, 0, self.stage.settings.chars)
        length = np.maximum(pc.utf8_length(texts).to_numpy(zero_copy_only=False), 1)
        octets = cast(list[bytes], texts.cast(pa.large_binary()).to_pylist())
        scores = self.scorer.score(octets)
        found = {"log10": scores.log10, "units": scores.units, "perplexity": scores.perplexity()}
        found["bits_per_char"] = scores.bits() / length
        none = scores.units == 0
        broken = ~np.isfinite(scores.log10)
        if self.against:
            other = self.against.score(octets)
            found["difference"] = other.bits() / length - found["bits_per_char"]
            broken |= ~np.isfinite(other.log10)
        columns = {
            name: pa.array(values, mask=broken if name in ("log10", "units") else broken | none)
            for name, values in found.items()
        }
        if self.cutoffs:
            columns["bucket"] = self._buckets(columns["perplexity"])
        if broken.any():
            said = f"{self.stage.settings.model} gives it no finite probability"
            columns["error"] = pa.array([said if wrong else None for wrong in broken], pa.string())
        names = [*self.stage.signals(), *(["error"] if "error" in columns else [])]
        return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)

    def _buckets(self, perplexity: pa.Array) -> pa.Array:
        assert self.cutoffs is not None
        if self.scorer.splitter.units.normalize == "ccnet":
            perplexity = pc.round(perplexity, 1)  # as CCNet stores it, before it compares
        head, middle, tail = BUCKETS
        below = [pc.less(perplexity, cutoff) for cutoff in self.cutoffs]
        found = pc.if_else(below[0], head, pc.if_else(below[1], middle, tail))
        return found.cast(pa.string())

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """Up to five lines (sentences of a one-line text) that raise the document's bits per character most: those that cost
        more than the document does on average, by their length. For `difference` those that lower it most. Raises StageError
        for another signal."""
        names = list(self.stage.signals())
        if signal not in names:
            raise StageError(f"{self.stage.name}: no signal '{signal}': expected one of {', '.join(names)}")
        spans = passages(text, self.stage.settings.chars or max(1, len(text)))
        lines = [text.strip(), *(text[start:end] for start, end in spans)]
        octets = [line.encode() for line in lines]
        bits = self.scorer.score(octets).bits()
        if self.against and signal == "difference":
            bits = bits - self.against.score(octets).bits()
        lengths = np.array([max(1, len(line)) for line in lines])
        excess = bits[1:] - lengths[1:] * (bits[0] / lengths[0])
        return strongest({span: float(push) for span, push in zip(spans, excess, strict=True) if push > 0})


KIND = Kenlm
