"""A database, topics and worker processes of a test's own, on the session's servers."""

import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
)
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

import topic_changes
from firstclick import oracle
from firstclick.core.cluster import Cluster
from firstclick.core.database import postgres_environment
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from forked_dbt import run_dbt

PATIENCE = 40.0
"""Seconds for a condition to come true."""

DATABASE = "world"
"""The name of every world's database: the functions that dbt deploys name it."""

MODELS = {"connector": "path:models/sources", "publisher": "+checkouts_topic"}
"""What dbt selects, by the worker that works on it."""

CHECKOUT = oracle.Checkout(
    purchase_id="a",
    user_id="u",
    product_id="p",
    click_id=None,
    product_name="Hat",
    category="Things",
    brand="Plain",
    gender="Female",
    payment_method="Visa",
    payment_status="success",
    failure_reason=None,
    click_at=None,
    source=None,
    quantity=1,
    total_cost=Decimal("1.50"),
    profit=Decimal("0.25"),
    purchase_time=datetime(2026, 11, 23, 18, 4, 5, 123_000, UTC),
    click_time=None,
)
"""A checkout for tests to vary."""

WRITTEN: LiteralString = """
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
create trigger note_inserted after insert on {schema}.raw_clicks
referencing new table as new_rows
for each statement execute function {schema}.note_written();
create trigger note_updated after update on {schema}.raw_clicks
referencing new table as new_rows
for each statement execute function {schema}.note_written();
create trigger note_inserted after insert on {schema}.raw_purchases
referencing new table as new_rows
for each statement execute function {schema}.note_written();
create trigger note_updated after update on {schema}.raw_purchases
referencing new table as new_rows
for each statement execute function {schema}.note_written();
"""
"""Notes each message that the connector writes, for `World.assert_carried`."""

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


def start_worker(name: str, stack: Pipeline, log: Path, **environment: str) -> Worker:
    """Start a worker of a pipeline; ``environment`` adds variables or replaces them."""
    return Worker(
        name,
        {
            "DATABASE_URL": stack.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "FIRSTCLICK_SCHEMA": stack.schema_name,
            "FIRSTCLICK_TOPIC_PREFIX": stack.topic_prefix,
            **environment,
        },
        log,
    )


class World:
    """A pipeline without its supervisor: a test starts each worker."""

    schema = "world"

    def __init__(self, database_url: str, servers: str, directory: Path) -> None:
        self.database_url = database_url
        self.servers = servers
        self.prefix = f"test_{uuid.uuid4().hex[:8]}."
        self.sent: dict[str, list[Sent]] = {"clicks": [], "purchases": []}
        self.workers: list[Worker] = []
        self._directory = directory
        self._connection = psycopg.connect(database_url, autocommit=True)
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._producer = self._new_producer()

    def close(self) -> None:
        """End the workers and delete the topics."""
        for worker in self.workers:
            worker.kill()
        self._connection.close()
        topics = [
            name
            for name in self.admin.list_topics(timeout=10).topics
            if name.startswith(self.prefix)
        ]
        if topics:
            for deleted in self.admin.delete_topics(topics).values():
                deleted.result(PATIENCE)

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
            **names,
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
        stack = Pipeline(
            *(self._directory, self.database_url, Cluster(self.servers)),
            *(self.schema, self.prefix),
        )
        worker = start_worker(name, stack, log, **environment)
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

    def upsert_checkouts(self, purchase_ids: Iterable[str], **columns: Any) -> None:
        """Write rows of `checkouts`, as the triggers of its parents would.

        ``columns`` replace those of `CHECKOUT`.
        """
        row = CHECKOUT._asdict() | columns
        del row["purchase_id"]
        self.execute(
            "insert into {schema}.checkouts (purchase_id, {names})"
            " select purchase_id, {values} from unnest(%s::text[]) as purchase_id"
            " on conflict (purchase_id) do update set {changes}",
            [list(purchase_ids)],
            names=sql.SQL(", ").join(map(sql.Identifier, row)),
            values=sql.SQL(", ").join(map(sql.Literal, row.values())),
            changes=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
                for name in row
            ),
        )

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
                with suppress(KafkaException):
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
def new_world(servers: Pipeline, worker: str = "connector") -> Iterator[World]:
    """Make a database with the models that a worker works on, but no topics.

    One at a time on the same servers. At the end nothing of it is left.
    """
    url = urlsplit(servers.database_url)._replace(path=f"/{DATABASE}").geturl()
    template = f"deployed_{worker}"
    find = "select 1 from pg_database where datname = %s"
    if not _as_superuser(servers, find, [template]):
        with _database(servers, "template1"):
            _deploy(url, MODELS[worker])
            _as_superuser(
                servers,
                "create database {template} template {database}",
                template=template,
            )
    with (
        _database(servers, template),
        tempfile.TemporaryDirectory() as directory,
        closing(World(url, servers.bootstrap_servers, Path(directory))) as world,
    ):
        yield world


@contextmanager
def _database(servers: Pipeline, template: str) -> Iterator[None]:
    """Copy a database for as long as the block runs."""
    _as_superuser(
        servers,
        "create database {database} owner {owner} template {template}",
        template=template,
    )
    try:
        yield
    finally:
        _as_superuser(servers, "drop database {database} with (force)")


def _deploy(url: str, models: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        deployment = run_dbt(
            *("build", "--select", models),
            *("--exclude-resource-type", "test", "unit_test"),
            directory=PROJECT,
            environment={
                **os.environ,
                **postgres_environment(url),
                "FIRSTCLICK_SCHEMA": World.schema,
                "DBT_TARGET_PATH": directory,
                "DBT_LOG_PATH": directory,
            },
        )
    assert deployment.returncode == 0, deployment.stdout
    with psycopg.connect(url) as connection:
        schema = sql.Identifier(World.schema)
        connection.execute(sql.SQL(WRITTEN).format(schema=schema))


def _as_superuser(
    servers: Pipeline,
    statement: LiteralString,
    parameters: Sequence[str] = (),
    template: str = "",
) -> list[tuple[Any, ...]]:
    """Run a statement in a session that has ended when this returns."""
    query = sql.SQL(statement).format(
        database=sql.Identifier(DATABASE),
        template=sql.Identifier(template),
        owner=sql.Identifier(str(conninfo_to_dict(servers.database_url)["user"])),
    )
    with psycopg.connect(
        servers.database_url,
        user="postgres",
        password=Home(servers.home).password("superuser"),
        autocommit=True,
    ) as connection:
        cursor = connection.execute(query, parameters or None)
        return cursor.fetchall() if cursor.description else []


def seeded() -> random.Random:
    """Return a generator whose seed is printed, and shown when the test fails."""
    seed = int(os.environ.get("FIRSTCLICK_TEST_SEED", 0)) or random.randrange(
        1, 1 << 32
    )
    print(f"FIRSTCLICK_TEST_SEED={seed}")
    return random.Random(seed)
