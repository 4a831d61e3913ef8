"""The connector's loop: take messages from Kafka, write them, and again."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from confluent_kafka import KafkaException

from firstclick.connector.batch import (
    PartitionError,
    Progress,
    TopicBatch,
    collapse,
)
from firstclick.connector.source import TOPICS, Source
from firstclick.connector.tables import Fenced, Tables
from firstclick.errors import ServerError
from firstclick.metrics import ConnectorMetrics, left
from firstclick.worker import Backoff, Place, Stop, exclusive_session

LONGEST_LINGER = 0.01
"""Seconds. As long as a batch is not full, the next one waits for as long as the last
one took, but no longer than this: transactions then take half of the time at most."""

LONGEST_LEAD = 0.5
"""Seconds, of Kafka's time, that a partition may be read ahead of another."""

POLL_SECONDS = 0.5
"""How long a signal may go unnoticed while nothing comes."""

HEARTBEAT_SECONDS = 1.0
DISCOVERY_SECONDS = 2.0
SUMMARY_SECONDS = 60.0

FIRST_PLANS, LAST_PLANS = 1_000, 1_000_000
"""Messages after which PostgreSQL plans anew, and after twice as many again, up to the
last: a plan that was made on empty tables is ruinous on full ones."""

CONFIRMATIONS = 3
"""How often Kafka has to say that it lacks what was read already, a second apart."""


def carry(place: Place, stop: Stop, log: logging.Logger) -> None:
    """Carry messages from Kafka to PostgreSQL until a signal comes.

    Raises DeploymentError when the tables are missing, ServerError when Kafka holds
    less than was read already, Stopped when a signal comes while waiting.
    """
    postgres = Backoff("PostgreSQL", log, place.metrics)
    kafka = Backoff("Kafka", log, place.metrics)
    metrics = ConnectorMetrics()
    with (
        left(metrics.registry, place.metrics, "connector"),
        Source(place.kafka, place.topic_prefix) as source,
    ):
        while not stop.requested:
            carrier = None
            try:
                with exclusive_session(
                    place, "connector", _relations(place.schema), stop, log
                ) as connection:
                    tables = Tables(connection, place.schema, stop, log)
                    carrier = Carrier(
                        *(place, source, tables, stop, log, kafka, postgres, metrics)
                    )
                    carrier.run()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                stop.wait(postgres.failed(error))
            except psycopg.Error as error:
                # No message should be able to cause this: typing is staging's work.
                at = carrier.span() if carrier else "no batch"
                reason = f"refused {at}, of which nothing was stored: {error}"
                stop.wait(postgres.failed(reason))
            except KafkaException as error:
                stop.wait(kafka.failed(source.reason(error)))


def _relations(schema: str) -> list[str]:
    tables = [f"{schema}.raw_{topic}" for topic in TOPICS]
    return [*tables, f"{schema}.kafka_offsets", f"{schema}_maintenance.serialise"]


@dataclass(slots=True)
class Summary:
    """What was done since the last line in the log."""

    since: float
    messages: int = 0
    batches: int = 0
    seconds: float = 0.0


class Carrier:
    """The work of one session in PostgreSQL."""

    def __init__(
        self,
        place: Place,
        source: Source,
        tables: Tables,
        stop: Stop,
        log: logging.Logger,
        kafka: Backoff,
        postgres: Backoff,
        metrics: ConnectorMetrics,
    ) -> None:
        self._place = place
        self._source = source
        self._tables = tables
        self._stop = stop
        self._log = log
        self._kafka = kafka
        self._postgres = postgres
        self._metrics = metrics
        self._progress: dict[str, dict[int, Progress]] = {}
        self._partitions: dict[str, list[int]] = {}
        self._next_heartbeat = self._next_discovery = 0.0
        self._linger_until = 0.0
        self._carried = 0
        self._plans_last_until = FIRST_PLANS
        self._summary = Summary(time.monotonic())

    def run(self) -> None:
        """Carry until a signal comes, with the transaction under way finished.

        Raises what ``carry`` handles.
        """
        self._align()
        while not self._stop.requested:
            try:
                self._step()
            except Fenced:
                self._log.warning("kafka_offsets was changed by someone else")
                self._align()
            except PartitionError as error:
                self._stop.wait(self._kafka.failed(error))
                self._align()

    def span(self) -> str:
        """Say which messages the batch under way holds."""
        return (
            ", ".join(
                f"{topic} {number} offsets {at.stored} to {at.reached - 1}"
                for topic, number, at in self._moved()
            )
            or "a heartbeat"
        )

    def _step(self) -> None:
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._heartbeat()
        patience = self._next_heartbeat - time.monotonic()
        messages = self._source.take(
            min(max(patience, 0.0), POLL_SECONDS), self._linger_until
        )
        if not messages:
            return
        taken = time.monotonic()
        batches = collapse(messages, self._source.topics, self._progress)
        if any(batch.latest or batch.keyless for batch in batches.values()):
            self._source.note_high_watermarks(self._progress)
            self._store(batches, taken)

    def _store(self, batches: dict[str, TopicBatch], taken: float) -> None:
        with self._tables.transaction():
            started = time.monotonic()
            self._tables.write(batches)
            self._tables.advance(self._moved(), time.monotonic() - taken)
        ended = time.monotonic()
        self._settle()
        self._keep_step()
        self._postgres.succeeded()
        self._linger_until = ended + min(ended - started, LONGEST_LINGER)
        self._count(batches, ended - taken)
        self._keep_plans_good()

    def _count(self, batches: dict[str, TopicBatch], seconds: float) -> None:
        messages = 0
        for topic, batch in batches.items():
            messages += batch.taken
            self._metrics.messages.labels(topic).inc(batch.taken)
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.batch_messages.observe(messages)
        self._carried += messages
        self._summary.messages += messages
        self._summary.batches += 1
        self._summary.seconds += seconds

    def _keep_plans_good(self) -> None:
        if self._carried >= self._plans_last_until <= LAST_PLANS:
            self._tables.forget_plans()
            while self._plans_last_until <= self._carried:
                self._plans_last_until *= 2

    def _keep_step(self) -> None:
        """Pause partitions that are ahead of one that has more to read.

        Of messages that have piled up, Kafka sends each partition's alike, so that
        purchases would come before their clicks and be worked on twice.
        """
        slowest = min(
            (
                at.newest_time or 0
                for _, _, at in self._all()
                if at.reached < at.high_watermark
            ),
            default=None,
        )
        self._source.pause(
            (topic, number)
            for topic, number, at in self._all()
            if slowest is not None
            and (at.newest_time or 0) > slowest + LONGEST_LEAD * 1_000_000
        )

    def _moved(self) -> Iterator[tuple[str, int, Progress]]:
        return (each for each in self._all() if each[2].reached != each[2].stored)

    def _all(self) -> Iterator[tuple[str, int, Progress]]:
        for topic, partitions in self._progress.items():
            for number, at in partitions.items():
                yield topic, number, at

    def _settle(self) -> None:
        for _, _, at in self._all():
            at.stored = at.reached

    def _heartbeat(self) -> None:
        """Compare with Kafka and store how far each partition is read.

        Where Kafka does not answer, nothing is stored: what a reader takes for the
        pipeline's freshness gets older.
        """
        now = time.monotonic()
        try:
            if now >= self._next_discovery:
                self._next_discovery = now + DISCOVERY_SECONDS
                if self._source.partitions() != self._partitions:
                    self._align()
            marks = self._source.high_watermarks(self._partitions)
        except KafkaException as error:
            pause = self._kafka.failed(self._source.reason(error))
            self._next_heartbeat = time.monotonic() + max(pause, HEARTBEAT_SECONDS)
            return
        self._kafka.succeeded()
        self._next_heartbeat = now + HEARTBEAT_SECONDS
        if any(marks[topic][number] < at.stored for topic, number, at in self._all()):
            self._align()
            return
        for topic, number, at in self._all():
            at.high_watermark = max(marks[topic][number], at.reached)
        with self._tables.transaction():
            self._tables.advance(self._all(), time.monotonic() - now)
        self._settle()
        for topic, number, at in self._all():
            self._metrics.next_offset.labels(topic, number).set(at.stored)
            self._metrics.lag.labels(topic, number).set(at.high_watermark - at.stored)
        self._keep_step()
        if all(at.stored >= at.high_watermark for _, _, at in self._all()):
            self._postgres.succeeded()
        self._summarise(now)

    def _align(self) -> None:
        """Go on from where the database is, at partitions as they are now.

        Raises ServerError where Kafka holds less than was read.
        """
        partitions = self._source.partitions()
        for topic in TOPICS:
            if not partitions[topic] and self._partitions.get(topic, [0]):
                self._log.warning("topic %s is not there; waiting for it", topic)
        for attempt in range(CONFIRMATIONS):
            earliest = self._source.earliest(partitions)
            latest = self._source.high_watermarks(partitions)
            stored = self._tables.offsets()
            beyond = [
                (topic, number)
                for topic, numbers in partitions.items()
                for number in numbers
                if stored.get((topic, number), 0) > latest[topic][number]
            ]
            if not beyond:
                break
            if attempt + 1 < CONFIRMATIONS:
                self._stop.wait(1.0)
        else:
            topic, number = beyond[0]
            raise self._lost(
                topic, number, stored[topic, number], latest[topic][number]
            )
        self._progress = {topic: {} for topic in TOPICS}
        with self._tables.transaction():
            for topic, numbers in partitions.items():
                for number in numbers:
                    first, last = earliest[topic][number], latest[topic][number]
                    at = stored.get((topic, number))
                    if at is None:
                        at = first
                        self._tables.add_offset(topic, number, first, last)
                    elif at < first:
                        self._log.error(
                            "%s %d: offsets %d to %d are gone from Kafka before they "
                            "were read (its retention is shorter than this connector "
                            "was behind); going on at %d",
                            *(topic, number, at, first - 1, first),
                        )
                    self._progress[topic][number] = Progress(at, max(at, first), last)
            self._tables.advance(self._moved(), 0.0)
        self._settle()
        self._source.assign(self._progress)
        self._partitions = partitions
        self._next_discovery = time.monotonic() + DISCOVERY_SECONDS
        for topic, positions in self._progress.items():
            behind = sum(at.high_watermark - at.stored for at in positions.values())
            self._log.info(
                "reading %s: %d partitions, up to %d messages behind, from %s",
                *(topic, len(positions), behind),
                ", ".join(f"{number}: {at.stored}" for number, at in positions.items()),
                extra={
                    "topic": topic,
                    "behind_messages": behind,
                    "offsets": {number: at.stored for number, at in positions.items()},
                },
            )

    def _lost(self, topic: str, number: int, stored: int, latest: int) -> ServerError:
        schema = self._place.schema
        return ServerError(
            f"{topic} {number} is read up to offset {stored}, but Kafka has {latest} "
            "only: the topic was made anew, or Kafka lost messages; to read this "
            f"partition from its beginning: begin; select {schema}_maintenance."
            f"serialise(); delete from {schema}.raw_{topic} where kafka_partition = "
            f"{number}; delete from {schema}.kafka_offsets where topic = '{topic}' and "
            f"kafka_partition = {number}; commit; then start the connector again"
        )

    def _summarise(self, now: float) -> None:
        done = self._summary
        if now - done.since < SUMMARY_SECONDS:
            return
        if done.batches:
            self._log.info(
                "%d messages in %d batches, %.1f ms a batch, in %.0f s",
                *(done.messages, done.batches, 1000 * done.seconds / done.batches),
                now - done.since,
                extra={
                    "messages": done.messages,
                    "batches": done.batches,
                    "batch_seconds": done.seconds,
                    "seconds": now - done.since,
                },
            )
        self._summary = Summary(now)
