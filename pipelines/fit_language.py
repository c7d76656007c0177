"""`winnow fit language`: a language pack from good text in the language (the reference) and from crawl.

What is fitted, and by which rule, is in `filters/fitting`. Here: reading and sampling, the language model's scores,
measuring, and the file. The reference must be in the language by the language model; of the crawl only what the model
puts there, at the fitted cut-off or above, is measured, because rules see nothing else.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from winnow.classifiers.artifacts import ModelError, resolve
from winnow.classifiers.language_id import CODES, LanguageIdentifier, code_of_name, identifier, language_code
from winnow.filters.calibrate import UnreadableText, measured
from winnow.filters.fitting import FitError, clauses, pack_file, writing
from winnow.filters.fitting.clauses import Fitted, Limits
from winnow.filters.fitting.writing import WordCounts, cut_words, stop_words
from winnow.filters.languages import LanguagePack, UnknownLanguage, UnknownUnit, WordUnit, language_pack, languages
from winnow.filters.languages.pack import parsed
from winnow.filters.pack_check import sound_pack
from winnow.filters.rules.table import MEASURES
from winnow.filters.script import RANGES
from winnow.filters.segmenters import MissingSegmenter, segmenter
from winnow.nearest import nearest
from winnow.pipelines.fit_texts import Keyed, Reading, Texts, content, found, of_run, opened, read, sampled

QUANTILES = (0.01, 0.5, 0.99)
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What to fit. Empty or None: found out, as the fields below say."""

    lang: str
    reference: tuple[str, ...]
    crawl: tuple[str, ...] = ()
    base: str | None = None  # pack whose clauses are fitted; default: the language's own, else one of its word unit
    base_reference: tuple[str, ...] = ()
    from_unit: str | None = None  # word unit of the base whose clauses are fitted, on the same texts in both units
    unit: str | None = None  # by script
    script: str | None = None  # by letters
    name: str | None = None  # the code
    iso639_3: str | None = None  # by the code
    model: str = "lid.176"
    language_score: float | None = None  # by the model's scores; given, no model is asked
    reading: Reading = field(default_factory=Reading)
    sample: int = 10_000
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class LanguageFit:
    """A fitted pack: its thresholds one by one, the file's text, and how many documents each side had."""

    pack: LanguagePack
    clauses: tuple[Fitted, ...]
    text: str
    from_unit: str | None
    documents: dict[str, int]
    together: dict[str, float]  # share that the clauses of the default packs drop, of the reference and of the crawl


def fit_language(request: Request) -> LanguageFit:
    """Fits a pack. Raises FitError, ModelError or RunError where texts, model or run do not allow one."""
    try:
        return _fit(request)
    except (UnreadableText, UnknownLanguage, UnknownUnit, MissingSegmenter) as error:
        raise FitError(str(error)) from error


def refuse_existing(out: Path, force: bool) -> None:
    """Raises FitError for a name that is no pack's, and for a file that is there, unless `force`."""
    if out.suffix not in (".yaml", ".yml"):
        raise FitError(f"{out}: expected a name that ends in .yaml, by which a declaration knows a pack's file")
    if out.exists() and not force:
        raise FitError(f"{out}: is there already: expected another --out, or --force to replace it")


def write_pack(fitted: LanguageFit, out: Path, force: bool = False) -> None:
    """Writes the file at once or not at all. Raises FitError as `refuse_existing` does, and for a pack that does not
    open."""
    refuse_existing(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.stem}.{os.getpid()}{out.suffix}")
    try:
        draft.write_text(fitted.text, "utf-8")
        try:
            sound_pack(str(draft))
        except UnknownLanguage as error:
            raise FitError(f"the fitted pack is not sound, and was not written: {error}") from error
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def _fit(request: Request) -> LanguageFit:
    code = language_code(request.lang)
    _named(request, code)
    model = None if request.language_score is not None else _model(request.model, code)
    files = found(request.reference)
    reference = sampled(read(files, request.reading), request.sample, model, None, code, "reference")
    _enough(len(reference.texts), "reference", files, request)
    cut_off, said = _cut_off(request, reference)
    seen = writing.Seen()
    for text in reference.texts:
        seen.add(text)
    draft, base = _draft(request, code, seen, cut_off, reference.texts)
    crawl = _crawl(request, model, code, cut_off)

    old, old_crawl = _by_base(request, model, base, reference, crawl)
    good = measured(reference.texts, draft)
    bad = measured(crawl.texts, draft) if crawl is not None else None
    wanted = clauses.parse(base.rules(request.from_unit).clauses)
    if writing.unpunctuated(seen):
        wanted = [c for c in wanted if c.signal not in ("line_punctuation", "bare_line_punctuation")]
    crawled, olds, old_crawled = (None if frame is None else _columns(frame) for frame in (bad, old, old_crawl))
    units = {m.name: m.unit for m in MEASURES}
    result = clauses.fit(wanted, units, _columns(good), crawled, olds, request.limits, old_crawled)

    sides = {"reference": (reference, good)}
    if crawl is not None and bad is not None:
        sides["crawl"] = (crawl, bad)
    usual = [f for f in result if not draft.default_packs or f.clause.group in draft.default_packs]
    together = {name: _together(frame, usual) for name, (_, frame) in sides.items()}
    provenance = _provenance(request, base, reference, crawl, draft.word_unit)
    pack = draft.model_copy(update={"clauses": _grouped(result), "provenance": provenance})
    read_files = {"reference": {"files": len(files), "content": content(files)}}
    statistics = {
        name: _facts(texts, frame)
        | read_files.get(name, {})
        | {
            "dropped_by_default_packs": round(together[name], DIGITS),
            "quantiles": _quantiles(frame, [f.clause.signal for f in result]),
        }
        for name, (texts, frame) in sides.items()
    }
    documents = {name: frame.height for name, (_, frame) in sides.items()}
    rendered = pack_file.rendered(pack, result, said, statistics)
    return LanguageFit(pack, tuple(result), rendered, request.from_unit, documents, together)


def _draft(
    request: Request, code: str, seen: writing.Seen, cut_off: float, texts: Sequence[str]
) -> tuple[LanguagePack, LanguagePack]:
    """The pack without clauses, and the one whose clauses are fitted. Raises FitError for a base that does not go with
    `from_unit`."""
    known = next((language_pack(c) for c in languages() if language_pack(c).code == code), None)
    script, own_script = _script(request, seen, known)
    unit = request.unit or (known.word_unit if known else writing.word_unit(script, _segments(code, script)))
    base = sound_pack(request.base or (code if known and request.from_unit else _base(unit, script)))
    if request.from_unit and base.code != code:
        raise FitError(
            f"--from-unit {request.from_unit}: maps thresholds of '{code}' itself, and the base is '{base.code}'"
        )
    if request.from_unit and request.base_reference:
        raise FitError("--from-unit measures the reference in both units: expected no --base-reference with it")
    if request.from_unit == unit:
        raise FitError(f"--from-unit {unit}: is the unit that is fitted: expected another, or another --unit")
    clauses_of_base = base.rules(request.from_unit).clauses
    facts: dict[str, Any] = {
        "code": code,
        "iso639_3": request.iso639_3 or (known.iso639_3 if known else _iso639_3(code)),
        "name": request.name or (known.name if known else code),
        "script": script,
        "own_script": own_script,
        "word_unit": unit,
        "version": known.version + 1 if known else 1,
        "provenance": "draft",
        "language_score": cut_off,
        "stop_words": (),
        "terminal_punctuation": writing.terminal_punctuation(seen, script),
        "clauses": {},
        "default_packs": tuple(group for group in base.default_packs if group in clauses_of_base),
    }
    if known:
        facts |= {key: getattr(known, key) for key in ("endings", "sentence_endings", "bad_words")}
    draft = parsed(facts, "the pack to fit")
    counts = WordCounts()
    for words in cut_words(texts, draft, unit):
        counts.add(words)
    return draft.model_copy(update={"stop_words": stop_words(counts, script)}), base


def _by_base(
    request: Request, model: LanguageIdentifier | None, base: LanguagePack, reference: Texts, crawl: Texts | None
) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    """Measures of the base's good text and crawl, where its thresholds are carried over by quantile: of the same texts in
    the base's word unit, or of texts in its own language."""
    if request.from_unit:
        old_crawl = measured(crawl.texts, base, request.from_unit) if crawl is not None else None
        return measured(reference.texts, base, request.from_unit), old_crawl
    if not request.base_reference:
        return None, None
    files = found(request.base_reference)
    speaks = model if model is not None and base.code in model.languages() else None
    texts = sampled(read(files, request.reading), request.sample, speaks, None, base.code, "base reference").texts
    _enough(len(texts), "base reference", files, request)
    return measured(texts, base), None


def _named(request: Request, code: str) -> None:
    """Raises FitError for names that are no language's, script's or word unit's."""
    if not re.fullmatch("[a-z]{2,3}", code):
        near = code_of_name(request.lang)
        raise FitError(
            f"--lang {request.lang}: not the code of a language: expected one of ISO 639, such as tr"
            + (f"; nearest: '{near}'" if near else "")
        )
    for option, unit in (("--unit", request.unit), ("--from-unit", request.from_unit)):
        if unit is not None and unit not in get_args(WordUnit):
            near_unit = nearest(unit, get_args(WordUnit), 0.5) or "whitespace"
            raise FitError(f"{option} {unit}: expected one of {', '.join(get_args(WordUnit))}; nearest: '{near_unit}'")
    if request.script is not None and not re.fullmatch("[A-Z][a-z]{3}", request.script):
        near_script = nearest(request.script.title(), ["Latn", *RANGES], 0.6) or "Latn"
        raise FitError(f"--script {request.script}: expected a code of ISO 15924 such as {near_script}")
    if request.iso639_3 is not None and not re.fullmatch("[a-z]{3}", request.iso639_3):
        raise FitError(f"--iso639-3 {request.iso639_3}: expected a code of ISO 639-3 such as tur")


def _model(name: str, code: str) -> LanguageIdentifier:
    model = identifier(resolve(name))
    if code not in model.languages():
        raise ModelError(
            f"model '{name}' does not know the language '{code}': expected a --model that does (GlotLID, as "
            "hub:owner/repo/file), or --language-score NUMBER, which asks no model"
        )
    return model


def _crawl(request: Request, model: LanguageIdentifier | None, code: str, cut_off: float) -> Texts | None:
    if not request.crawl:
        return None
    texts: Iterable[Keyed]
    run = opened(request.crawl[0])
    if run is None:
        texts = read(found(request.crawl, "the folder of a run, or texts"), request.reading)
    elif len(request.crawl) > 1:
        raise FitError(f"--crawl {request.crawl[0]}: is a run; expected one run, or files")
    else:
        texts = of_run(run, code, request.model) if model is not None else of_run(run, code, "")
    crawl = sampled(texts, request.sample, model, cut_off, code, "crawl")
    if len(crawl.texts) < _least(request):
        raise FitError(
            f"crawl: {len(crawl.texts):,} different documents in '{code}' with a language score of {cut_off:g} or more: "
            f"expected at least {_least(request):,}; give a crawl that has them, or none: thresholds then rest on the reference"
        )
    return crawl


def _least(request: Request) -> int:
    """Documents of which `tail` is one."""
    return math.ceil(1 / request.limits.tail)


def _enough(documents: int, what: str, files: Sequence[Path], request: Request) -> None:
    """Raises FitError for fewer documents than one of which is `tail`."""
    least = _least(request)
    if documents >= least:
        return
    reading, ways = request.reading, ["give more text"]
    if reading.join:
        ways.append(f"join fewer characters than --join {reading.join}")
    if not reading.lines and any(file.suffix in (".txt", ".md") for file in files):
        ways.append("--lines makes each line of a .txt or .md file a row, where the whole file is one document now")
    raise FitError(
        f"{what}: {documents:,} different document{'' if documents == 1 else 's'}: expected at least {least:,}, since a "
        f"threshold leaves {request.limits.tail:.10g} of them (--tail) beyond it; {', or '.join(ways)}"
    )


def _cut_off(request: Request, reference: Texts) -> tuple[float, str]:
    if request.language_score is not None:
        return request.language_score, "as given"
    cut_off = writing.cut_off(reference.scores)
    values = np.asarray(reference.scores)
    below = float(np.mean(values < cut_off))
    return cut_off, (
        f"{request.model}: max(.3, min(.9, median {np.median(values):.3f} - sigma {values.std():.3f})) of {len(values):,} "
        f"documents; {below:.1%} of them lie below"
    )


def _script(request: Request, seen: writing.Seen, known: LanguagePack | None) -> tuple[str, bool]:
    if request.script is not None:
        return request.script, request.script in RANGES
    if known is not None:
        return known.script, known.own_script
    return writing.script(seen.letters)


def _segments(code: str, script: str) -> bool:
    """Whether the words of a script without spaces can be cut here."""
    if script not in writing.WITHOUT_SPACES:
        return False
    try:
        probe = language_pack("en").model_copy(update={"code": code, "script": script, "word_unit": "segment"})
        return segmenter("segment", probe) is not None
    except MissingSegmenter:
        return False


def _base(unit: str, script: str) -> str:
    """English for whitespace words; for others the pack of that unit, in that script where there is one."""
    if unit == "whitespace":
        return "en"
    packs = [pack for pack in map(language_pack, languages()) if pack.word_unit == unit]
    if not packs:
        raise FitError(f"no language pack has the word unit '{unit}': expected --base CODE, a pack to start from")
    return min(packs, key=lambda pack: (pack.script != script, pack.code)).code


def _iso639_3(code: str) -> str:
    if len(code) == 3:
        return code
    three = next((key for key, value in CODES.items() if value == code and len(key) == 3), None)
    if three is None:
        raise FitError(f"--lang {code}: no ISO 639 code that is known here: expected --iso639-3 CODE with it")
    return three


def _columns(frame: pl.DataFrame) -> clauses.Columns:
    return {name: frame[name].cast(pl.Float64).to_numpy() for name in frame.columns}


def _together(frame: pl.DataFrame, fitted: Sequence[Fitted]) -> float:
    kept = [pl.sql_expr(f.expression) for f in fitted if f.threshold is not None and f.clause.signal in frame.columns]
    share = frame.select(pl.all_horizontal(kept)).to_series().mean() if kept else 1.0
    return 1 - float(share or 0.0)  # type: ignore[arg-type]


def _grouped(fitted: Sequence[Fitted]) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    for f in fitted:
        group = groups.setdefault(f.clause.group, {})
        if f.threshold is not None:
            group[f.clause.name] = f.expression
    return groups


def _provenance(request: Request, base: LanguagePack, reference: Texts, crawl: Texts | None, unit: str) -> str:
    rules = f"'{base.code}' (version {base.version}, {request.from_unit or base.word_unit})"
    if request.from_unit:
        how = "matched by quantile of the same reference in both units"
    elif request.base_reference:
        how = "matched by quantile of its reference"
    else:
        how = f"moved to what {request.limits.tail:.1%} of the reference lies beyond"
    joined = f", rows joined to {request.reading.join:,} characters" if request.reading.join else ""
    seen = f"; {len(crawl.texts):,} of {crawl.seen:,} documents of crawl" if crawl is not None else "; no crawl"
    return (
        f"winnow fit language: clauses of {rules} {how}, in {unit} words; {len(reference.texts):,} of "
        f"{reference.seen:,} reference documents{joined}{seen}"
    )


def _facts(texts: Texts, frame: pl.DataFrame) -> dict[str, Any]:
    return {
        "documents": texts.seen,
        "sampled": len(texts.texts),
        "characters": sum(map(len, texts.texts)),
        "words": int(frame["word_count"].sum()),
    }


def _quantiles(frame: pl.DataFrame, signals: Sequence[str]) -> dict[str, list[float]]:
    """1%, median and 99% of every signal that a clause reads."""
    return {
        signal: [round(float(q), DIGITS) for q in np.quantile(frame[signal].to_numpy(), QUANTILES)]
        for signal in dict.fromkeys(signals)
        if signal in frame.columns
    }
