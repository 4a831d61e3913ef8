"""When events happen in the shop."""

from collections.abc import Iterator
from math import cos, pi
from random import Random

DAY = 86_400
"""A day in seconds."""
QUIETEST = 4 * 3600
"""The time of day in UTC, in seconds."""
SWING = 0.25
"""How far the rate deviates from its average, as a share of it."""


def diurnal_rate(moment: float) -> float:
    """Return how busy the shop is at a time (seconds since 1970); 1 on average.

    It is quietest at 04:00 and busiest at 16:00 UTC.
    """
    return 1 - SWING * cos(2 * pi * (moment - QUIETEST) / DAY)


def schedule(
    random: Random, start: float, end: float, rate: float, rate_at: float
) -> Iterator[int]:
    """Yield the times of events in order, in milliseconds since 1970.

    `start` and `end` are seconds since 1970. `rate` is in events per second at the time
    `rate_at`, and follows the time of day from there. The number of events in each
    second is exact to one event, and the difference doesn't add up over time.
    """
    average_rate = rate / diurnal_rate(rate_at)
    seconds = 0
    owed = 0.0
    while (begin := start + seconds) < end:
        length = min(1.0, end - begin)
        owed += average_rate * diurnal_rate(begin) * length
        count = int(owed + 1e-9)
        owed -= count
        slot = length / count if count else length
        for number in range(count):
            yield int((begin + (number + random.random()) * slot) * 1000)
        seconds += 1
