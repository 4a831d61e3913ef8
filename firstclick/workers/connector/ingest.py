"""The connector's loop: take messages from Kafka, write them to PostgreSQL, repeat."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from confluent_kafka import KafkaException

from firstclick.core.cluster import TopicDescription
from firstclick.core.metrics import ConnectorMetrics, left
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import Backoff, Stop
from firstclick.workers.connector.batch import (
    POSTGRES_EPOCH,
    PartitionError,
    PartitionId,
    Progress,
    TopicBatch,
    compact_batch,
)
from firstclick.workers.connector.offsets import Offsets, StoredOffset
from firstclick.workers.connector.resume import Difference, Logs, compare
from firstclick.workers.connector.source import TOPICS, Source
from firstclick.workers.connector.tables import FIRST_MICROSECOND, Fenced, Tables
from firstclick.workers.worker import exclusive_session

LONGEST_LINGER = 0.01
"""Seconds. While batches aren't full, the connector collects messages for as long as
the last transaction took, but no longer than this. Transactions then take at most half
of the time, and each one carries more messages."""

LONGEST_LEAD = 0.5
"""Seconds, by Kafka's timestamps, that one partition may be read ahead of another."""

POLL_SECONDS = 0.5
"""Longest wait for a message, and so the longest time that a signal goes unnoticed."""

HEARTBEAT_SECONDS = 1.0
"""Interval at which the connector compares its offsets with Kafka and stores them."""
DISCOVERY_SECONDS = 2.0
"""Interval at which it looks for new topics and partitions."""
SUMMARY_SECONDS = 60.0
"""Interval of the summary in the log."""

FIRST_PLANS, LAST_PLANS = 1_000, 1_000_000
"""Messages after which PostgreSQL plans its statements again: after the first number,
then after twice as many each time, up to the last. A plan that was made for empty
tables is ruinously slow on full ones."""

CONFIRMATIONS = 3
"""How many times in a row, a second apart, Kafka must report that it lacks messages
that the connector has read, before the connector believes it."""

CLOCK_SKEW = 60
"""Seconds by which the clocks of the brokers and of this machine may differ."""


def ingest(pipeline: Pipeline, stop: Stop, log: logging.Logger) -> None:
    """Copy messages from Kafka to PostgreSQL until a signal arrives.

    Errors of Kafka and PostgreSQL are logged and retried. Raises DeploymentError if the
    tables are missing, and Stopped if a signal arrives during a wait.
    """
    postgres = Backoff("PostgreSQL", log, pipeline.metrics)
    kafka = Backoff("Kafka", log, pipeline.metrics)
    metrics = ConnectorMetrics()
    with (
        left(metrics.registry, pipeline.metrics, "connector"),
        Source(pipeline.kafka, pipeline.topic_prefix) as source,
    ):
        while not stop.requested:
            current = None
            try:
                with exclusive_session(
                    pipeline, "connector", _relations(pipeline.schema_name), stop, log
                ) as connection:
                    tables = Tables(connection, pipeline.schema_name, stop, log)
                    current = Ingest(
                        *(pipeline, source, tables, stop, log, kafka, postgres, metrics)
                    )
                    current.run()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                stop.wait(postgres.failed(error))
            except psycopg.Error as error:
                # No message should be able to cause this: the raw tables store bytes,
                # and only the staging models convert them to types
                at = current.describe_batch() if current else "no batch"
                reason = f"refused {at}, of which nothing was stored: {error}"
                stop.wait(postgres.failed(reason))
            except KafkaException as error:
                stop.wait(kafka.failed(source.reason(error)))


def _relations(schema: str) -> list[str]:
    tables = [f"{schema}.raw_{topic}" for topic in TOPICS]
    return [
        *(*tables, f"{schema}.kafka_offsets", f"{schema}.kafka_tombstones"),
        f"{schema}_maintenance.lock_writers",
    ]


@dataclass(slots=True)
class Summary:
    """Work done since the last summary in the log."""

    since: float
    """Start of the interval, by ``time.monotonic()``."""
    messages: int = 0
    batches: int = 0
    seconds: float = 0.0
    """Total time from taking each batch's last message to its commit."""


class Ingest:
    """The ingest loop of one PostgreSQL session."""

    def __init__(
        self,
        pipeline: Pipeline,
        source: Source,
        tables: Tables,
        stop: Stop,
        log: logging.Logger,
        kafka: Backoff,
        postgres: Backoff,
        metrics: ConnectorMetrics,
    ) -> None:
        self._source = source
        self._tables = tables
        self._offsets = Offsets(tables)
        self._stop = stop
        self._log = log
        self._kafka = kafka
        self._postgres = postgres
        self._metrics = metrics
        self._progress: dict[str, dict[int, Progress]] = {}
        self._topics: Mapping[str, TopicDescription] = {}
        self._next_heartbeat = self._next_discovery = 0.0
        self._linger_until = 0.0
        self._ingested = 0
        self._plans_last_until = FIRST_PLANS
        self._summary = Summary(time.monotonic())

    def run(self) -> None:
        """Ingest until a signal arrives, and finish the current transaction first.

        Raises the errors that ``ingest`` handles.
        """
        self._align()
        while not self._stop.requested:
            try:
                self._step()
            except Fenced:
                # Cause: Somebody edited the table, or restored it.
                # Remedy: Nothing. The connector continues at the offsets in the table.
                self._log.warning("kafka_offsets was changed by someone else")
                self._align()
            except PartitionError as error:
                self._stop.wait(self._kafka.failed(error))
                self._align()

    def describe_batch(self) -> str:
        """Describe the messages of the current batch, for an error message.

        For example ``clicks 0 offsets 100 to 199``.
        """
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
        batches = compact_batch(messages, self._source.topics, self._progress)
        if any(batch.latest or batch.keyless for batch in batches.values()):
            self._source.note_high_watermarks(self._progress)
            self._store(batches, taken)

    def _store(self, batches: dict[str, TopicBatch], taken: float) -> None:
        with self._tables.transaction():
            started = time.monotonic()
            self._tables.write(batches, self._progress)
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
        self._ingested += messages
        self._summary.messages += messages
        self._summary.batches += 1
        self._summary.seconds += seconds

    def _keep_plans_good(self) -> None:
        if self._ingested >= self._plans_last_until <= LAST_PLANS:
            self._tables.forget_plans()
            while self._plans_last_until <= self._ingested:
                self._plans_last_until *= 2

    def _keep_step(self) -> None:
        """Pause partitions that are too far ahead of one that still has messages.

        From a backlog, Kafka delivers equally many messages of each partition. There
        are fewer purchases than clicks, so purchases would arrive before their clicks,
        and the models would have to attribute them twice.
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
        """Compare the offsets with Kafka's and store how far each partition is read.

        If Kafka does not answer, nothing is stored. The freshness that pipeline_health
        shows then gets older, as it should.
        """
        now = time.monotonic()
        try:
            if now >= self._next_discovery:
                self._next_discovery = now + DISCOVERY_SECONDS
                if self._source.describe() != self._topics:
                    self._align()
            marks = self._source.high_watermarks(
                {name: topic.partitions for name, topic in self._topics.items()}
            )
            is_another = any(
                marks[topic][number] < at.stored for topic, number, at in self._all()
            ) or (self._source.was_disconnected and self._differs())
            self._source.was_disconnected = False
        except KafkaException as error:
            pause = self._kafka.failed(self._source.reason(error))
            self._next_heartbeat = time.monotonic() + max(pause, HEARTBEAT_SECONDS)
            return
        self._kafka.succeeded()
        self._next_heartbeat = now + HEARTBEAT_SECONDS
        if is_another:
            self._align()
            return
        for topic, number, at in self._all():
            at.high_watermark = max(marks[topic][number], at.reached)
        with self._tables.transaction():
            self._tables.advance(self._all(), time.monotonic() - now)
            self._forget_deletions()
        self._settle()
        for topic, number, at in self._all():
            self._metrics.next_offset.labels(topic, number).set(at.stored)
            self._metrics.lag.labels(topic, number).set(at.high_watermark - at.stored)
        self._keep_step()
        if all(at.stored >= at.high_watermark for _, _, at in self._all()):
            self._postgres.succeeded()
        self._summarise(now)

    def _differs(self) -> bool:
        """Return whether Kafka came back with another log than the one we read."""
        logs, stored = Logs.of(self._source), self._offsets.stored()
        return bool(compare(self._source, self._offsets, logs, stored))

    def _forget_deletions(self) -> None:
        """Delete remembered tombstones that no unread message can be older than.

        Call it in a transaction, after a comparison with Kafka. The next message of a
        partition that is read to its end will be stamped with the current time, give or
        take CLOCK_SKEW. The next message of any other partition is no older than the
        last one read there.
        """
        now = time.time_ns() // 1000 - POSTGRES_EPOCH
        for topic in self._tables.topics_with_deletions:
            reached = min(
                (
                    now - CLOCK_SKEW * 1_000_000
                    if at.stored >= at.high_watermark
                    else at.newest_time or FIRST_MICROSECOND
                    for at in self._progress[topic].values()
                ),
                default=FIRST_MICROSECOND,
            )
            self._tables.forget_deletions(topic, reached - CLOCK_SKEW * 1_000_000)
        if self._tables.topics_with_deletions:
            self._tables.load_deletions()

    def _align(self) -> None:
        """Resume from the offsets in the database, at the partitions that exist now."""
        logs, stored = self._compared()
        for topic in TOPICS:
            if topic not in logs.topics and topic in (self._topics or TOPICS):
                self._log.warning("topic %s is not there; waiting for it", topic)
        differences = compare(self._source, self._offsets, logs, stored)
        for topic, difference in differences.items():
            self._set_aside(topic, difference, logs, stored)
        self._progress = {topic: {} for topic in TOPICS}
        with self._tables.transaction():
            for topic, description in logs.topics.items():
                difference = differences.get(topic, Difference())
                self._resume(topic, description, difference, logs, stored)
            self._tables.advance(self._moved(), 0.0)
            self._tables.load_deletions()
        self._settle()
        self._source.assign(self._progress)
        self._topics = logs.topics
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

    def _compared(self) -> tuple[Logs, dict[PartitionId, StoredOffset]]:
        """Return what Kafka holds, and the offsets that the database has stored.

        A broker that has just started may not know its last messages yet. So if Kafka
        holds less than the connector has read, ask it CONFIRMATIONS times.
        """
        for attempt in range(CONFIRMATIONS):
            if attempt > 0:
                self._stop.wait(1.0)
            logs, stored = Logs.of(self._source), self._offsets.stored()
            if not logs.are_shorter(stored):
                break
        return logs, stored

    def _set_aside(
        self,
        topic: str,
        difference: Difference,
        logs: Logs,
        stored: dict[PartitionId, StoredOffset],
    ) -> None:
        """Mark stored messages that Kafka no longer has as older than all new ones."""
        if difference.is_another:
            count = self._offsets.set_aside(topic, None, 0)
            self._log.error(
                # Cause: The topic has another id than the one that the connector read.
                # Remedy: Nothing. The connector reads the new topic from its beginning.
                #   The events of the old one stay, until a newer message has the same
                #   key.
                "topic %s was deleted and created again, or is another Kafka's: "
                "reading it from its beginning; the %d messages of the old one are "
                "kept, as older ones",
                *(topic, count),
                extra={"topic": topic, "set_aside": count},
            )
            return
        for number, offset in difference.lost_from.items():
            count = self._offsets.set_aside(topic, number, offset)
            self._log.error(
                # Cause: A broker lost the end of its log, usually in a power failure,
                #   and gives the offsets to other messages.
                # Remedy: Nothing. The connector reads again from the last message that
                #   Kafka and the database both have.
                "%s %d: Kafka lost messages that were read, up to offset %d, and has "
                "others or none from offset %d on: reading again from there; the %d "
                "messages that it lost are kept, as older ones",
                *(topic, number, stored[topic, number].next_offset - 1, offset, count),
                extra={"topic": topic, "partition": number, "set_aside": count},
            )

    def _resume(
        self,
        topic: str,
        description: TopicDescription,
        difference: Difference,
        logs: Logs,
        stored: dict[PartitionId, StoredOffset],
    ) -> None:
        """Set the offset at which each partition of a topic resumes.

        Call it in a transaction.
        """
        earliest, latest = logs.earliest[topic], logs.latest[topic]
        read = {n: at for (name, n), at in stored.items() if name == topic}
        is_new = not read
        lost_before, noticed = 0, None
        if difference.is_another:
            lost_before, noticed = self._offsets.forget(topic)
            self._tables.forget_deletions(topic)
            read = {}
        else:
            self._offsets.name(topic, description.id)
        for number in description.partitions:
            first, last = earliest[number], latest[number]
            if (at := read.get(number)) is None:
                # Messages that Kafka deleted before the connector first saw the topic
                # don't count as lost. In a new partition of a known topic, they do
                begin = first if is_new else 0
                self._offsets.add(topic, number, begin, last, description.id)
                progress = Progress(begin, first, last)
            else:
                begin = difference.lost_from.get(number, at.next_offset)
                if begin != at.next_offset:
                    self._offsets.rewind(topic, number, begin)
                progress = Progress(begin, max(begin, first), last, at.newest_time)
            if lost_before:
                self._offsets.count_lost(topic, number, lost_before, noticed)
                lost_before = 0
            if begin < first:
                self._count_lost(topic, number, begin, first)
            self._progress[topic][number] = progress

    def _count_lost(self, topic: str, number: int, begin: int, first: int) -> None:
        self._offsets.count_lost(topic, number, first - begin)
        self._log.error(
            # Cause: The connector was stopped for longer than Kafka keeps messages, or
            #   somebody deleted records.
            # Remedy: Have the events sent again, and give the topics a longer
            #   `retention.ms`. See [Messages are
            #   lost](../how-to/runbook.md#messages-are-lost).
            "%s %d: offsets %d to %d are gone from Kafka before they were read (its "
            "retention is shorter than this connector was behind, or someone deleted "
            "them): %d messages are counted as lost; going on at %d",
            *(topic, number, begin, first - 1, first - begin, first),
            extra={"topic": topic, "partition": number, "lost": first - begin},
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
