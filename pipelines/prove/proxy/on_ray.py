"""Runs of proxies side by side: Ray tasks on this machine, or on the cluster that RAY_ADDRESS names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from winnow.pipelines.own_ray_options import QUIET, STARTS, own_ray_options
from winnow.pipelines.prove.proxy.prepare import Prepared
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.proxy.tier import ProxyTier
from winnow.pipelines.prove.scores import Scores, Unit
from winnow.pipelines.results.table import RunError

RETRIES = 2
"""How often a run is started again whose process died."""

MEMORY = {"MALLOC_TRIM_THRESHOLD_": "2000000000", "MALLOC_MMAP_THRESHOLD_": "2000000000"}
"""Of Ray's processes on this machine: else glibc gives each step's memory back and takes it again page by page, a tenth of
the time of a step."""

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Sent:
    """A tier whose runs are Ray tasks, so that `score` may be called from several threads at once."""

    tier: ProxyTier
    remote: Any
    files: Any

    @property
    def name(self) -> str:
        """As the tier's."""
        return self.tier.name

    @property
    def unit(self) -> Unit:
        """As the tier's."""
        return self.tier.unit

    @property
    def identity(self) -> str:
        """As the tier's."""
        return self.tier.identity

    def score(
        self, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]], folder: Path
    ) -> dict[str, Scores]:
        """As the tier's, in another process. Nothing is written to `folder`."""
        import ray

        given = {name: tuple(documents) for name, documents in targets.items()}
        try:
            found: dict[str, Scores] = ray.get(self.remote.remote(self.tier, self.files, tuple(texts), seed, given))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RunError):
                raise RunError(str(error.cause)) from error
            raise
        except ray.exceptions.RayError as error:
            raise RunError(
                f"{self.name}, seed {seed}: its process died {RETRIES + 1} times ({type(error).__name__}); if memory ran "
                "short there, end other programs; run again: what is measured is kept"
            ) from error
        return found


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where runs go. `workers`: how many fit side by side."""

    workers: int
    remote: Any

    def send(self, tier: ProxyTier) -> Sent:
        """The tier with its runs there."""
        import ray

        return Sent(tier, self.remote, ray.put(_files(tier.prepared.folder)))


@contextmanager
def on_ray(settings: ProxySettings) -> Iterator[Cluster]:
    """Ray, for runs of these settings. Raises RunError where it cannot be had or has not what a run needs."""
    import ray

    address = os.environ.get("RAY_ADDRESS") or None
    where = f"the cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
    mine = not ray.is_initialized()
    if mine:
        _start(address, where)
    try:
        there = cast(Any, ray).cluster_resources()
        (cpus, gpus), (all_cpus, all_gpus) = settings.resources, (int(there.get(kind, 0)) for kind in ("CPU", "GPU"))
        workers = min(all_cpus // cpus, all_gpus // gpus if gpus else all_cpus)
        if workers < 1:
            needed = f"{cpus} CPUs" + (f" and {gpus} GPU" if gpus else "")
            raise RunError(f"{where} has {all_cpus} CPUs and {all_gpus} GPUs; a run of these proxies needs {needed}")
        yield Cluster(workers, ray.remote(max_retries=RETRIES, num_cpus=cpus, num_gpus=gpus)(_carried))
    finally:
        if mine:
            ray.shutdown()


def _start(address: str | None, where: str) -> None:
    import ray

    if address is None:
        for name, value in MEMORY.items():
            os.environ.setdefault(name, value)
    options = own_ray_options() if address is None else QUIET
    for left in reversed(range(STARTS)):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray raises just that where one of its processes is not there in time
            ray.shutdown()
            if address is not None or not left:
                why = (str(error).splitlines() or [type(error).__name__])[0]
                raise RunError(f"cannot start {where}: {why}") from error


def _files(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _carried(
    tier: ProxyTier, files: Files, texts: Sequence[str], seed: int, targets: Mapping[str, Sequence[str]]
) -> dict[str, Scores]:
    """One run where the prepared folder of the driver may not be at hand."""
    with TemporaryDirectory(prefix="winnow-proxy-") as scratch:
        prepared = Path(scratch, "prepared")
        for name, content in files.items():
            path = prepared / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        there = replace(tier, prepared=Prepared(prepared, tier.prepared.digest))
        return there.score(texts, seed, targets, Path(scratch, "arm"))
