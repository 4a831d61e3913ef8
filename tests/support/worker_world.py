"""A schema, topics and worker processes of a test's own, on the session's servers."""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
)
from psycopg import sql

import topic_changes
from firstclick.core.cluster import Cluster
from firstclick.workers.connector.tables import INDEXED_KEY

PATIENCE = 40.0
"""Seconds for a condition to come true."""

TABLES = """
create schema {schema};
create schema {maintenance};
create function {maintenance}.lock_writers() returns void language sql as $$
    select pg_advisory_xact_lock(hashtextextended({name}, 0))
$$;
create function {maintenance}.try_singleton_lock(worker text) returns boolean
language sql as $$
    select pg_try_advisory_lock(hashtextextended({name} || worker, 0))
$$;
create function {maintenance}.analyze_tables() returns void
language sql as 'select';
create table {schema}.raw_clicks (
    event_key bytea,
    payload bytea not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    kafka_time timestamptz not null,
    primary key (kafka_partition, kafka_offset)
);
create unique index on {schema}.raw_clicks (({indexed_key}));
create table {schema}.raw_purchases (like {schema}.raw_clicks including all);
create table {schema}.kafka_offsets (
    topic text,
    kafka_partition integer,
    next_offset bigint not null,
    high_watermark bigint not null,
    newest_kafka_time timestamptz,
    checked_at timestamptz not null,
    topic_id text,
    last_offset bigint,
    last_digest bytea,
    lost_messages bigint,
    lost_at timestamptz,
    primary key (topic, kafka_partition)
);
create table {schema}.kafka_tombstones (
    topic text,
    event_key bytea,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    kafka_time timestamptz not null,
    primary key (topic, event_key)
);
create table {schema}.written (
    topic text,
    kafka_partition integer,
    kafka_offset bigint
);
create function {schema}.note_written() returns trigger language plpgsql as $$
begin
    insert into {schema}.written
    select tg_table_name, kafka_partition, kafka_offset from new_rows;
    return null;
end
$$;
create table {schema}.checkouts (
    purchase_id text primary key,
    source text,
    quantity bigint not null,
    total_cost numeric not null
);
create table {schema}.checkouts_changes (
    change_id bigint generated always as identity primary key,
    purchase_id text not null
);
create table {schema}.checkouts_published (
    kafka_partition integer primary key,
    next_offset bigint not null,
    topic_id text
);
create view {schema}.checkouts_topic as
    select purchase_id, source, quantity, total_cost::text as total_cost
    from {schema}.checkouts;
create function {schema}.note_changed() returns trigger language plpgsql as $$
begin
    insert into {schema}.checkouts_changes (purchase_id)
    select purchase_id from changed_rows;
    return null;
end
$$;
"""

TRIGGER = """
create trigger {name} after {event} on {schema}.{table}
referencing {rows} table as {alias}
for each statement execute function {schema}.{function}()
"""

Payload = bytes | None
Sent = tuple[int, int, bytes | None, Payload]
"""Partition, offset, key and payload."""


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until the condition is true, and return its value."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")


class Worker:
    """A connector or publisher as a process; its log goes to a file."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"firstclick.workers.{name}"],
                env={**os.environ, **environment},
                stderr=output,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def says(self, text: str, times: int = 1) -> None:
        """Wait until its log holds the text so many times."""
        try:
            eventually(lambda: self.log.count(text) >= times, text)
        except AssertionError:
            print(self.log)
            raise

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


class World:
    """What a test sees of the servers."""

    def __init__(self, database_url: str, servers: str, directory: Path) -> None:
        self.database_url = database_url
        self.servers = servers
        self.schema = f"test_{uuid.uuid4().hex[:8]}"
        self.prefix = f"{self.schema}."
        self.sent: dict[str, list[Sent]] = {"clicks": [], "purchases": []}
        self.workers: list[Worker] = []
        self._directory = directory
        self._connection = psycopg.connect(database_url, autocommit=True)
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._producer = self._new_producer()

    def create_tables(self) -> None:
        self.execute(TABLES, indexed_key=sql.SQL(INDEXED_KEY))
        for table in ("raw_clicks", "raw_purchases"):
            for event in ("insert", "update"):
                self._create_trigger(table, event, "new", "new_rows", "note_written")
        for event, rows in (("insert", "new"), ("update", "new"), ("delete", "old")):
            self._create_trigger(
                "checkouts", event, rows, "changed_rows", "note_changed"
            )

    def drop_tables(self) -> None:
        self.execute("drop schema {schema}, {maintenance} cascade")
        self._connection.close()

    def _create_trigger(
        self, table: str, event: str, rows: str, alias: str, function: str
    ) -> None:
        self.execute(
            TRIGGER,
            table=sql.Identifier(table),
            event=sql.SQL(event),
            rows=sql.SQL(rows),
            alias=sql.Identifier(alias),
            function=sql.Identifier(function),
            name=sql.Identifier(f"{table}_{event}"),
        )

    def create_topic(self, topic: str, partitions: int = 3, **config: str) -> None:
        config = {
            "cleanup.policy": "compact,delete",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": "4000000",
        } | {name.replace("_", "."): value for name, value in config.items()}
        new = NewTopic(self.prefix + topic, partitions, 1, config=config)
        for created in self.admin.create_topics([new]).values():
            created.result(PATIENCE)

    def execute(
        self, statement: str, parameters: Iterable[Any] = (), **names: sql.Composable
    ) -> list[tuple[Any, ...]]:
        """Run SQL in a transaction of its own; ``{schema}`` is the world's."""
        query = sql.SQL(statement).format(
            schema=sql.Identifier(self.schema),
            maintenance=sql.Identifier(f"{self.schema}_maintenance"),
            **({"name": sql.Literal(self.schema)} | names),
        )
        try:
            cursor = self._connection.execute(query, list(parameters) or None)
        except psycopg.OperationalError:
            # The server may have been killed by the test
            self._connection = psycopg.connect(self.database_url, autocommit=True)
            cursor = self._connection.execute(query, list(parameters) or None)
        return cursor.fetchall() if cursor.description else []

    def start(self, name: str, **environment: str) -> Worker:
        log = self._directory / f"{name}-{len(self.workers)}.log"
        worker = Worker(
            name,
            {
                "DATABASE_URL": self.database_url,
                "KAFKA_BOOTSTRAP_SERVERS": self.servers,
                "FIRSTCLICK_SCHEMA": self.schema,
                "FIRSTCLICK_TOPIC_PREFIX": self.prefix,
                **environment,
            },
            log,
        )
        self.workers.append(worker)
        return worker

    def send(
        self,
        topic: str,
        messages: Iterable[tuple[bytes | None, Payload]],
        partition: int = -1,
        timestamp: int = 0,
    ) -> None:
        """Produce to Kafka; returns when it has acknowledged them all.

        ``timestamp``, in milliseconds, is for a topic that has its producers' times.
        """

        def note(error: object, message: Message) -> None:
            assert error is None, error
            partition, offset = message.partition(), message.offset()
            assert partition is not None and offset is not None
            self.sent[topic].append((partition, offset, message.key(), message.value()))

        for key, payload in messages:
            self._producer.produce(
                self.prefix + topic,
                payload,
                key,
                partition,
                on_delivery=note,
                timestamp=timestamp,
            )
            self._producer.poll(0)
        assert self._producer.flush(PATIENCE) == 0

    def _new_producer(self) -> Producer:
        return Cluster(self.servers).producer(
            {"message.max.bytes": 4_000_000, "linger.ms": 2}
        )

    def delete_topic(self, topic: str) -> None:
        """Delete it, and forget what was sent to it; returns when it is gone."""
        topic_changes.delete_topic(self.admin, self.prefix + topic)
        self.sent.get(topic, []).clear()
        # The old one would take the next topic of that name for this one
        self._producer = self._new_producer()

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Have the topic so many partitions from now on."""
        topic_changes.add_partitions(self.admin, self.prefix + topic, partitions)
        eventually(lambda: self.partitions(topic) == partitions, "the new partitions")

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Have Kafka delete the messages with smaller offsets."""
        topic_changes.delete_records(
            self.admin, self.prefix + topic, {partition: before}
        )

    def partitions(self, topic: str) -> int:
        """Ask how many there are; whoever sends knows it from then on."""
        name = self.prefix + topic
        return len(self._producer.list_topics(name, 10).topics[name].partitions)

    def expected(self, topic: str) -> list[Sent]:
        """What the topic's table has to hold: each key's last message, by offset."""
        last: dict[object, Sent] = {}
        for partition, offset, key, payload in sorted(self.sent[topic]):
            at = (partition, offset) if key is None else key
            last[at] = (partition, offset, key, payload)
        return sorted(row for row in last.values() if row[3] is not None)

    def rows(self, topic: str) -> list[Sent]:
        return self.execute(
            "select kafka_partition, kafka_offset, event_key, payload"
            " from {schema}.{table} order by 1, 2",
            table=sql.Identifier(f"raw_{topic}"),
        )

    def is_caught_up(self) -> bool:
        """Whether the offsets in the tables are at the end of what was sent."""
        ends = {
            (topic, partition): offset + 1
            for topic, sent in self.sent.items()
            for partition, offset, _, _ in sorted(sent)
        }
        read = {
            (topic, partition): offset
            for topic, partition, offset in self.execute(
                "select topic, kafka_partition, next_offset from {schema}.kafka_offsets"
            )
        }
        return all(read.get(at, 0) >= offset for at, offset in ends.items())

    def assert_carried(self) -> None:
        """Wait until all that was sent is read, then compare both tables with it."""
        try:
            eventually(self.is_caught_up, "all messages read")
        except AssertionError:
            print(*(worker.log for worker in self.workers), sep="\n")
            raise
        for topic in ("clicks", "purchases"):
            rows, expected = self.rows(topic), self.expected(topic)
            missing = sorted(set(expected) - set(rows))
            surplus = sorted(set(rows) - set(expected))
            assert rows == expected, f"{topic} lacks {missing}, has {surplus} too much"
        twice = self.execute(
            "select topic, kafka_partition, kafka_offset from {schema}.written"
            " group by 1, 2, 3 having count(*) > 1"
        )
        assert not twice, f"written twice: {twice}"

    def publish(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Write to the topic checkouts, as if the publisher had."""
        for key, value in messages:
            self._producer.produce(self.prefix + "checkouts", value, key)
        assert self._producer.flush(PATIENCE) == 0

    def published(self) -> list[tuple[bytes, Payload]]:
        """Return every message of the topic checkouts, by partition and offset."""
        name = self.prefix + "checkouts"
        with Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": "test",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        ) as consumer:
            partitions = [
                TopicPartition(name, partition, 0)
                for partition in consumer.list_topics(name, 10).topics[name].partitions
            ]
            ends: list[int] = []

            def are_known() -> bool:
                # Not at once, where the topic has just been created
                with contextlib.suppress(KafkaException):
                    ends[:] = [
                        consumer.get_watermark_offsets(at, 10)[1] for at in partitions
                    ]
                    return True
                return False

            eventually(are_known, f"the partitions' ends of {name}")
            consumer.assign(partitions)
            messages: list[Message] = []

            def read() -> bool:
                messages.extend(consumer.consume(1000, 0.05))
                return len(messages) >= sum(ends)

            eventually(read, f"{sum(ends)} messages of {name}")
        messages.sort(key=lambda message: (message.partition(), message.offset()))
        return [(message.key() or b"", message.value()) for message in messages]


@contextmanager
def new_world(database_url: str, servers: str) -> Iterator[World]:
    """Make tables, but no topics; in the end nothing is left of anything."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(database_url, servers, Path(directory))
        world.create_tables()
        try:
            yield world
        finally:
            for worker in world.workers:
                worker.kill()
            world.drop_tables()
            topics = [
                name
                for name in world.admin.list_topics(timeout=10).topics
                if name.startswith(world.prefix)
            ]
            if topics:
                for deleted in world.admin.delete_topics(topics).values():
                    deleted.result(PATIENCE)


def seeded() -> random.Random:
    """Return a generator whose seed is printed, and shown when the test fails."""
    seed = int(os.environ.get("FIRSTCLICK_TEST_SEED", 0)) or random.randrange(
        1, 1 << 32
    )
    print(f"FIRSTCLICK_TEST_SEED={seed}")
    return random.Random(seed)
