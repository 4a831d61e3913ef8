"""Checks that the topic checkouts still holds everything that was published to it.

Once Kafka has acknowledged a change, the publisher deletes it from checkouts_changes.
Nothing would publish it again if the topic lost it: if somebody deletes the topic and
creates it again, if a broker loses its last messages in a power failure, or if somebody
restores a database beside another Kafka. So the table checkouts_published records the
topic's id and how far each partition was written.

If the topic differs from that record, the publisher publishes all checkouts again, and
a tombstone for each key in the topic that is no longer a checkout.
"""

import time
from collections.abc import Iterator, Mapping

import psycopg
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]
from psycopg import sql

from firstclick.core.cluster import Admin, Cluster, TopicDescription, describe_topics

REQUEST_SECONDS = 2.0
"""How long Kafka may take to answer a question about the topic."""

FETCH_SECONDS = 10.0
"""How long Kafka may go without delivering a message while the topic is read."""

CONSUME_SECONDS = 0.1
"""How long one call collects messages, unless it gets KEYS of them first."""

KEYS = 10_000
"""How many keys of the topic one query compares with the checkouts."""

STORED = """
select kafka_partition, next_offset, topic_id from {schema}.checkouts_published
"""

FORGET = "delete from {schema}.checkouts_published"

PUBLISH_ALL = """
insert into {schema}.checkouts_changes (purchase_id)
select purchase_id from {schema}.checkouts_topic
except select purchase_id from {schema}.checkouts_changes
"""

PUBLISH_GONE = """
insert into {schema}.checkouts_changes (purchase_id)
select purchase_id
from unnest(%s::text[]) as gone (purchase_id)
where not exists (
    select from {schema}.checkouts_topic as published
    where published.purchase_id = gone.purchase_id
    -- Keeps the look-up by index, whatever the planner expects
    offset 0
)
"""

NOTE = """
insert into {schema}.checkouts_published (kafka_partition, next_offset, topic_id)
select kafka_partition, next_offset, %s
from unnest(%s::int4[], %s::int8[]) as written (kafka_partition, next_offset)
on conflict (kafka_partition) do update set
    next_offset = excluded.next_offset,
    topic_id = excluded.topic_id
"""


def publish_again(connection: psycopg.Connection, schema: str) -> None:
    """Make the publisher publish all checkouts again.

    Connect as the owner of the table checkouts_published.
    """
    connection.execute(sql.SQL(FORGET).format(schema=sql.Identifier(schema)))


class Published:
    """The record of what was published, compared with the topic.

    Every method raises psycopg.Error, and KafkaException if Kafka is not reachable.
    """

    def __init__(
        self, connection: psycopg.Connection, schema: str, cluster: Cluster, topic: str
    ) -> None:
        self._connection = connection
        self._schema = sql.Identifier(schema)
        self._topic = topic
        self._cluster = cluster
        self._admin = Admin(cluster)
        self._id: str | None = None

    def reason(self, error: KafkaException) -> str:
        """Return why a request to Kafka failed."""
        return self._admin.reason(error)

    def is_complete(self) -> bool:
        """Return whether the topic holds everything that was published.

        True while the topic does not exist.
        """
        description = self._describe()
        if description is None:
            return True
        self._id = description.id
        stored = self._execute(STORED).fetchall()
        if not stored:
            return False
        ends = self._offsets(description, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return all(
            topic_id in (None, description.id) and offset <= ends.get(number, -1)
            for number, offset, topic_id in stored
        )

    def publish_all(self) -> None:
        """Queue all checkouts to be published again, and tombstones for all other keys.

        This is one transaction, so after an interruption the next check repeats it.
        """
        description = self._describe()
        if description is None:
            return
        ends = self._offsets(description, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        with self._connection.transaction():
            self._execute(FORGET)
            self._execute(PUBLISH_ALL)
            for keys in self._keys(description, ends):
                self._execute(PUBLISH_GONE, keys)
            self.note(ends)

    def note(self, ends: Mapping[int, int]) -> None:
        """Record the offset after the last message written to each partition."""
        if ends:
            self._execute(NOTE, self._id, list(ends), list(ends.values()))

    def _describe(self) -> TopicDescription | None:
        # Refreshes the client's metadata. A stale copy lacks new partitions, and the
        # client couldn't find their leaders
        self._admin.client.list_topics(self._topic, REQUEST_SECONDS)
        found = describe_topics(self._admin.client, [self._topic], REQUEST_SECONDS)
        return found.get(self._topic)

    def _offsets(
        self, description: TopicDescription, which: OffsetSpec
    ) -> dict[int, int]:
        asked = {
            TopicPartition(self._topic, number): which
            for number in description.partitions
        }
        answers = self._admin.client.list_offsets(
            asked, request_timeout=REQUEST_SECONDS
        )
        return {
            at.partition: answer.result(2 * REQUEST_SECONDS).offset
            for at, answer in answers.items()
        }

    def _keys(
        self, description: TopicDescription, ends: Mapping[int, int]
    ) -> Iterator[list[str]]:
        """Yield the keys of all messages in the topic that aren't tombstones."""
        begins = self._offsets(description, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        left = {number for number, end in ends.items() if begins[number] < end}
        if not left:
            return
        config = self._cluster.client() | {
            # Errors are raised; librdkafka would print them to stderr as well
            "log_level": 0,
            # librdkafka requires a group id. The consumer never joins the group
            "group.id": "firstclick-publisher",
            # The topic is read from its beginning each time
            "enable.auto.commit": False,
            # Tells that a partition is read to its end
            "enable.partition.eof": True,
            # Fail rather than skip messages that Kafka deletes meanwhile
            "auto.offset.reset": "error",
        }
        keys: set[str] = set()
        deadline = time.monotonic() + FETCH_SECONDS
        with Consumer(config) as consumer:
            consumer.assign([TopicPartition(self._topic, n, begins[n]) for n in left])
            while left:
                messages = consumer.consume(KEYS, CONSUME_SECONDS)
                if messages:
                    deadline = time.monotonic() + FETCH_SECONDS
                elif time.monotonic() > deadline:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
                for message in messages:
                    error = message.error()
                    if error is None:
                        key = message.key()
                        if key is not None and message.value() is not None:
                            keys.add(key.decode(errors="replace"))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        left.discard(message.partition() or 0)
                    else:
                        raise KafkaException(error)
                if len(keys) >= KEYS:
                    yield list(keys)
                    keys = set()
        yield list(keys)

    def _execute(self, statement: str, *parameters: object) -> psycopg.Cursor:
        return self._connection.execute(
            sql.SQL(statement).format(schema=self._schema), parameters or None
        )
