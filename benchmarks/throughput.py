"""The number of events per second that the stack carries without falling behind."""

import time
from collections.abc import Callable
from statistics import linear_regression, median

from benchmarks.findings import Section
from benchmarks.stage import Lag, Stage, staged, used_between

ASKED = 20_000
STEPS = (10_000, 15_000, 20_000, 25_000, 30_000, 40_000)
WARM_UP = 10
"""Seconds at the rate before measuring: tables start empty and the JVM cold."""


def throughput(quick: bool, say: Callable[[str], None]) -> Section:
    """Send 20,000 events/s for a minute, then other rates for a third of that time.

    Samples the lag once a second: the messages that Kafka holds and PostgreSQL doesn't.
    The stack carries a rate if PostgreSQL stores at least 99 % of it and the lag,
    fitted by least squares, grows by less than a second's events per minute. "Waited
    for" is the share of each second in which the connector's session was ready to run
    while other processes had the cores. If that is large, the machine is too slow, not
    the stack.
    """
    section = Section("throughput")
    seconds = 15 if quick else 60
    with staged() as stage:
        say(f"{ASKED:,} events/s for {seconds} s, after {WARM_UP} s")
        main = _Run(stage, ASKED, seconds)
        section.series["asked"] = main.as_json()
        section.add(
            f"carried of {ASKED:,} events/s",
            main.carried,
            "events/s",
            target="lag not growing",
            met=main.sustained,
        )
        section.add("lag, median", main.lag_median, "events")
        section.add("lag, most", main.lag_most, "events")
        section.add("lag's growth", main.lag_growth, "events/s")
        section.add("until all is stored, then", main.drain_seconds, "s")
        section.add("written ahead by PostgreSQL", main.wal_per_event, "bytes/event")
        if main.queued is not None:
            section.add("PostgreSQL, connector: waited for", main.queued, "cores")
        for part, used in main.cpu.items():
            section.add(f"{part}: used", used / main.seconds, "cores")
        best = ASKED if main.sustained else 0
        steps = [rate for rate in STEPS if (rate > ASKED) == main.sustained]
        for rate in steps if main.sustained else reversed(steps):
            if rate == ASKED:
                continue
            say(f"{rate:,} events/s")
            run = _Run(stage, rate, seconds // 3)
            section.series[str(rate)] = run.as_json()
            if run.sustained:
                best = rate
            if run.sustained != main.sustained:
                break
        section.add("highest rate carried of those tried", best, "events/s")
    return section


class _Run:
    """A run at one rate for ``seconds``, and its results."""

    def __init__(self, stage: Stage, rate: int, seconds: int) -> None:
        self.asked = rate
        before = stage.lag().stored
        with stage.generator(rate, WARM_UP + seconds) as process:
            self._wait_for_first(stage, before)
            start = time.monotonic() + WARM_UP
            time.sleep(WARM_UP)
            cpu, wal = stage.cpu_seconds(generator=process.pid), stage.wal_bytes()
            queued = stage.queued_seconds()
            self._samples = [stage.lag()]
            for second in range(1, seconds):
                time.sleep(max(0.0, start + second - time.monotonic()))
                self._samples.append(stage.lag())
            self.cpu = used_between(cpu, stage.cpu_seconds(generator=process.pid))
            wal = stage.wal_bytes() - wal
            queued_after = stage.queued_seconds()
        self.drain_seconds = stage.drain()
        first, last = self._samples[0], self._samples[-1]
        self.seconds = last.at - first.at
        self.queued = (
            (queued_after - queued) / self.seconds
            if queued is not None and queued_after is not None
            else None
        )
        self.carried = (last.stored - first.stored) / self.seconds
        self.wal_per_event = wal / max(last.stored - first.stored, 1)
        lags = [sample.messages for sample in self._samples]
        self.lag_median, self.lag_most = median(lags), max(lags)
        times = [sample.at for sample in self._samples]
        self.lag_growth = linear_regression(times, lags).slope
        self.sustained = self.carried >= 0.99 * rate and self.lag_growth < rate / 60

    @staticmethod
    def _wait_for_first(stage: Stage, before: int) -> Lag:
        while (lag := stage.lag()).sent <= before:
            time.sleep(0.05)
        return lag

    def as_json(self) -> dict[str, object]:
        first = self._samples[0].at
        return {
            "asked": self.asked,
            "carried": round(self.carried),
            "sustained": self.sustained,
            "lag_growth": round(self.lag_growth, 1),
            "drain_seconds": round(self.drain_seconds, 3),
            "cpu_seconds": self.cpu,
            "waited_for_cores": self.queued,
            "wal_bytes_per_event": round(self.wal_per_event),
            "seconds": [round(sample.at - first, 2) for sample in self._samples],
            "stored": [sample.stored for sample in self._samples],
            "lag": [sample.messages for sample in self._samples],
        }
