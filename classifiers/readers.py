"""Readers of labelled texts: one function per file format, all giving `Text` rows in file order.

Written Korean may be retold in the polite spoken style, `했다` as `했어요`, as people write in their own blogs: labelled good
prose is nearly all in the plain style (`-다`), and user comments are what is left in the polite one, so that a classifier
takes the ending for the fault. Only sentence ends change; rare verbs keep the plain ending rather than a wrong one.
"""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from zstandard import ZstdError

from winnow.classifiers.linear_model import address
from winnow.classifiers.recipe import RecipeError, SourceSpec
from winnow.nearest import hint

_FINAL_SS = "".join(chr(0xAC00 + (lead * 21 + vowel) * 28 + 20) for lead in range(19) for vowel in range(21))
_RULES = (
    (re.compile(rf"([{_FINAL_SS}])(?:습니)?다(?=[.!?]|$)"), r"\1어요"),
    (re.compile(r"(?:한|합니)다(?=[.!?]|$)"), "해요"),
    (re.compile(r"(?:된|됩니)다(?=[.!?]|$)"), "돼요"),
    (re.compile(r"(?:인|이|입니)다(?=[.!?]|$)"), "이에요"),
    (re.compile(r"(없|먹|읽|씻|입|넣|늦|힘들)(?:는|습니)?다(?=[.!?]|$)"), r"\1어요"),
    (re.compile(r"(않|같|많|좋|받|앉|찾|작|높|낮|밝|맑)(?:는|습니)?다(?=[.!?]|$)"), r"\1아요"),
    (re.compile(r"본다(?=[.!?]|$)"), "봐요"),
    (re.compile(r"준다(?=[.!?]|$)"), "줘요"),
    (re.compile(r"간다(?=[.!?]|$)"), "가요"),
    (re.compile(r"온다(?=[.!?]|$)"), "와요"),
    (re.compile(r"진다(?=[.!?]|$)"), "져요"),
    (re.compile(r"(킨|린|친|긴)다(?=[.!?]|$)"), lambda found: chr(ord(found[1]) - 14 * 28 - 4) + "요"),
)


def polite(text: str) -> str:
    """The text with its plain and formal sentence ends made polite."""
    for pattern, ending in _RULES:
        text = pattern.sub(ending, text)
    return text


@dataclass(frozen=True, slots=True)
class Text:
    """One text with its label, empty where the lexicon is to give it. `group` is what must not be split between sides (a
    file, a host)."""

    text: str
    label: str
    group: str
    also: str = ""


OfRun = Callable[[str], Iterator[dict[str, Any]]]
"""The documents of the run that a reference names, as rows with `id`, `url`, `host`, `source`, `title`, `text`."""


def read(spec: SourceSpec, data: Path, of_run: OfRun | None = None, also: str | None = None) -> Iterator[Text]:
    """Every usable text of a source, in the order of its sorted files, with the value of the column `also`. Raises RecipeError
    where none is found."""
    columns = spec.text or ("text",)
    for where, file, rows in _tables(spec, data, of_run):
        for fields in rows:
            if any(str(fields.get(key)) != value for key, value in spec.where.items()):
                continue
            if not all(re.search(pattern, str(fields.get(key))) for key, pattern in spec.match.items()):
                continue
            label = _label(fields, spec, where)
            if label is None:
                continue
            for column in columns:
                if column not in fields:
                    raise _lacking("column", column, fields, spec, where)
            group = _group(fields, spec, where) if spec.group else file
            if also is not None and also not in fields:
                raise _lacking("column", also, fields, spec, where)
            more = "" if also is None else str(fields[also])
            for text in _texts([_whole(fields[column], column, spec, where) for column in columns], spec):
                if len(text) >= spec.least_chars and (not spec.hangul or hangul_share(text) >= spec.hangul):
                    yield Text(text, label, group, more)


def _whole(value: Any, column: str, spec: SourceSpec, where: str) -> str:
    """A text that can be stored: JSON may escape half a surrogate pair. Raises RecipeError for what is no text."""
    if not isinstance(value, str | int | float | None):
        raise RecipeError(
            f"source '{spec.name}': column '{column}' of {where} holds a {type(value).__name__}: expected a text"
        )
    return ("" if value is None else str(value)).strip().encode("utf-8", "replace").decode()


def _tables(spec: SourceSpec, data: Path, of_run: OfRun | None) -> Iterator[tuple[str, str, Iterator[dict[str, Any]]]]:
    """Name, group and rows of each file or run."""
    if spec.reader == "run":
        if of_run is None:
            raise RecipeError(f"source '{spec.name}': reader: run needs the command `winnow fit`, which opens runs")
        for reference in spec.files:
            yield reference, reference, of_run(reference)
        return
    folder = data / spec.folder
    for pattern in spec.files:
        files = _matching(folder, pattern)
        if not files:
            raise RecipeError(f"source '{spec.name}': no file '{pattern}' in folder '{spec.folder}' of {data}")
        for path in files:
            below = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
            yield path.name, f"{spec.folder}/{below}", _fields(path, spec)


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Files of a pattern, of a path, or below a folder, sorted."""
    whole = Path(pattern).expanduser()
    if whole.is_absolute():
        folder, pattern = Path(whole.anchor), str(whole.relative_to(whole.anchor))
    path = folder / pattern
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and _stem(p).suffix in _BY_ENDING)
    return [path] if path.is_file() else sorted(p for p in folder.glob(pattern) if p.is_file())


def _group(fields: dict[str, Any], spec: SourceSpec, where: str) -> str:
    if spec.group == "host" and "host" not in fields and "url" in fields:
        return address(str(fields["url"] or ""), "host")
    if spec.group not in fields:
        raise _lacking("column", str(spec.group), fields, spec, where)
    return str(fields[spec.group])


def _lacking(what: str, name: str, fields: dict[str, Any], spec: SourceSpec, where: str) -> RecipeError:
    has = ", ".join(map(str, fields))
    return RecipeError(
        f"source '{spec.name}': no {what} '{name}' in {where}: it has {has}{hint(name, map(str, fields))}"
    )


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in _PACKED else path


def _fields(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    reader = _BY_ENDING.get(_stem(path).suffix, "") if spec.reader == "auto" else spec.reader
    if not reader:
        raise RecipeError(f"source '{spec.name}': {path.name}: expected one of {', '.join(_BY_ENDING)}, or `reader`")
    try:
        yield from _READERS[reader](path, spec)
    except (EOFError, OSError, ValueError, csv.Error, zlib.error, ZstdError, pa.ArrowException) as error:
        if isinstance(error, RecipeError):
            raise
        said = f"it is no {spec.encoding} text" if isinstance(error, UnicodeError) else " ".join(str(error).split())
        raise RecipeError(f"source '{spec.name}': {path.name} cannot be read: {said}") from error


_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def _texts(texts: list[str], spec: SourceSpec) -> list[str]:
    if spec.merge:
        texts = ["\n".join(texts)]
    if spec.plain:
        texts = [plain(text).strip() for text in texts]
    if spec.polite:
        texts = [polite(text) for text in texts]
    return [part for text in texts for part in _SENTENCE.split(text)] if spec.sentences else texts


def _label(fields: dict[str, Any], spec: SourceSpec, where: str) -> str | None:
    if spec.label is not None or spec.weak:
        return spec.label or ""
    if spec.label_column not in fields:
        raise _lacking("label column", str(spec.label_column), fields, spec, where)
    given = fields[spec.label_column]
    value = "" if given is None else str(given).strip()
    if spec.labels:
        return spec.labels.get(value)
    if not value or any(map(str.isspace, value)):
        said = f"label '{value}', with white space in it" if value else "a text without a label"
        raise RecipeError(
            f"source '{spec.name}': column '{spec.label_column}' of {where} has {said}: expected one word a text, or `labels`, "
            "which says what its values stand for"
        )
    return value


def hangul_share(text: str) -> float:
    """Share of Hangul syllables among the letters of a text; 0 without letters."""
    letters = sum(char.isalpha() for char in text)
    return sum("가" <= char <= "힣" for char in text) / letters if letters else 0.0


def _open(path: Path, encoding: str) -> TextIO:
    options = {"encoding": encoding, "newline": "", "compression": "infer"}
    return cast(TextIO, LocalFileSystem().open(str(path.absolute()), "rt", **options))


def _table(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    # Only comma-separated files quote their fields; in the others a quotation mark is part of the text.
    delimiter = spec.delimiter or ("," if _stem(path).suffix == ".csv" else "\t")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    with _open(path, spec.encoding) as stream:
        names = list(spec.columns) or None
        yield from csv.DictReader(stream, fieldnames=names, delimiter=delimiter, quoting=quoting)


def _jsonl(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    with _open(path, spec.encoding) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise RecipeError(f"{path.name}, line {number}: not JSON ({error.msg})") from error
                if not isinstance(row, dict):
                    raise RecipeError(f"{path.name}, line {number}: expected an object, got {type(row).__name__}")
                yield row


def _json(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    yield from json.loads(path.read_text(spec.encoding))


def _parquet(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(1000):
            yield from batch.to_pylist()


def _document(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    with _open(path, spec.encoding) as stream:
        yield {"text": stream.read()}


def _conllu(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    with _open(path, spec.encoding) as stream:
        for line in stream:
            if line.startswith("# text = "):
                yield {"text": line[9:].strip()}


def _lines(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    with _open(path, spec.encoding) as stream:
        for line in stream:
            yield {"text": line.strip().strip('"')}


def _paragraphs(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    for block in re.split(r"\n\s*\n", path.read_text(spec.encoding)):
        yield {"text": " ".join(block.split())}


_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->|\{\{[%<].*?[%>]\}\}|\{/\*.*?\*/\}", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^>\n]*>")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_MARK = re.compile(r"^\s*(?:#{1,6}|[-*+]|\d+\.|>|:::?)\s+|[*`]+|\s*\{/?#[^}]*\}|\|", re.MULTILINE)


def plain(text: str) -> str:
    """Markdown as a reader of the rendered page sees it, its lines as they were."""
    text = text.replace("\r\n", "\n")
    for pattern in (_FRONT, _FENCE, _COMMENT, _TAG, _IMAGE):
        text = pattern.sub("", text)
    return _MARK.sub("", _LINK.sub(r"\1", text))


def _markdown(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    """Paragraphs as a reader of the rendered page sees them: no front matter, code blocks, markup or addresses."""
    for block in re.split(r"\n\s*\n", plain(path.read_text(spec.encoding))):
        yield {"text": " ".join(block.split())}


_READERS: dict[str, Callable[[Path, SourceSpec], Iterator[dict[str, Any]]]] = {
    "table": _table,
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "document": _document,
    "conllu": _conllu,
    "lines": _lines,
    "paragraphs": _paragraphs,
    "markdown": _markdown,
}

_PACKED = (".gz", ".zst", ".bz2", ".xz")
_BY_ENDING = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".tsv": "table",
    ".csv": "table",
    ".conllu": "conllu",
    ".md": "document",
    ".txt": "document",
}
