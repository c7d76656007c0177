"""`winnow publish`: the kept documents with their signals, optionally the rejects, and a card, to a folder or the hub.

The selection is counted against the run's accounting before anything is written, and the written rows against the
count before anything is declared complete.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from winnow.pipelines.console import say
from winnow.pipelines.results.publish import dataset
from winnow.pipelines.results.publish.card import Publication, card, declaration, winnow_version
from winnow.pipelines.results.publish.dataset import FILE_BYTES, KEPT_FILES, REJECT_FILES, Counts, DataFile
from winnow.pipelines.results.publish.folder import Folder
from winnow.pipelines.results.publish.hub import Hub
from winnow.pipelines.results.publish.licence import licence as parse_licence
from winnow.pipelines.results.publish.privacy import scrubbed
from winnow.pipelines.results.publish.target import CARD, DECLARATION, FORMAT, public_name
from winnow.pipelines.results.table import Run, RunError

HEAD_LINES = 40
"""Lines of the card that a dry run shows."""


def publish(
    run: Run,
    to: str,
    *,
    rejects: bool = False,
    private: bool = False,
    dry_run: bool = False,
    licence: str | None = None,
    console: Console,
    file_bytes: int = FILE_BYTES,
) -> None:
    """Publish a finished run to `hub:org/name`, a path or an fsspec URL; say on the console what was done.

    `rejects`: what was not kept, too. `private`: a new repository on the hub is private. `dry_run`: make everything,
    say what would be uploaded, write nothing and ask no network. `licence`: of the data. `file_bytes`: bytes of text,
    uncompressed, per file. Raises RunError, StoreError or OSError with one sentence.
    """
    with tempfile.TemporaryDirectory(prefix="winnow-publish-") as folder:
        target = parse_target(to, private, Path(folder), dry_run)
        stated = parse_licence(licence)
        counts = dataset.count(run)
        target.check()
        if not dry_run:
            target.begin()
        files: list[DataFile] = []
        place = Path(folder).joinpath if dry_run else target.place
        for file, local in _write(run, place, rejects, file_bytes):
            files.append(file)
            done = "would be written" if dry_run else target.took(file, local)
            say(f"{file.path}: {file.rows:,} rows, {file.bytes:,} bytes, {done}", console)
            if dry_run:
                local.unlink()
        _check(run, counts, files, rejects)
        about = Publication(run, public_name(to), counts, tuple(files), stated, licence, private)
        texts = {CARD: card(about).encode(), DECLARATION: declaration(run).encode()}
        if dry_run:
            _show(target.where, texts, files, console)
            finished = "dry run: nothing was written"
        else:
            finished = target.finish(texts, _manifest(run, counts, files, texts, rejects))
        if stated.hint:
            say(stated.hint, console)
        say(finished, console)


def parse_target(to: str, private: bool, scratch: Path, dry_run: bool) -> Folder | Hub:
    """The destination that `--to` names, with a local folder for what is on its way. Raises RunError. Asks nothing yet."""
    if to.startswith("hub:"):
        return Hub(to.removeprefix("hub:"), private, scratch, offline=dry_run)
    if re.match(r"(?:hf|huggingface|datasets?|https?)(?::|://)", to):
        raise RunError(
            f"--to {to}: expected hub:org/name for the Hugging Face hub, a path, or an fsspec URL such as s3://..."
        )
    if not to.strip():
        raise RunError("--to is empty: expected hub:org/name, a path, or an fsspec URL such as s3://...")
    if private:
        raise RunError(f"--private is about a dataset on the hub, but --to {to} is no hub:org/name")
    return Folder(to if "://" in to else str(Path(to).expanduser().resolve()), scratch)


def _write(run: Run, place: Callable[[str], Path], rejects: bool, file_bytes: int) -> Iterator[tuple[DataFile, Path]]:
    yield from dataset.write(dataset.kept(run), dataset.kept_schema(run), KEPT_FILES, place, file_bytes)
    if rejects:
        rows = dataset.rejects(run, scrubbed)
        yield from dataset.write(rows, dataset.rejects_schema(run), REJECT_FILES, place, file_bytes)


def _check(run: Run, counts: Counts, files: list[DataFile], rejects: bool) -> None:
    written = {prefix: sum(f.rows for f in files if f.path.startswith(prefix)) for prefix in (KEPT_FILES, REJECT_FILES)}
    expected = {KEPT_FILES: counts.kept, REJECT_FILES: counts.rejects if rejects else 0}
    for prefix, rows in expected.items():
        if written[prefix] != rows:
            raise RunError(
                f"{run.folder}: {rows:,} rows selected, {written[prefix]:,} written to {prefix}: the run changed meanwhile; "
                "the publication is not complete, publish again"
            )


def _manifest(
    run: Run, counts: Counts, files: list[DataFile], texts: dict[str, bytes], rejects: bool
) -> dict[str, Any]:
    entries: dict[str, dict[str, Any]] = {
        file.path: {"rows": file.rows, "bytes": file.bytes, "sha256": file.sha256} for file in files
    }
    for path, content in texts.items():
        entries[path] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    rows = {"kept": counts.kept, "copies": counts.copies} | ({"rejects": counts.rejects} if rejects else {})
    return {
        "format": FORMAT,
        "complete": True,
        "name": run.pipeline.name,
        "winnow": winnow_version(),
        "selection": run.accounting["digest"],
        "rows": rows,
        "files": entries,
    }


def _show(where: str, texts: dict[str, bytes], files: list[DataFile], console: Console) -> None:
    for path, content in texts.items():
        say(f"{path}: {len(content):,} bytes, would be written", console)
    head = texts[CARD].decode().splitlines()
    say("\n".join([f"\n{CARD} begins:\n", *(f"  {line}" for line in head[:HEAD_LINES])]), console)
    total = sum(file.bytes for file in files) + sum(map(len, texts.values()))
    say(f"  ... {max(0, len(head) - HEAD_LINES)} more lines\n", console)
    say(f"{len(files) + len(texts) + 1} files, {total:,} bytes, would go to {where}", console)
