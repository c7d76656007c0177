"""How long one thing is tried: attempts, waits between them, and the sentence at the end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from winnow.stages.commoncrawl.fetching import FetchError, Politeness, Traffic
from winnow.stages.commoncrawl.limits import Pace

LONGEST_BACKOFF = 120.0
LONGEST_RETRY_AFTER = 600.0
"""Seconds. A host that asks for more is asked again after this."""

PROGRESS = 256 * 1024
"""Bytes that came after which attempts are counted anew: a long file may break more often than a short one."""

_dice = random.Random()  # its own, so that nobody else's seeded draws depend on how often a host failed


class Patience:
    """One thing that is being fetched. State: how often it failed since it last got on."""

    def __init__(self, what: str, politeness: Politeness, pace: Pace, traffic: Traffic, stop: threading.Event) -> None:
        self.what, self.politeness, self.pace, self.traffic, self.stop = what, politeness, pace, traffic, stop
        self.failed_times = self.failed_ever = self.moved = 0
        self.began = time.monotonic()

    def ask(self) -> None:
        """Waits until a request may be sent, and counts it. Raises limits.Stopped where it is not wanted any more."""
        self.pace.wait(self.politeness.requests_per_second, self.stop)
        self.traffic.add(requests=1)

    def got(self, size: int) -> None:
        """So many bytes came."""
        self.traffic.add(bytes=size)
        self.moved += size
        if self.moved >= PROGRESS:
            self.failed_times = self.moved = 0

    def failed(self, cause: str, retry_after: float | None = None, slow: bool = False) -> None:
        """Waits for the next attempt, or raises FetchError after the last. `slow`: the host wants all to wait."""
        self.failed_times += 1
        self.failed_ever += 1
        if self.failed_times >= self.politeness.attempts:
            seconds = time.monotonic() - self.began
            raise self.given_up(f"{cause} (tried {self.failed_ever} times in {seconds:.0f} s)")
        delay = max(retry_after or 0.0, jittered(self.politeness.backoff, self.failed_times))
        if slow:
            self.pace.hold(delay, self.politeness.requests_per_second)
        self.traffic.add(retries=1)
        self.stop.wait(delay)

    def given_up(self, cause: str, kind: type[FetchError] = FetchError) -> FetchError:
        """The error to raise for what no further attempt would mend."""
        self.traffic.add(failures=1)
        return kind(f"{self.what}: {cause}")


def jittered(backoff: float, failures: int) -> float:
    """Seconds before the next attempt: anything from 0 to a bound that doubles, so that clients spread."""
    return _dice.uniform(0, min(LONGEST_BACKOFF, backoff * 2 ** min(failures - 1, 30)))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date by the host's own clock; capped."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(LONGEST_RETRY_AFTER, float(value))
    try:
        then = parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None
    try:
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        now = time.time()
    return min(LONGEST_RETRY_AFTER, max(0.0, then - now))
