"""Fits a KenLM model of texts: an ARPA file that any KenLM reads, and its sidecar.

The estimator is `winnow.filters.ngram.kneser_ney`, which needs no compiler and gives the same bytes on every machine; KenLM's
own `lmplz`, where it is given, takes texts that do not fit in memory. Whether a text is held out is a hash of its group, so that
texts of one group are on one side; how the held-out ones score is written into the sidecar.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash
from pydantic import BaseModel, ConfigDict, Field, model_validator

from winnow.classifiers.artifacts import ModelError, digest
from winnow.classifiers.kenlm_file import MAX_ORDER, MIN_ORDER
from winnow.classifiers.kenlm_model import KenlmSidecar, load_kenlm, model_files, sidecar_path, stem
from winnow.classifiers.kenlm_units import Normalization, Splitter, Unit, Units
from winnow.filters.ngram.kneser_ney import BOS, EOS, Estimate, estimate

BATCH = 1000
SPECIAL = (b"<unk>", b"<s>", b"</s>")

Codes = npt.NDArray[np.int32]


class KenlmFit(BaseModel):
    """How a model is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Unit = "word"
    normalize: Normalization = "none"
    order: int = Field(default=5, ge=MIN_ORDER, le=MAX_ORDER)
    prune: tuple[int, ...] = (0,)
    """N-grams that occur this often or less are left out, by order; the last is for all above."""
    vocabulary: int | None = Field(default=None, ge=1)
    """How many units the model knows, the most frequent; all when None."""
    pieces: int = Field(default=8000, ge=50)
    """How many pieces a SentencePiece model gets that is fitted with it."""
    shuffled: bool = False
    """The words of every line in an order drawn by hash: a model of word salad, to compare another with."""
    digits: int = Field(default=6, ge=2, le=7)
    """Decimals of log10 probabilities. A compressed model of 3 is half as large as one of 6."""
    holdout: int = Field(default=10, ge=0, le=50)
    """Percent of the groups that are not fitted on, but described in the sidecar."""
    most: int | None = Field(default=None, ge=1)
    """Most characters fitted of each source, and `holdout` percent of them held out: whole texts in the order of their hashes; all when None."""
    licence: str = ""
    language: str | None = None

    @model_validator(mode="after")
    def _rising(self) -> KenlmFit:
        if (
            not self.prune
            or self.prune[0] != 0
            or list(self.prune) != sorted(self.prune)
            or len(self.prune) > self.order
        ):
            raise ValueError(
                f"prune is {','.join(map(str, self.prune))}: expected at most {self.order} numbers that begin with 0 and do not fall"
            )
        return self


@dataclass(frozen=True, slots=True)
class GroupedText:
    """One text, what must not be split between the fit and those held out, and which of the named sources it is from."""

    text: str
    group: str
    source: int = 0


@dataclass(frozen=True, slots=True)
class KenlmReport:
    """What a fit made. `grams`: n-grams of each order; `fallback`: orders whose discounts are the fallback's."""

    model: Path
    sidecar: Path
    size: int
    fitted_on: int
    held_out: int
    units: int
    grams: tuple[int, ...]
    fallback: tuple[int, ...]
    perplexity: float | None


def fit_kenlm(texts: Iterable[GroupedText], fit: KenlmFit, out: Path, lmplz: Path | None = None) -> KenlmReport:
    """Fits a model and writes it to `out` (.arpa, .arpa.gz, .arpa.xz, or .kenlm, which is xz too), its sidecar and, for
    SentencePiece units, its `.sp.model` beside. Texts that are equal count once. Raises ModelError."""
    compress = _compressor(out)
    fitted, held = _split(texts, fit)
    if not fitted:
        raise ModelError(f"nothing to fit {out.name} on: no text but blank ones, or all held out")
    if fit.shuffled:
        fitted, held = [_shuffled(text) for text in fitted], [_shuffled(text) for text in held]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        made = Path(folder) / out.name
        pieces = made.with_name(f"{stem(out)}.sp.model") if fit.unit == "sentencepiece" else None
        splitter = Splitter(Units(unit=fit.unit, normalize=fit.normalize), _fit_pieces(fitted, fit, pieces))
        text, names = numbered(_sentences(splitter, fitted))
        if not len(names) > len(SPECIAL):
            raise ModelError(f"nothing to fit {out.name} on: {len(fitted):,} texts without a unit")
        if lmplz is None:
            found = estimate(text, len(names), fit.order, fit.prune, _vocabulary(text, len(names), fit.vocabulary))
            made.write_bytes(compress(b"".join(arpa(found, names, fit.digits))))
            grams, fallback = tuple(len(one.log10) for one in found.grams), found.fallback
        else:
            written = _by_lmplz(lmplz, text, names, fit)
            made.write_bytes(compress(written))
            grams, fallback = tuple(int(c) for c in _counts(written)), ()
        sidecar = KenlmSidecar(
            name=stem(out),
            language=fit.language,
            units=splitter.units,
            pieces=pieces.name if pieces else None,
            percentiles=_percentiles(made, splitter.units, held),
            licence=fit.licence,
            model_sha256=digest(made),
        )
        beside = sidecar_path(made)
        beside.write_text(json.dumps(sidecar.model_dump(), ensure_ascii=False, indent=1) + "\n", "utf-8")
        for path in (pieces, made, beside):
            if path is not None:
                path.replace(out.with_name(path.name))
    middle = sidecar.percentiles.get("perplexity", ())
    return KenlmReport(
        out,
        sidecar_path(out),
        out.stat().st_size,
        len(fitted),
        len(held),
        int((text > EOS).sum()),
        grams,
        fallback,
        middle[49] if middle else None,
    )


def _compressor(out: Path) -> Any:
    """Bytes to bytes, the same every time."""
    if out.name.endswith((".arpa.xz", ".kenlm")):
        return lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    if out.name.endswith(".arpa.gz"):
        return lambda content: gzip.compress(content, 9, mtime=0)
    if out.name.endswith(".arpa"):
        return bytes
    raise ModelError(f"{out}: expected a name that ends in .arpa, .arpa.gz, .arpa.xz or .kenlm")


def _split(texts: Iterable[GroupedText], fit: KenlmFit) -> tuple[list[str], list[str]]:
    """The texts to fit on and those held out, each once."""
    seen: set[int] = set()
    sides: tuple[dict[int, list[tuple[int, str]]], dict[int, list[tuple[int, str]]]] = ({}, {})
    for one in texts:
        key = xxhash.xxh64_intdigest(one.text.encode("utf-8", "replace"))
        if key not in seen and one.text and not one.text.isspace():
            seen.add(key)
            out = xxhash.xxh64_intdigest(one.group.encode("utf-8", "replace")) % 100 < fit.holdout
            sides[out].setdefault(one.source, []).append((key, one.text))
    held = None if fit.most is None else fit.most * fit.holdout // 100
    return _bounded(sides[0], fit.most), _bounded(sides[1], held)


def _bounded(sources: dict[int, list[tuple[int, str]]], most: int | None) -> list[str]:
    """The texts of every source, or of each, in the order of their hashes, those that begin within `most` characters."""
    kept: list[str] = []
    for found in sources.values():
        size = 0
        for _, text in found if most is None else sorted(found):
            if most is None or size < most:
                kept.append(text)
            size += len(text)
    return kept


def _shuffled(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        words = line.split()
        keys = [xxhash.xxh64_intdigest(f"{n} {line}".encode("utf-8", "replace")) for n in range(len(words))]
        lines.append(" ".join(word for _, word in sorted(zip(keys, words, strict=True))))
    return "\n".join(lines)


def _fit_pieces(texts: list[str], fit: KenlmFit, path: Path | None) -> Any:
    if path is None:
        return None
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    plain = Splitter(Units(unit="word", normalize=fit.normalize))
    lines = (line.decode() for line in _sentences(plain, texts) if line.strip())
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            vocab_size=fit.pieces,
            character_coverage=0.9995,
            num_threads=1,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        cause = " ".join(str(error).rpartition("] ")[2].split())[:300]  # without where in its code it says so
        raise ModelError(f"SentencePiece cannot be fitted: {cause}") from error
    path.write_bytes(model.getvalue())
    return SentencePieceProcessor(model_proto=model.getvalue())


def _batches(texts: list[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _sentences(splitter: Splitter, texts: list[str]) -> Iterator[bytes]:
    for batch in _batches(texts):
        for text in splitter.split([text.encode("utf-8", "replace") for text in batch]):
            yield from text.split(b"\n")


def numbered(sentences: Iterable[bytes]) -> tuple[Codes, list[bytes]]:
    """The units of sentences by number, each sentence between BOS and EOS, and the units: `SPECIAL`, then as they first
    appear. Blank sentences and special units are left out."""
    numbers = {name: number for number, name in enumerate(SPECIAL)}
    parts: list[Codes] = []
    held: list[int] = []
    for sentence in sentences:
        units = [unit for unit in sentence.split() if unit not in SPECIAL]
        if units:
            held.append(BOS)
            held += [numbers.setdefault(unit, len(numbers)) for unit in units]
            held.append(EOS)
        if len(held) > 1 << 20:
            parts.append(np.array(held, np.int32))
            held = []
    return np.concatenate([*parts, np.array(held, np.int32)]), list(numbers)


def _vocabulary(text: Codes, size: int, most: int | None) -> npt.NDArray[np.bool_] | None:
    """The most frequent units, of equals those that appear first."""
    if most is None:
        return None
    counts = np.bincount(text, minlength=size)
    counts[: len(SPECIAL)] = 0
    kept = np.zeros(size, np.bool_)
    kept[np.argsort(-counts, kind="stable")[:most]] = True
    return kept


def arpa(found: Estimate, names: list[bytes], digits: int) -> Iterator[bytes]:
    """The lines of an ARPA file."""
    yield b"\\data\\\n"
    for n, grams in enumerate(found.grams, 1):
        yield b"ngram %d=%d\n" % (n, len(grams.log10))
    units = pl.Series([name.decode("utf-8") for name in names])
    for n, grams in enumerate(found.grams, 1):
        yield b"\n\\%d-grams:\n" % n
        columns = [units.gather(grams.units[:, k]).alias(f"{k}") for k in range(n)]
        frame = pl.DataFrame(columns).select(
            pl.Series("log10", grams.log10), pl.concat_str(pl.all(), separator=" ").alias("gram")
        )
        if n < len(found.grams):
            frame = frame.with_columns(pl.Series("backoff", grams.backoff))
        written = io.BytesIO()
        frame.write_csv(written, include_header=False, separator="\t", float_precision=digits, quote_style="never")
        yield written.getvalue()
    yield b"\n\\end\\\n"


def _by_lmplz(lmplz: Path, text: Codes, names: list[bytes], fit: KenlmFit) -> bytes:
    command = [str(lmplz), "-o", str(fit.order), "--prune", *map(str, fit.prune), "--discount_fallback", "-S", "50%"]
    with tempfile.TemporaryDirectory() as folder:
        if fit.vocabulary is not None:
            kept = _vocabulary(text, len(names), fit.vocabulary)
            assert kept is not None
            path = Path(folder) / "vocabulary"
            path.write_bytes(b" ".join(names[number] for number in np.flatnonzero(kept)))
            command += ["--limit_vocab_file", str(path)]
        lines = b"".join(
            b" ".join(names[number] for number in part[1:-1]) + b"\n"
            for part in np.split(text, np.flatnonzero(text == EOS)[:-1] + 1)
        )
        try:
            done = subprocess.run([*command, "-T", folder], input=lines, capture_output=True, check=False)
        except OSError as error:
            raise ModelError(f"{lmplz} cannot be started: {error.strerror}: expected KenLM's lmplz") from error
    if done.returncode:
        cause = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no cause given"])[-1]
        raise ModelError(f"{lmplz} failed: {cause}")
    return done.stdout


def _counts(written: bytes) -> Iterator[bytes]:
    for line in written.split(b"\n\n", 1)[0].splitlines()[1:]:
        yield line.partition(b"=")[2]


def _percentiles(model: Path, units: Units, held: list[str]) -> dict[str, tuple[float, ...]]:
    """Of the texts held out, six significant digits."""
    if not held:
        return {}
    files = model_files(model, units.unit, units.normalize)
    scorer = load_kenlm(model, files.digest, units.unit, units.normalize)
    scores = scorer.score([text.strip().encode("utf-8", "replace") for text in held])
    some = scores.units > 0
    lengths = np.array([len(text.strip()) for text in held])[some]
    values = {"perplexity": scores.perplexity()[some], "bits_per_char": scores.bits()[some] / lengths}
    at = np.arange(1, 100)
    return {
        name: tuple(float(f"{v:.6g}") for v in np.percentile(found, at)) for name, found in values.items() if len(found)
    }
