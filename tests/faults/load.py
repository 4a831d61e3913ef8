"""The generator, which sends events while faults hit the pipeline."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from firstclick_generator import Progress, generate
from harness import Harness

_PRODUCER = {
    # Milliseconds, longer than any fault: messages wait until Kafka is back
    "delivery.timeout.ms": 600_000,
    "queue.buffering.max.messages": 1_000_000,
    "reconnect.backoff.max.ms": 1_000,
    # The producer soon uses partitions that a fault adds
    "topic.metadata.refresh.interval.ms": 1_000,
}


class Load:
    """The generator in a thread, as a context manager that stops it.

    ``rate`` is in events per second; ``before`` is the number of messages that the
    topics already hold.
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
        """The number of messages handed to the producer, as of the last report.

        After the block, it is the number of all messages.
        """
        return self._report[1]

    def due(self, at: float) -> int:
        """Return how many messages Kafka should hold at a ``time.monotonic()`` time.

        It extrapolates from the last report by the rate.
        """
        reported, sent = self._report
        return sent + round(self._rate * (at - reported))

    def check(self) -> None:
        """Raise the generator's error if it has ended with one."""
        if self._work.done():
            self._work.result()

    def __enter__(self) -> Self:
        """Start the generator and wait for its first events. Raises ServerError."""
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
        """Stop the generator. Raises ServerError if Kafka lacks a message."""
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
