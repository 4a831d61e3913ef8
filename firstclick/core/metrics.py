"""Prometheus metrics of the workers, which the live page serves under ``/metrics``.

Each process counts in memory and writes all its metrics to a file of its own, once a
second. The live page reads the files for each request. A single event costs nothing,
because workers count once per batch; writing a file takes a millisecond.

The alternatives are worse. The Prometheus client's multiprocess mode keeps a file for
every process that ever ran, so a worker that restarts again and again would leave files
without end. A port per worker would be one more thing to protect. A table would cost
writes even without readers, and would show nothing while PostgreSQL is down.
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
"""Suffix of the files, each of which is named after its process."""

EVERY_SECONDS = 1.0
"""Interval at which a process writes its file."""

# Upper bounds of the histograms' buckets
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_MESSAGES = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000)

# Each counter would have a second series with its start time. Prometheus sees a restart
# by the counter's reset anyway
disable_created_metrics()  # type: ignore[no-untyped-call]


class ConnectorMetrics:
    """The connector's metrics, updated once per batch or heartbeat."""

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
    """The publisher's metrics, updated once per round."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "firstclick_publisher_messages",
            "Checkouts published to Kafka, and tombstones of deleted ones.",
            ["kind"],
            registry=self.registry,
        )


class ExpireMetrics:
    """The metrics of retention, updated once per pass."""

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
    """The supervisor's metrics of its processes."""

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
    """Replace the file of a process. If the disk is full, the old file stays."""
    with contextlib.suppress(OSError):
        write_to_textfile(str(directory / f"{name}{SUFFIX}"), registry)


@contextmanager
def left(
    registry: CollectorRegistry, directory: Path | None, name: str
) -> Iterator[None]:
    """Write the process's file once a second during the block, and at its end.

    If ``directory`` is None, nothing is written.
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
