"""A run whose inputs and folder are on object storage, over real HTTP, is the run that it is on a disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import winnow
from winnow.pipelines.progress import Progress
from winnow.pipelines.run import open_run

pytest.importorskip("s3fs", reason="needs the s3 extra")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("winnow-test")
    yield "s3://winnow-test"
    server.stop()


def test_object_storage_gives_the_same_digests(recipe: Path, bucket: str) -> None:
    quiet = Progress(quiet=True)
    on_disk = winnow.run(recipe, folder=recipe.parent / "run", local=True, progress=quiet)
    fs = fsspec.filesystem("s3")
    fs.put(f"{recipe.parent}/in/", f"{bucket}/in/", recursive=True)
    sets = [f'sources.docs.paths=["{bucket}/in/*.jsonl"]']
    remote = winnow.run(recipe, sets, folder=f"{bucket}/run", local=True, progress=quiet)
    assert remote.accounting["digest"] == on_disk.accounting["digest"]
    manifests = []
    for run in (on_disk, remote):
        with fsspec.open(f"{run.shards}/manifest.json", "rb") as file:
            manifests.append(json.load(file))
    assert manifests[0] == manifests[1]
    again = winnow.run(recipe, sets, folder=f"{bucket}/run", local=True, progress=quiet)
    assert again.did_nothing
    documents = open_run(f"{bucket}/run").documents().collect()
    assert documents.equals(on_disk.documents().collect())
