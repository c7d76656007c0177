"""Which snapshots a watch is about, and the settings of a declaration for each."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase

from winnow.pipelines.cluster.bundle import absolute, local
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.stages.base import StageError
from winnow.stages.commoncrawl import snapshots as crawl
from winnow.stages.source import Source

LATEST = "latest"


def watched_source(pipeline: Pipeline) -> Source | None:
    """The source of a declaration whose crawl comes in snapshots, None where there is none. Raises RunError for several."""
    declared = [pipeline.sources[name] for name in pipeline.tree["sources"]]
    found = [source for source in declared if "snapshot" in type(source.settings).model_fields]
    if len(found) > 1:
        names = ", ".join(source.name for source in found)
        raise RunError(f"sources: {names} all come in snapshots; expected one such source in a declaration to watch")
    return found[0] if found else None


def named_snapshot(pipeline: Pipeline) -> str | None:
    """The one snapshot that a declaration names in full, None where it names none or means several."""
    source = watched_source(pipeline)
    named = crawl.explicit(source.settings.snapshot) if source else None
    return named[0] if named is not None and len(named) == 1 else None


class Listing:
    """The snapshots to run, in order. State: the list as it was last fetched, and when."""

    def __init__(self, pipeline: Pipeline, wanted: str | None = None, every: float = 0.0) -> None:
        """`wanted`: in place of the declaration's own `snapshot`, with commas between several. `every`: seconds for which
        a fetched list is good. Raises StageError for what can be no snapshot."""
        source = watched_source(pipeline)
        if source is None:
            raise RunError(
                f"{pipeline.path}: no source comes in snapshots, so there is nothing to watch for; expected one such as "
                "crawl: {use: commoncrawl}, or: winnow submit"
            )
        own = source.settings.snapshot
        self.source = source
        self.spec = (
            [one.strip() for one in wanted.split(",")] if wanted else [own] if isinstance(own, str) else list(own)
        )
        for one in self.spec:
            crawl.check_snapshot(one)
        self.every, self.fetched, self.listed = every, float("-inf"), list[str]()
        self.indexes = [
            name for name, node in pipeline.nodes.items() if "known" in type(node.stage.settings).model_fields
        ]
        if len(self.indexes) > 1:
            raise RunError(
                f"{pipeline.path}: {', '.join(self.indexes)} each keep an index of duplicates; expected one such stage in a "
                "declaration to watch, so that a snapshot has one index"
            )
        self.declared = {name: list(pipeline.nodes[name].stage.settings.known or ()) for name in self.indexes}

    @property
    def chained(self) -> bool:
        """Whether a snapshot waits for the one before, because it leaves out what that one holds."""
        return bool(self.indexes)

    def since(self) -> str | None:
        """The snapshot that a watch for `latest` starts with: the latest there is now. None where it is not for that."""
        if LATEST not in self.spec:
            return None
        listed = self._fetch()
        if not listed:
            raise RunError(f"sources.{self.source.name}: there is no snapshot at all yet, so none is the latest")
        return listed[-1]

    def wanted(self, since: str | None) -> list[str]:
        """Names of the snapshots, oldest first. `latest` means all from `since` on. An open range may mean none yet."""
        named = crawl.explicit(self.spec)
        if named is not None:
            return named
        listed = self._fetch()
        found = {name for one in self.spec if one != LATEST for name in self._meant(one, listed)}
        if since is not None and LATEST in self.spec:
            ordered = crawl.explicit([*listed, since])  # it may not be listed any more
            assert ordered is not None, "both are from a list of snapshots"
            found.update(ordered[ordered.index(since) :])
        return [name for name in listed if name in found]

    def assignments(self, snapshot: str, known: Sequence[str]) -> list[str]:
        """The overrides for one snapshot. `known`: the duplicate indexes of those before it."""
        sets = [f"sources.{self.source.name}.snapshot={json.dumps(snapshot)}"]
        return sets + [
            f"stages.{name}.known={json.dumps([*self.declared[name], *known], ensure_ascii=False)}"
            for name in self.indexes
        ]

    def check_known(self, own: str) -> None:
        """Raises RunError where what the declaration itself names takes in `own`, the index that a snapshot leaves: its
        next attempt would find everything to be a duplicate of itself."""
        for name, places in self.declared.items():
            for place in places:
                whole = absolute(place).rstrip("/") if local(place) else place.rstrip("/")
                if any(fnmatchcase(one, whole) for one in (own, own.rpartition("/")[0])):
                    raise RunError(
                        f"stages.{name}.known: '{place}' takes in {own}, which is made from the snapshot itself; expected "
                        "others only, since a watch adds those of the snapshots before"
                    )

    def _meant(self, one: str, listed: Sequence[str]) -> list[str]:
        try:
            return crawl.chosen([one], listed)
        except StageError:
            if one.endswith(".."):
                return []
            raise

    def _fetch(self) -> list[str]:
        """Every snapshot that there is, oldest first."""
        now = time.monotonic()
        if now - self.fetched >= self.every:
            settings = self.source.settings
            url = settings.collections or crawl.collections_at(settings.endpoint)
            self.listed, self.fetched = crawl.known(url, settings.fetch), now
        return self.listed
