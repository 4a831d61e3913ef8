"""How long answers lag behind Kafka."""

import math
from collections import Counter, deque

WINDOW = 60
"""Seconds."""


class Freshness:
    """Latencies in milliseconds, those of the last minute and those of all time.

    A latency belongs to the second in which it was seen, and is counted to the next
    whole millisecond, so that it is never understated.
    """

    def __init__(self) -> None:
        self._all: Counter[int] = Counter()
        self._seconds: deque[tuple[int, Counter[int]]] = deque()

    def add(self, now: float, latency: float, messages: int) -> None:
        """Count messages that were all seen ``now``, after ``latency`` seconds."""
        second = int(now)
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
            self._forget(now)
        milliseconds = max(0, math.ceil(latency * 1000))
        self._seconds[-1][1][milliseconds] += messages
        self._all[milliseconds] += messages

    def last_minute(self, now: float, *shares: float) -> tuple[int | None, ...]:
        """The latencies that such shares of the messages did not exceed."""
        self._forget(now)
        total: Counter[int] = Counter()
        for _, counted in self._seconds:
            total.update(counted)
        return percentiles(total, shares)

    def overall(self, *shares: float) -> tuple[int | None, ...]:
        """The same over everything that was added."""
        return percentiles(self._all, shares)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW:
            self._seconds.popleft()


def percentiles(
    counted: Counter[int], shares: tuple[float, ...]
) -> tuple[int | None, ...]:
    """The least value that each share of what was counted is at most; None of none."""
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
