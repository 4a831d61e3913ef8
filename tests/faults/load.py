"""The generator at work while the pipeline is harmed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from conformance import Harness
from firstclick_generator import Progress, generate

_PRODUCER = {
    # As long as any fault takes: what waits meanwhile is sent when Kafka is back
    "delivery.timeout.ms": 600_000,
    "queue.buffering.max.messages": 1_000_000,
    "reconnect.backoff.max.ms": 1_000,
    # Partitions that a fault adds are written to soon
    "topic.metadata.refresh.interval.ms": 1_000,
}


class Load:
    """The generator at work in a thread, as a context manager that stops it.

    ``rate`` is in events per second; ``before`` is the number of messages that the
    topics hold already.
    """

    def __init__(self, pipeline: Harness, rate: float, seed: int, before: int) -> None:
        self._pipeline = pipeline
        self._rate = rate
        self._seed = seed
        self._before = before
        self._report = (time.monotonic(), before)
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    @property
    def sent(self) -> int:
        """Messages handed over, as of the last report; all of them at the end."""
        return self._report[1]

    def due(self, at: float) -> int:
        """How many messages there had to be at a time of ``time.monotonic()``.

        By the rate, from the last report on.
        """
        reported, sent = self._report
        return sent + round(self._rate * (at - reported))

    def check(self) -> None:
        """Raise what ended the generator, where it has ended."""
        if self._work.done():
            self._work.result()

    def __enter__(self) -> Self:
        """Returns when the first events are sent. Raises ServerError."""
        self._work = self._pool.submit(self._generate)
        try:
            self._pipeline.eventually(self._has_begun, "the generator's first events")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        """Raises ServerError where Kafka has not acknowledged every message."""
        self._end()
        if error is None:
            self._note(self._work.result())

    def _end(self) -> None:
        self._stop.set()
        self._pool.shutdown()

    def _generate(self) -> Progress:
        stack = self._pipeline.stack
        return generate(
            stack.bootstrap_servers,
            topic_prefix=stack.topic_prefix,
            rate=self._rate,
            duration=None,
            seed=self._seed,
            stop=self._stop,
            on_progress=self._note,
            producer_config=_PRODUCER,
        )

    def _note(self, progress: Progress) -> None:
        sent = progress.clicks + progress.purchases
        sent += progress.malformed + progress.duplicated
        self._report = (time.monotonic(), self._before + sent)

    def _has_begun(self) -> bool:
        self.check()
        return self.sent > self._before
