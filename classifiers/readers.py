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

from fsspec.implementations.local import LocalFileSystem
from zstandard import ZstdError

from winnow.classifiers.recipe import RecipeError, SourceSpec

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
    """One text with its label, empty where the lexicon is to give it. `group` is what must not be split between fit and test (a file)."""

    text: str
    label: str
    group: str


def read(spec: SourceSpec, data: Path) -> Iterator[Text]:
    """Every usable text of a source, in the order of its sorted files. Raises RecipeError where none is found."""
    files = sorted((data / spec.folder).glob(spec.files))
    if not files:
        raise RecipeError(f"source '{spec.name}': no file '{spec.files}' in folder '{spec.folder}' of {data}")
    columns = spec.text or ("text",)
    for path in files:
        group = f"{spec.folder}/{path.relative_to(data / spec.folder).as_posix()}"
        for fields in _fields(path, spec):
            if any(str(fields.get(key)) != value for key, value in spec.where.items()):
                continue
            if not all(re.search(pattern, str(fields.get(key))) for key, pattern in spec.match.items()):
                continue
            label = _label(fields, spec, path)
            if label is None:
                continue
            for column in columns:
                if column not in fields:
                    raise RecipeError(
                        f"source '{spec.name}': no column '{column}' in {path.name}: it has {', '.join(map(str, fields))}"
                    )
            for text in _texts([str(fields[column] or "").strip() for column in columns], spec):
                if len(text) >= spec.least_chars and hangul_share(text) >= spec.hangul:
                    yield Text(text, label, group)


def _fields(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    try:
        yield from _READERS[spec.reader](path, spec)
    except (EOFError, OSError, ValueError, csv.Error, zlib.error, ZstdError) as error:
        if isinstance(error, RecipeError):
            raise
        said = f"it is no {spec.encoding} text" if isinstance(error, UnicodeError) else " ".join(str(error).split())
        raise RecipeError(f"source '{spec.name}': {path.name} cannot be read: {said}") from error


_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def _texts(texts: list[str], spec: SourceSpec) -> list[str]:
    if spec.merge:
        texts = ["\n".join(texts)]
    if spec.polite:
        texts = [polite(text) for text in texts]
    return [part for text in texts for part in _SENTENCE.split(text)] if spec.sentences else texts


def _label(fields: dict[str, Any], spec: SourceSpec, path: Path) -> str | None:
    if spec.label is not None or spec.weak:
        return spec.label or ""
    if spec.label_column not in fields:
        raise RecipeError(
            f"source '{spec.name}': no label column '{spec.label_column}' in {path.name}: "
            f"it has {', '.join(map(str, fields))}"
        )
    value = str(fields[spec.label_column])
    return spec.labels.get(value) if spec.labels else value


def hangul_share(text: str) -> float:
    """Share of Hangul syllables among the letters of a text; 0 without letters."""
    letters = sum(char.isalpha() for char in text)
    return sum("가" <= char <= "힣" for char in text) / letters if letters else 0.0


def _open(path: Path, encoding: str) -> TextIO:
    options = {"encoding": encoding, "newline": "", "compression": "infer"}
    return cast(TextIO, LocalFileSystem().open(str(path.absolute()), "rt", **options))


def _table(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    # Only comma-separated files quote their fields; in the others a quotation mark is part of the text.
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if spec.delimiter == "," else csv.QUOTE_NONE
    with _open(path, spec.encoding) as stream:
        names = list(spec.columns) or None
        yield from csv.DictReader(stream, fieldnames=names, delimiter=spec.delimiter, quoting=quoting)


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


def _markdown(path: Path, spec: SourceSpec) -> Iterator[dict[str, Any]]:
    """Paragraphs as a reader of the rendered page sees them: no front matter, code blocks, markup or addresses."""
    text = path.read_text(spec.encoding).replace("\r\n", "\n")
    for pattern in (_FRONT, _FENCE, _COMMENT, _TAG, _IMAGE):
        text = pattern.sub("", text)
    text = _MARK.sub("", _LINK.sub(r"\1", text))
    for block in re.split(r"\n\s*\n", text):
        yield {"text": " ".join(block.split())}


_READERS: dict[str, Callable[[Path, SourceSpec], Iterator[dict[str, Any]]]] = {
    "table": _table,
    "jsonl": _jsonl,
    "json": _json,
    "conllu": _conllu,
    "lines": _lines,
    "paragraphs": _paragraphs,
    "markdown": _markdown,
}
