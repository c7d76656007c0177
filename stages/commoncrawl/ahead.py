"""Several reads at a time, given in order, a few ahead and no more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from winnow.stages.commoncrawl.fetching import FetchError, Range


def in_order(
    wanted: Sequence[Range], one: Callable[[Range, threading.Event], bytes], ahead: int
) -> Iterator[tuple[Range, bytes | FetchError]]:
    """Each range with what `one` gives, or the FetchError that it raises. At most `ahead` of them are being read or
    wait to be taken. Whoever stops iterating sets the event that `one` is given."""
    stop = threading.Event()
    rest = iter(wanted)
    running: deque[tuple[Range, Future[bytes]]] = deque()
    with ThreadPoolExecutor(ahead, "fetch") as threads:
        try:
            while True:
                while len(running) < ahead and (item := next(rest, None)) is not None:
                    running.append((item, threads.submit(one, item, stop)))
                if not running:
                    return
                item, future = running.popleft()
                yield item, _outcome(future)
        finally:
            stop.set()
            for _, future in running:
                future.cancel()


def _outcome(future: Future[bytes]) -> bytes | FetchError:
    try:
        return future.result()
    except FetchError as error:
        return error
