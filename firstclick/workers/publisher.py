"""The publisher: sends every change of the relation checkouts to the topic checkouts.

Delivery is at least once, and in order per key. Each change is a row of
checkouts_changes until Kafka has acknowledged the checkout's current state, or a
tombstone if the checkout was deleted. Run it as
``python -m firstclick.workers.publisher``.
"""

import logging
import sys
import time

import msgspec
import psycopg
from confluent_kafka import KafkaException
from psycopg import sql

from firstclick.core.errors import DeploymentError
from firstclick.core.metrics import PublisherMetrics, left
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import Backoff, Stop
from firstclick.workers.published import Published
from firstclick.workers.topic import NotDelivered, Topic
from firstclick.workers.worker import exclusive_session, main

MOST_CHANGES = 2_000
"""The largest number of changes published in one round."""

LOOK_SECONDS = 0.05
"""Interval at which to look for changes while there are none.

LISTEN and NOTIFY would be faster, but anyone who may log in can fill PostgreSQL's
notification queue, and then every transaction that sends a notification fails."""

WAIT_SECONDS = 1.0
"""After this long without a change, begin a round anyway, to check Kafka and the
topic."""

ROUND_SECONDS = 0.05
"""From the start of one round to the start of the next, unless a round was full."""

CHECK_SECONDS = 2.0
"""Interval at which to check that the topic still holds what was published."""

SUMMARY_SECONDS = 60.0
"""Interval of the summary in the log."""

CHANGES = """
select changes.change_id, changes.purchase_id as changed_id, current.*
from (
    select change_id, purchase_id
    from {schema}.checkouts_changes
    order by change_id
    limit %b
) as changes
left join lateral (
    select * from {schema}.checkouts_topic as published
    where published.purchase_id = changes.purchase_id
    -- Keeps the look-up by index, whatever the planner expects
    offset 0
) as current on true
order by changes.change_id
"""

LOOK = """
select exists (
    select from {schema}.checkouts_changes
    -- By its index, whose entries of what is gone cost nothing again
    order by change_id
    limit 1
)
"""

DELETE = "delete from {schema}.checkouts_changes where change_id = any(%b)"


def publish(pipeline: Pipeline, stop: Stop, log: logging.Logger) -> None:
    """Publish changes until a signal arrives.

    Errors of Kafka and PostgreSQL are logged and retried. Raises DeploymentError if the
    relations are missing at the start, and Stopped if a signal arrives during a wait.
    """
    metrics = PublisherMetrics()
    with left(metrics.registry, pipeline.metrics, "publisher"):
        _keep_publishing(pipeline, stop, log, metrics)


def _keep_publishing(
    pipeline: Pipeline, stop: Stop, log: logging.Logger, metrics: PublisherMetrics
) -> None:
    postgres = Backoff("PostgreSQL", log, pipeline.metrics)
    relations = [
        f"{pipeline.schema_name}.checkouts_{name}"
        for name in ("changes", "topic", "published")
    ]
    began = False
    while not stop.requested:
        try:
            with exclusive_session(
                pipeline, "publisher", relations, stop, log
            ) as connection:
                # If a crash undoes the deletion of a published change, the change is
                # published once more, which does no harm
                connection.execute("set synchronous_commit to off")
                postgres.succeeded()
                began = True
                _publish_all(connection, pipeline, stop, log, metrics)
        except psycopg.Error as error:
            stop.wait(postgres.failed(error))
        except DeploymentError as error:
            # A deployment with `rebuild: true` drops the relations for some seconds
            # before it creates them again
            if not began:
                raise
            stop.wait(postgres.failed(error))


def _publish_all(
    connection: psycopg.Connection,
    pipeline: Pipeline,
    stop: Stop,
    log: logging.Logger,
    metrics: PublisherMetrics,
) -> None:
    outbox = Outbox(connection, pipeline.schema_name)
    kafka = Backoff("Kafka", log, pipeline.metrics)
    topic = Topic(pipeline, "checkouts", stop)
    published = Published(connection, pipeline.schema_name, pipeline.kafka, topic.name)
    log.info("publishing to %s", topic.name)
    summary, sent, next_check = time.monotonic(), 0, 0.0
    while not stop.requested:
        started = time.monotonic()
        try:
            if started >= next_check:
                if not published.is_complete():
                    log.warning(
                        # Cause: Somebody created the topic `checkouts` again or ran
                        #   `firstclick publish --again`, or the topic lost its end.
                        # Remedy: Nothing. Readers get each checkout once more.
                        "topic %s is not the one that was published to, or lacks some "
                        "of it: publishing all checkouts again",
                        topic.name,
                    )
                    published.publish_all()
                    topic = Topic(pipeline, "checkouts", stop)
                next_check = started + CHECK_SECONDS
            changes, messages = outbox.read()
            topic.send(messages.items())
        except KafkaException as error:
            stop.wait(kafka.failed(published.reason(error)))
            continue
        except NotDelivered as error:
            next_check = 0.0
            if error.is_spent:
                topic = Topic(pipeline, "checkouts", stop)
            stop.wait(kafka.failed(error))
            continue
        kafka.succeeded()
        gone = sum(message is None for message in messages.values())
        metrics.messages.labels("checkout").inc(len(messages) - gone)
        metrics.messages.labels("tombstone").inc(gone)
        if changes:
            with connection.transaction():
                outbox.delete(changes)
                published.note(topic.ends)
        sent += len(messages)
        if started - summary >= SUMMARY_SECONDS:
            if sent:
                log.info(
                    "%d messages in %.0f s",
                    *(sent, started - summary),
                    extra={"messages": sent, "seconds": started - summary},
                )
            summary, sent = started, 0
        if len(changes) < MOST_CHANGES:
            stop.wait(max(0.0, started + ROUND_SECONDS - time.monotonic()))
            while not outbox.has_changes():
                stop.wait(LOOK_SECONDS)
                if time.monotonic() - started > WAIT_SECONDS:
                    break


class Outbox:
    """The table checkouts_changes: the changes still to be published."""

    def __init__(self, connection: psycopg.Connection, schema: str) -> None:
        self._connection = connection
        names = {"schema": sql.Identifier(schema)}
        self._look = sql.SQL(LOOK).format(**names)
        self._changes = sql.SQL(CHANGES).format(**names)
        self._delete = sql.SQL(DELETE).format(**names)
        self._encode = msgspec.json.Encoder().encode

    def has_changes(self) -> bool:
        """Return whether any change is still to be published."""
        found = self._connection.execute(self._look, prepare=True).fetchone()
        return found == (True,)

    def read(self) -> tuple[list[int], dict[str, bytes | None]]:
        """Return the ids of the oldest changes, and the messages to publish for them.

        The messages map each changed purchase_id to the checkout as JSON, or to None if
        it was deleted. They are in the order of the last change of each checkout, and
        all from one snapshot.
        """
        cursor = self._connection.cursor(binary=True)
        cursor.execute(self._changes, [MOST_CHANGES], prepare=False)
        columns = [column.name for column in cursor.description or ()][2:]
        changes = []
        messages: dict[str, bytes | None] = {}
        for change, purchase, *checkout in cursor:
            changes.append(change)
            messages.pop(purchase, None)
            messages[purchase] = (
                self._encode(dict(zip(columns, checkout, strict=True)))
                if checkout[0] is not None
                else None
            )
        return changes, messages

    def delete(self, changes: list[int]) -> None:
        """Delete changes that Kafka has acknowledged."""
        self._connection.cursor(binary=True).execute(self._delete, [changes])


if __name__ == "__main__":
    sys.exit(main("publisher", publish))
