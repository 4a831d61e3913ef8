"""When things happen in the shop."""

from collections.abc import Iterator
from math import cos, pi
from random import Random

DAY = 86_400
QUIETEST = 4 * 3600
SWING = 0.25


def diurnal_rate(moment: float) -> float:
    """How busy the shop is at a time (seconds since 1970), on average 1.

    It is quietest at 04:00 and busiest at 16:00 UTC.
    """
    return 1 - SWING * cos(2 * pi * (moment - QUIETEST) / DAY)


def schedule(
    random: Random, start: float, end: float, rate: float, rate_at: float
) -> Iterator[int]:
    """Yield the milliseconds since 1970 at which events happen, in their order.

    Start and end are seconds since 1970; `rate` is the events per second at the
    time `rate_at`, from which it follows the day. Over each second the number of
    events is the rate's, to one event; nothing adds up over time.
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
