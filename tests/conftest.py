"""For all tests: hypothesis without deadlines, and the real data beside the checkout, which may be absent.

Tests get the data by the fixtures of this file alone, directly or by other fixtures, so pytest knows which ones may depend
on it: they carry the marker `data`. `WINNOW_TEST_DATA=FOLDER` names another place, and one that does not exist hides the
data: `WINNOW_TEST_DATA=/nowhere pytest -m data` runs all that could come out otherwise in a checkout without it.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hypothesis import HealthCheck, settings

# A busy machine makes examples slow, and nothing here measures time.
settings.register_profile(
    "winnow",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("winnow")

DATA = Path(os.environ.get("WINNOW_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def optional_data() -> Path | None:
    """The folder of real data; None where it is absent."""
    return DATA if DATA.is_dir() else None


@pytest.fixture(scope="session")
def data(optional_data: Path | None) -> Path:
    """The folder of real data. What asks for it is skipped where it is absent."""
    if optional_data is None:
        pytest.skip(f"needs the data folder: {DATA}")
    return optional_data


@pytest.fixture(scope="session")
def crawl_truth(data: Path) -> list[dict[str, Any]]:
    """What is known of each page of the mixed crawl: uri, lang, gold_text, ... Not to be changed."""
    with gzip.open(data / "crawl" / "web-mixed.truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session", autouse=True)
def commands_read_once() -> Iterator[None]:
    """Typer reads the signatures of all commands again for each that is called, which a process does once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", lru_cache(typer.main.get_command))
        yield


# Files that take longest, and those that mostly wait, which begin first, beside files that compute: so no process is left
# with one of them in the end. A process takes two files where the first has one test: the fifth comes after the first.
LONGEST = (
    "pipelines/test_documents.py",
    "pipelines/cluster/test_submit.py",
    "train_handoff/test_train.py",
    "pipelines/test_ray_dies.py",
    "pipelines/test_kernels.py",
    "pipelines/cluster/test_watch.py",  # it and the next share the cluster of test_submit.py while that is there
    "pipelines/cluster/test_watch_order.py",
    "train_handoff/test_command.py",
    "pipelines/test_on_ray.py",
    "pipelines/test_cluster.py",
    "pipelines/test_damaged.py",
    "pipelines/test_sample_run.py",
    "pipelines/test_prove_trained.py",
    "pipelines/test_crawl.py",
    "pipelines/test_selecting.py",
    "pipelines/test_odd_inputs.py",
    "pipelines/test_why.py",
    "test_extending.py",
    "pipelines/test_common_crawl.py",
    "pipelines/test_remember.py",
    "pipelines/test_publish.py",
    "pipelines/test_crash.py",
    "pipelines/test_proxy.py",
    "stages/test_hard_texts.py",
    "stages/test_sandbox.py",
    "stages/commoncrawl/test_client.py",
    "stages/commoncrawl/test_index.py",
    "filters/rules/test_rules.py",
)


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: many tests wait, for a cluster, a server or a process that they started or killed."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nearly nothing that is imported is garbage, ever: to look for it takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if optional_data.__name__ in getattr(item, "fixturenames", ()):
            item.add_marker("data")
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))
