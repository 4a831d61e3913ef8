"""Whether the topic checkouts still is the one that was published to.

What Kafka has acknowledged leaves checkouts_changes, and nothing would publish it again
if the topic lost it: somebody deletes the topic and creates it again, a broker loses
its last messages in a power failure, a database is restored beside another Kafka. So
beside the changes a table has the topic's id and how far each partition was written.
Where the topic differs, all checkouts are published again, and a tombstone for each key
of the topic that is no checkout any more.
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
"""How long Kafka may deliver nothing of a topic that is read."""

CONSUME_SECONDS = 0.1
"""How long messages are collected, unless there are enough."""

KEYS = 10_000
"""Keys of the topic that are looked up at once."""

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
    """Have the publisher publish all checkouts again, by the table's owner."""
    connection.execute(sql.SQL(FORGET).format(schema=sql.Identifier(schema)))


class Published:
    """What was published to the topic, and whether it has it.

    Every method raises KafkaException when Kafka is not reachable, and psycopg.Error.
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
        """Say why Kafka could not be asked."""
        return self._admin.reason(error)

    def is_complete(self) -> bool:
        """Whether the topic has all that was published; True while there is none."""
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
        """Have everything published again, and what the topic has beyond that deleted.

        All in one transaction: cut off, it is done again.
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
        """Note the offset after the last message written to each partition."""
        if ends:
            self._execute(NOTE, self._id, list(ends), list(ends.values()))

    def _describe(self) -> TopicDescription | None:
        # Else the client looks for leaders among the partitions of before
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
        """The keys that the topic has a checkout for, or had."""
        begins = self._offsets(description, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        left = {number for number, end in ends.items() if begins[number] < end}
        if not left:
            return
        config = self._cluster.client() | {
            "log_level": 0,
            "group.id": "firstclick-publisher",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
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
