"""What `winnow publish` sends to a hub is what the run selected: the real client against a server on this machine."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.results.publish.publish import publish
from winnow.pipelines.results.table import Run


def _beside(name: str) -> Any:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


hub_server, published_run = _beside("hub_server"), _beside("published_run")
finished_run, said, expected, tree = (
    published_run.finished_run,
    published_run.said,
    published_run.expected,
    published_run.tree,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished_run(tmp_path_factory.mktemp("secret-project"))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A hub on this machine, with a token that may write."""
    server = hub_server.HubServer()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", hub_server.WRITER)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # its storage is not spoken here
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    yield server
    server.close()


def from_hub(files: dict[str, bytes], prefix: str) -> pl.DataFrame:
    paths = sorted(path for path in files if path.startswith(prefix))
    return pl.concat(pl.DataFrame(pq.read_table(io.BytesIO(files[path]))) for path in paths)


def test_the_hub_holds_what_was_selected(done: Run, hub: Any, tmp_path: Path, console: Console) -> None:
    publish(done, "hub:lab/corpus", rejects=True, private=True, console=console, file_bytes=20_000)
    repository = hub.repositories["lab/corpus"]
    assert repository.private and len(repository.commits) == 2
    assert from_hub(repository.files, "data/").equals(expected(done))
    assert len(from_hub(repository.files, "rejects/")) == 99 - done.accounting["kept"]
    publish(done, str(tmp_path), rejects=True, console=console, file_bytes=20_000)
    here = {path: (tmp_path / path).read_bytes() for path in tree(tmp_path)}
    parquet = {path: content for path, content in here.items() if path.endswith(".parquet")}
    assert {path: content for path, content in repository.files.items() if path.endswith(".parquet")} == parquet
    assert repository.large == set(parquet)
    card = repository.files["README.md"].decode()
    assert 'load_dataset("lab/corpus", "kept"' in card and "--to hub:lab/corpus --rejects --private" in card
    assert "commit/" in said(console)


def test_publishing_again_sends_nothing(done: Run, hub: Any, console: Console) -> None:
    publish(done, "hub:lab/corpus", console=console)
    sent = hub.uploads()
    publish(done, "hub:lab/corpus", console=console)
    assert hub.uploads() == sent and len(hub.repositories["lab/corpus"].commits) == 2
    assert "there already" in said(console) and "nothing to do" in said(console)


def test_an_interrupted_upload_goes_on_where_it_stopped(done: Run, hub: Any, console: Console) -> None:
    hub.refuse_uploads_after = 1
    with pytest.raises(RunError, match=r"hub:lab/corpus: data/kept-00001\.parquet cannot be uploaded.*out of order"):
        publish(done, "hub:lab/corpus", console=console, file_bytes=4000)
    assert set(hub.repositories["lab/corpus"].files) == {".gitattributes"}
    hub.refuse_uploads_after = None
    first = hub.uploads()[0]
    publish(done, "hub:lab/corpus", console=console, file_bytes=4000)
    assert hub.uploads().count(first) == 1
    assert from_hub(hub.repositories["lab/corpus"].files, "data/").equals(expected(done))


def test_a_new_selection_replaces_the_old_in_one_commit(done: Run, hub: Any, console: Console) -> None:
    publish(done, "hub:lab/corpus", rejects=True, console=console, file_bytes=4000)
    repository = hub.repositories["lab/corpus"]
    repository.files["LICENSE"] = b"mine"
    repository.files["README.md"] += b"and a word of mine"
    publish(done, "hub:lab/corpus", console=console)
    assert "README.md had been edited there" in said(console)
    assert len(repository.commits) == 3
    assert set(repository.files) == {
        *(".gitattributes", "LICENSE", "README.md", "pipeline.yaml", "dataset.json", "data/kept-00000.parquet"),
    }
    assert from_hub(repository.files, "data/").equals(expected(done))


def test_a_hub_that_stores_parquet_as_plain_files(done: Run, hub: Any, console: Console) -> None:
    hub.large_suffixes = (".bin",)
    publish(done, "hub:tester/corpus", console=console)
    assert from_hub(hub.repositories["tester/corpus"].files, "data/").equals(expected(done))
    publish(done, "hub:tester/corpus", console=console)


def test_a_repository_that_is_not_ours_or_not_private_is_refused(done: Run, hub: Any, console: Console) -> None:
    hub.create("lab/theirs", **{"train.csv": b"a,b"})
    with pytest.raises(RunError, match=r"already holds train\.csv, and no dataset\.json"):
        publish(done, "hub:lab/theirs", console=console)
    hub.create("lab/odd", **{"dataset.json": b"[]"})
    with pytest.raises(RunError, match="already holds"):
        publish(done, "hub:lab/odd", console=console)
    hub.create("lab/public")
    with pytest.raises(RunError, match="is public, so --private cannot hold"):
        publish(done, "hub:lab/public", private=True, console=console)
    assert not hub.uploads()
    publish(done, "hub:lab/public", console=console)
    assert from_hub(hub.repositories["lab/public"].files, "data/").equals(expected(done))


def test_a_dry_run_asks_the_hub_nothing(done: Run, hub: Any, console: Console) -> None:
    publish(done, "hub:lab/corpus", dry_run=True, console=console)
    assert hub.requests == []
    assert "would go to hub:lab/corpus" in said(console)


def test_what_the_hub_refuses_is_one_sentence(
    done: Run, hub: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(to: str) -> str:
        with pytest.raises(RunError) as caught:
            publish(done, to, console=console)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "HTTP 403" in refused("hub:elsewhere/corpus") and "rights to write" in refused("hub:elsewhere/corpus")
    monkeypatch.setenv("HF_TOKEN", hub_server.READER)
    assert "cannot be created (HTTP 403)" in refused("hub:lab/corpus")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "does not take the token (HTTP 401)" in refused("hub:lab/corpus")
    monkeypatch.delenv("HF_TOKEN")
    assert "no token: set HF_TOKEN" in refused("hub:lab/corpus")
    monkeypatch.setenv("HF_TOKEN", hub_server.WRITER)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in refused("hub:lab/corpus")
    assert not hub.uploads()


def test_a_commit_of_someone_else_in_between_is_not_overwritten(
    done: Run, hub: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    from winnow.pipelines.results.publish.hub import Hub

    repository = hub.create("lab/corpus")
    took = Hub.took

    def and_meanwhile(self: Any, file: Any, local: Any) -> str:
        repository.commit("someone else")
        return took(self, file, local)

    monkeypatch.setattr(Hub, "took", and_meanwhile)
    with pytest.raises(RunError, match=r"the commit was refused.*A commit has happened since"):
        publish(done, "hub:lab/corpus", console=console)
    assert set(repository.files) == {".gitattributes"}


def test_a_hub_without_xet_storage_says_what_to_set(
    done: Run, hub: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hf_xet", reason="needs the hub extra")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    with pytest.raises(RunError, match="needs HF_HUB_DISABLE_XET=1"):
        publish(done, "hub:lab/corpus", console=console)
