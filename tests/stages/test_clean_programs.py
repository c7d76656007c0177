"""Edit programs find their document by its id or by the id that its source has for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import winnow
from winnow.filters.edits import apply_column
from winnow.filters.languages import language_pack
from winnow.pipelines.engine.progress import Progress
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED, StageError
from winnow.stages.clean import Clean
from winnow.stages.reading.batches import identity

LONG = "\n".join(f"{i}번째 문장은 이렇게 길게 씁니다." for i in range(6))
WITHOUT_FIRST = LONG.split("\n", 1)[1]


def stage(*files: Path) -> Clean:
    settings = Clean.Settings(programs=tuple(map(str, files)))
    return Clean(name="clean", settings=settings, pack=language_pack("ko"))


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return path


def outcomes(clean: Clean, ids: list[str]) -> list[tuple[str, str]]:
    """Verdict and text after it, of LONG under each document id."""
    rows = [dict.fromkeys(DOCUMENT_SCHEMA.names) | {"id": id, "source": "test", "text": LONG} for id in ids]
    documents = pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    found = clean.measure(documents)
    after = apply_column(documents.column("text"), found.column(EDITED)).to_pylist()
    return list(zip(found.column("program").to_pylist(), after, strict=True))


@pytest.mark.parametrize("key", ["d0", 17, "5d41402abc4b2a76b9719d911017c592", "문서 1"])
def test_a_program_finds_its_document_by_either_id(tmp_path: Path, key: str | int) -> None:
    made = identity(str(key))
    for name, id in (("own", key), ("made", made)):
        file = written(tmp_path / f"{name}.jsonl", {"id": id, "program": "remove_lines(0, 0)"})
        assert outcomes(stage(file), [made, identity("other")]) == [("edited", WITHOUT_FIRST), ("none", LONG)]


def test_ids_of_parquet_files_may_be_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [17], "program": ["remove_lines(0, 0)"]}), path)
    assert outcomes(stage(path), [identity("17")]) == [("edited", WITHOUT_FIRST)]


@pytest.mark.parametrize("turned", [False, True])
def test_two_programs_for_one_document_by_both_ways_are_refused(tmp_path: Path, turned: bool) -> None:
    keys = ["d0", identity("d0")]
    rows = [{"id": key, "program": "keep_doc()"} for key in (keys[::-1] if turned else keys)]
    with pytest.raises(StageError, match=r"line 2: document '\w+' has a program already.*: expected one a document"):
        stage(written(tmp_path / "a.jsonl", *rows)).artifacts()


def test_a_run_over_a_source_with_ids_carries_its_programs_out(tmp_path: Path) -> None:
    written(tmp_path / "docs.jsonl", *({"id": f"d{i}", "text": LONG} for i in range(2)))
    written(tmp_path / "edits.jsonl", {"id": "d0", "program": "remove_lines(0, 0)"})
    declaration = tmp_path / "own.yaml"
    declaration.write_text(
        f"""name: own
language: ko
sources:
  docs: {{use: jsonl, id: id, paths: ["{tmp_path}/docs.jsonl"]}}
stages:
  clean: {{use: clean, programs: "{tmp_path}/edits.jsonl"}}
""",
        "utf-8",
    )
    run = winnow.run(declaration, folder=tmp_path / "runs/own", local=True, progress=Progress(quiet=True))
    found = dict(run.documents().select("id", "text").collect().iter_rows())
    assert found == {identity("d0"): WITHOUT_FIRST, identity("d1"): LONG}
