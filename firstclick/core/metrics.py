"""What the workers count for Prometheus, and how it gets to the live page.

Each process counts in memory and leaves all of it in a file of its own, once a second;
the page reads the files when it is asked for ``/metrics``. An event costs nothing, as
counts are added to once a batch, and a file takes a millisecond. Prometheus' own mode
for several processes maps a file into memory for each process that ever was, which a
worker that is started again and again would make without end; a port each would be
more to guard; a table in the database would be written for readers that may not be
there, and while PostgreSQL is away nothing could be told.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    write_to_textfile,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from firstclick.core.home import Child

SUFFIX = ".prom"
"""Of the files, each named after its process."""

EVERY_SECONDS = 1.0

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_MESSAGES = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000)

# A series each for when another one began, which the counters' resets tell as well
disable_created_metrics()  # type: ignore[no-untyped-call]


class ConnectorMetrics:
    """What the connector counts, once a batch or a heartbeat."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "firstclick_connector_messages",
            "Messages that the connector wrote into PostgreSQL, tombstones too.",
            ["topic"],
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "firstclick_connector_batch_duration_seconds",
            "Time from fetching a batch's last message to its commit.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_messages = Histogram(
            "firstclick_connector_batch_size_messages",
            "Messages in a batch, which is one transaction.",
            buckets=_MESSAGES,
            registry=self.registry,
        )
        self.next_offset = Gauge(
            "firstclick_connector_next_offset",
            "The offset that the connector reads next.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.lag = Gauge(
            "firstclick_connector_lag_messages",
            "Messages that the connector still has to read.",
            ["topic", "partition"],
            registry=self.registry,
        )


class PublisherMetrics:
    """What the publisher counts, once a round."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "firstclick_publisher_messages",
            "Checkouts published to Kafka, and tombstones of deleted ones.",
            ["kind"],
            registry=self.registry,
        )


class ExpireMetrics:
    """What retention counts, once a pass."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tombstones = Counter(
            "firstclick_expire_tombstones",
            "Events deleted because they are older than the retention.",
            ["topic"],
            registry=self.registry,
        )
        self.passed = Gauge(
            "firstclick_expire_last_pass_timestamp_seconds",
            "When expired events were last deleted without an error.",
            registry=self.registry,
        )


class ProcessMetrics(Collector):
    """What the supervisor knows of its processes."""

    def __init__(self, children: Callable[[], dict[str, Child]]) -> None:
        self.registry = CollectorRegistry()
        self._children = children
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "firstclick_process_up",
            "Whether the process runs.",
            labels=["process"],
        )
        restarts = CounterMetricFamily(
            "firstclick_process_restarts",
            "How often the supervisor has started the process again.",
            labels=["process"],
        )
        for name, child in self._children().items():
            up.add_metric([name], float(child.running))
            restarts.add_metric([name], child.restarts)
        return up, restarts


def leave(registry: CollectorRegistry, directory: Path, name: str) -> None:
    """Replace the file of a process; on a full disk the old one stays."""
    with contextlib.suppress(OSError):
        write_to_textfile(str(directory / f"{name}{SUFFIX}"), registry)


@contextmanager
def left(
    registry: CollectorRegistry, directory: Path | None, name: str
) -> Iterator[None]:
    """Leave a file once a second, and at the end, for as long as the block runs.

    Nothing is written where ``directory`` is None.
    """
    if directory is None:
        yield
        return
    ended = threading.Event()

    def keep_leaving() -> None:
        while not ended.wait(EVERY_SECONDS):
            leave(registry, directory, name)

    thread = threading.Thread(target=keep_leaving, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        leave(registry, directory, name)
