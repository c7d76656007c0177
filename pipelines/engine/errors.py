"""What ends a command, and what a person reads of it: one sentence with the place and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from winnow.pipelines.engine.store import StoreError
from winnow.stages.reading.files import public, reason_of, server_errors


class RunError(Exception):
    """A run that cannot go on: one sentence with the figures."""


FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
CLOSED = frozenset([errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST])


def disk_sentence(error: OSError, folder: str | None = None) -> str | None:
    """What a full disk, a read-only folder or a folder that is none means; None for another error. `folder`: where a run
    writes, for errors that do not say where."""
    named = error.filename if isinstance(error.filename, str) else None
    above = bool(folder and named and folder.startswith(named.rstrip("/") + "/"))  # which may have to be made first
    if folder and named and not above and not named.startswith(folder.rstrip("/")):
        folder = None  # it is about something else
    unmade = error.errno == errno.ENOENT and folder is not None and named == folder.rstrip("/")
    if isinstance(error, StoreError) or not (unmade or error.errno in FULL | CLOSED):
        return None
    place = folder if named is None or above or (folder and named.startswith(folder)) else str(Path(named).parent)
    if place is None and error.errno in FULL:
        return f"{error.strerror}: what this command writes or prints has no room there"
    where = f"{place}: " if place else ""
    if error.errno in FULL:
        why = (
            "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or "no more can be written").lower()
        )
        return f"{where}{why}; make room there, or choose another folder (--folder), and run again: it goes on where it stopped"
    if folder is None and error.errno != errno.EROFS:  # it may have been read
        return f"{named}: {(error.strerror or 'refused').lower()}" if named else None
    about = f" ({named})" if named and named != place else ""
    why = (error.strerror or "refused").lower()
    return f"{where}cannot be written to{about}: {why}; choose another folder (--folder), or let it be written to"


@contextmanager
def in_folder(folder: str) -> Iterator[None]:
    """Says of an error of the disk which folder it is about. Raises RunError."""
    try:
        yield
    except OSError as error:
        said = disk_sentence(error, folder)
        if said is None:
            raise
        raise RunError(said) from error


def sentence(error: BaseException) -> str:
    """One line for people, without what opens an address. Sentences of ours may be several."""
    said = disk_sentence(error) if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        asked = " ".join(str(error).split())[:200]
        said = (
            f"memory ran out{f' ({asked})' if asked else ''}; use fewer --workers, give what takes much of it `memory:` (such as "
            "4GiB) or more room, and run again: what is done stays done"
        )
    if said is None and isinstance(error, server_errors()):
        said = f"a server cannot be reached: {reason_of(error)}"
    return public(said or str(error) or type(error).__name__)
