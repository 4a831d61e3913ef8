"""Measure how far answers lag behind Kafka."""

import math
from collections import Counter, deque

WINDOW = 60
"""The seconds that ``last_minute`` covers."""


class Freshness:
    """Latencies in milliseconds: those of the last minute, and all of them.

    A latency belongs to the second in which it was observed. It is rounded up to a
    whole millisecond, so it is never understated.
    """

    def __init__(self) -> None:
        self._all: Counter[int] = Counter()
        self._seconds: deque[tuple[int, Counter[int]]] = deque()

    def add(self, now: float, latency: float, messages: int) -> None:
        """Add messages that were all observed at ``now``, after ``latency`` seconds."""
        second = int(now)
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
            self._forget(now)
        milliseconds = max(0, math.ceil(latency * 1000))
        self._seconds[-1][1][milliseconds] += messages
        self._all[milliseconds] += messages

    def last_minute(self, now: float, *shares: float) -> tuple[int | None, ...]:
        """Return percentiles of the last minute: ``0.99`` is the p99."""
        self._forget(now)
        total: Counter[int] = Counter()
        for _, counted in self._seconds:
            total.update(counted)
        return percentiles(total, shares)

    def overall(self, *shares: float) -> tuple[int | None, ...]:
        """Return percentiles of everything that was added."""
        return percentiles(self._all, shares)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW:
            self._seconds.popleft()


def percentiles(
    counted: Counter[int], shares: tuple[float, ...]
) -> tuple[int | None, ...]:
    """Return the percentile for each share: ``0.5`` is the median.

    It is the least value that at least this share of the values doesn't exceed, or None
    if nothing was counted.
    """
    if not counted:
        return tuple(None for _ in shares)
    total = counted.total()
    found = []
    for share in shares:
        seen = 0
        for value in sorted(counted):
            seen += counted[value]
            if seen >= share * total:
                break
        found.append(value)
    return tuple(found)
