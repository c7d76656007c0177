"""Which snapshots there are, which of them a declaration means, and what files each one has.

`collinfo.json` lists the snapshots, `crawl-data/<snapshot>/<kind>.paths.gz` the files of one kind, a path to a line
(https://data.commoncrawl.org/).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence

import orjson
import pyarrow as pa
import xxhash

from winnow.nearest import nearest
from winnow.stages.base import StageError
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import FetchError, NotThere, Politeness
from winnow.stages.source import Kept

PUBLIC = "https://data.commoncrawl.org"
PUBLIC_COLLECTIONS = "https://index.commoncrawl.org/collinfo.json"
_HOMES = ("https://data.commoncrawl.org", "http://data.commoncrawl.org", "s3://commoncrawl")

_ID = re.compile(r"CC-MAIN-(\d{4})(?:-(\d{2})|-\d{4})?\Z")
_BOUND = re.compile(r"(?:CC-MAIN-)?(\d{4})(?:-(\d{2}))?\Z")
_FIRST, _LAST = (0, 0), (9999, 99)

Week = tuple[int, int]


def home(endpoint: str) -> str:
    """What stands for an endpoint in names of kept tables: all public ones have the same files."""
    plain = endpoint.rstrip("/")
    return "commoncrawl" if plain in _HOMES else f"commoncrawl-{xxhash.xxh3_64_hexdigest(plain)}"


def collections_at(endpoint: str) -> str:
    """The URL of `collinfo.json` that goes with an endpoint: the public one, or the one at a mirror's root."""
    plain = endpoint.rstrip("/")
    return PUBLIC_COLLECTIONS if plain in _HOMES else f"{plain}/collinfo.json"


def known(url: str, politeness: Politeness) -> list[str]:
    """The ids in a `collinfo.json`, oldest first. Raises StageError."""
    folder, _, name = url.rpartition("/")
    with open_fetcher(folder or ".", politeness) as fetcher:
        content = fetcher.read(name)
    try:
        ids = [str(entry["id"]) for entry in orjson.loads(content)]
    except (orjson.JSONDecodeError, TypeError, KeyError) as failure:
        raise StageError(f"{url} is no list of snapshots: expected a JSON array of objects with an `id`") from failure
    return sorted((id for id in ids if _ID.match(id)), key=lambda id: (_week(id), id))


def explicit(wanted: Sequence[str]) -> list[str] | None:
    """The snapshots where each is named in full, oldest first, without asking anybody; None where one is not."""
    if all(_ID.match(one) for one in wanted):
        return sorted(set(wanted), key=lambda id: (_week(id), id))
    return None


def chosen(wanted: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The snapshots that are meant, oldest first, each once. `ids`: those there are, oldest first. Raises StageError
    for one that is not there, with the nearest."""
    found: set[str] = set()
    for one in wanted:
        found.update(_meant(one, ids))
    return [id for id in ids if id in found]


def check_snapshot(one: str) -> None:
    """Raises StageError for what can be no snapshot, whichever there are."""
    first, dots, last = one.partition("..")
    bounds = [bound for bound in (first, last) if bound] if dots else [first]
    if one in ("latest", "..") or (bounds and all(_ID.match(b) or _BOUND.match(b) for b in bounds)):
        return
    raise StageError(
        f"'{one}' is no snapshot; expected CC-MAIN-2026-43, 2026-43, a year, latest, or a range such as 2024.. or "
        "2024-10..2025-05"
    )


def listed(kept: Kept, endpoint: str, snapshot: str, kind: str, politeness: Politeness) -> list[str]:
    """Paths of a snapshot's files of a kind (`cc-index-table`, `warc`, `wet`), in the list's order. Raises StageError."""
    name = listing(endpoint, snapshot, kind)

    def read() -> pa.Table:
        path = f"crawl-data/{snapshot}/{kind}.paths.gz"
        try:
            with open_fetcher(endpoint, politeness) as fetcher:
                lines = gzip.decompress(fetcher.read(path)).decode().split("\n")
        except NotThere as failure:
            raise FetchError(f"snapshot {snapshot} has no list of {kind} files: {failure}") from failure
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as failure:
            raise FetchError(f"{endpoint.rstrip('/')}/{path} is no gzip list of paths: {failure}") from failure
        return pa.table({"path": pa.array([line.strip() for line in lines if line.strip()], pa.string())})

    kept.make({name: read})
    return list(kept.read(name).column("path").to_pylist())


def listing(endpoint: str, snapshot: str, kind: str) -> str:
    """The name of the kept table of a snapshot's files of a kind."""
    return f"{home(endpoint)}/{snapshot}/{kind}.paths"


def _meant(one: str, ids: Sequence[str]) -> list[str]:
    if one == "latest" and ids:
        return [ids[-1]]
    first, dots, last = one.partition("..")
    if not dots and one in ids:
        return [one]
    if dots:
        low, high = _bound(first, _FIRST, 0), _bound(last, _LAST, 99)
    elif _BOUND.match(one):
        low, high = _bound(one, _FIRST, 0), _bound(one, _LAST, 99)
    else:
        low, high = _LAST, _FIRST
    found = [id for id in ids if low <= _week(id) <= high]
    if not found:
        raise StageError(f"no snapshot '{one}'{_near(one, ids)}")
    return found


def _week(id: str) -> Week:
    found = _ID.match(id)
    return (int(found[1]), int(found[2] or 0)) if found else _FIRST


def _bound(text: str, absent: Week, week: int) -> Week:
    """A bound of a range; a year alone is its first or last week."""
    found = _BOUND.match(text)
    return (int(found[1]), int(found[2] or week)) if found else absent


def _near(one: str, ids: Sequence[str]) -> str:
    if not ids:
        return "; there is none at all"
    asked = _bound(one.partition("..")[0], _FIRST, 0)
    if asked == _FIRST:
        near = nearest(one, ids, 0.0)
    else:
        near = min(ids, key=lambda id: abs(_week(id)[0] * 53 + _week(id)[1] - asked[0] * 53 - asked[1]))
    return f"; nearest: '{near}', there are {len(ids)} from {ids[0]} to {ids[-1]}"
