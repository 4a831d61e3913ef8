"""A pipeline at work: feed it, wait until it has settled, and compare it."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, LiteralString, Self, TypeVar

import psycopg
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient
from psycopg import sql
from psycopg.rows import dict_row

from comparison import Difference, compare
from events import Send
from firstclick import oracle, verify
from firstclick.core.cluster import describe_topics
from firstclick.core.database import postgres_environment
from firstclick.core.engines import ENGINES
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick.verify.findings import Row
from firstclick.verify.sample import live_messages
from firstclick_generator import generate
from forked_dbt import run_dbt
from moments import Moments
from topic_reader import TopicReader

EVENTS = ("clicks", "purchases")
TOPIC_COLUMNS = ("key", *oracle.Checkout._fields)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLL = 0.02

Value = TypeVar("Value")

PATIENCE = 60
"""Seconds that an engine has until it shows what it was sent."""


def time_dependent(relation: str) -> bool:
    """Whether a relation depends on the moment at which it is read."""
    return relation == "earliest_clicks" or relation.startswith("last_hour_")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What relations held at one moment, and which one that was by the engine."""

    now: datetime
    rows: dict[str, list[Row]]


class Harness:
    """A running pipeline, seen through its topics and its relations alone.

    Connections are made when they are needed and made again when they broke: the
    servers may be killed meanwhile. ``patience`` is in seconds, for each wait.
    """

    def __init__(
        self, stack: Pipeline, target: str = "embedded", patience: float = PATIENCE
    ) -> None:
        self.stack = stack
        self.engine = ENGINES[target]
        self.patience = patience
        self._connection: psycopg.Connection[Row] | None = None
        self._messages: list[oracle.Message] = []
        self._logs = dict.fromkeys(EVENTS, 0)
        """How often each topic was created again."""
        self._published: dict[str, bytes] = {}
        self._readers = {
            topic: self._new_reader(topic) for topic in (*EVENTS, "checkouts")
        }
        self._producer = self._new_producer()
        self._admin = AdminClient({**stack.kafka.client(), "log_level": 0})
        self._exits = ExitStack()
        self._moments = (
            self._exits.enter_context(Moments(stack.database_url, self.engine.now))
            if self.engine.may_be_behind
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._exits.close()
        for reader in self._readers.values():
            reader.close()
        self._disconnect()

    @property
    def database(self) -> psycopg.Connection[Row]:
        """A session in autocommit mode.

        On the embedded engine, names without a schema are the pipeline's there.
        """
        return self._connect()

    def query(self, statement: LiteralString, *parameters: Any) -> list[Row]:
        return self.database.execute(statement, parameters or None).fetchall()

    def execute(
        self, statement: LiteralString, parameters: Sequence[Any] = ()
    ) -> list[Row]:
        """Run a statement, in which ``{schema}`` is the pipeline's and ``{sources}``
        that of the reference data.

        What it writes is seen by every later query. Raises psycopg.Error.
        """
        query = sql.SQL(statement).format(
            schema=sql.Identifier(self.stack.schema_name),
            sources=sql.Identifier(self._sources),
        )
        cursor = self._connect().execute(query, parameters or None)
        if cursor.description is not None:
            return cursor.fetchall()
        if self.engine.flush is not None:
            self._connect().execute(self.engine.flush)
        return []

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1
    ) -> None:
        """Send one message, as `publish` does; by default the key decides where."""
        self.publish([Send(topic, key, value)], partition)

    def publish(self, messages: Iterable[Send], partition: int = -1) -> None:
        """Send messages in this order; returns when Kafka has acknowledged all.

        Raises KafkaException for the first that it refuses.
        """
        failures: list[KafkaError] = []

        def note(error: KafkaError | None, message: KafkaMessage) -> None:
            if error is not None:
                failures.append(error)

        for topic, key, value in messages:
            name = self.stack.topic_prefix + topic
            while True:
                try:
                    self._producer.produce(
                        name, value, key, partition, on_delivery=note
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        left = self._producer.flush(self.patience)
        if failures:
            raise KafkaException(failures[0])
        if left:
            raise TimeoutError(
                f"{left} messages are not acknowledged after {self.patience:.0f} s, "
                "expected all: see whether Kafka runs"
            )

    @contextmanager
    def flowing(self, rate: float, anomaly_rate: float) -> Iterator[None]:
        """Run the generator for as long as the block runs; it sends some clicks."""
        stop = threading.Event()
        with ThreadPoolExecutor() as pool:
            produced = pool.submit(
                generate,
                self.stack.bootstrap_servers,
                rate=rate,
                duration=None,
                anomaly_rate=anomaly_rate,
                stop=stop,
            )
            try:
                yield
            finally:
                stop.set()
            assert produced.result().clicks > 0

    def settle(self) -> None:
        """Wait until all that Kafka holds now is in the relations.

        Where SQL tells how far each partition has been read, by that, and until all
        changes are published. Elsewhere a last message is put behind all others in
        each partition, and waited for until it is a rejected row: the relations of
        one moment then hold all that came before. Raises TimeoutError.
        """
        if self.engine.has_progress:
            # With the topics' ids: what is stored may be of one that is gone
            ids = self.eventually(self._topic_ids, "the topics' ids")
            ends = {
                (topic, ids[topic], number): end
                for topic in EVENTS
                for number, end in self.ends(topic).items()
            }
            self.eventually(lambda: self._has_applied(ends), f"all applied of {ends}")
            self.await_publisher()
            self.eventually(
                lambda: (
                    not self.execute("select from {schema}.checkouts_changes limit 1")
                ),
                "all changes published",
            )
        else:
            last = self._publish_last_messages()
            self.eventually(
                lambda: last <= set(self.execute(_REJECTIONS)),
                f"the last messages rejected: {sorted(last)}",
            )

    def messages(self) -> list[oracle.Message]:
        """Return all that the topics hold, read back from Kafka, in no order.

        With what they held when this was asked before, should Kafka have deleted it.
        """
        for topic in EVENTS:
            for message in self._readers[topic].read(self.patience):
                number, offset = message.partition(), message.offset()
                assert number is not None and offset is not None
                self._messages.append(
                    oracle.Message(
                        topic,
                        _as_bytes(message.key()),
                        _as_bytes(message.value()),
                        _EPOCH + timedelta(milliseconds=message.timestamp()[1]),
                        number,
                        offset,
                        self._logs[topic],
                    )
                )
        return self._messages

    @contextmanager
    def replacing(self, topic: str) -> Iterator[None]:
        """Take a topic for another one after the block, which creates it again.

        What it held counts as older from then on. Enter it when all is settled: the
        embedded engine shows the old messages in partitions that are free now.
        """
        if topic in EVENTS:
            self.messages()
            [(free,)] = self.execute(
                "select least(0, min(kafka_partition)) - 1 from {schema}.raw_clicks"
                if topic == "clicks"
                else "select least(0, min(kafka_partition)) - 1"
                " from {schema}.raw_purchases"
            )
        yield
        self._readers[topic].close()
        self._readers[topic] = self._new_reader(topic)
        self._producer = self._new_producer()
        if topic == "checkouts":
            self._published = {}
            return
        log = self._logs[topic]
        self._messages = [
            replace(message, partition=free - message.partition)
            if (message.topic, message.log) == (topic, log)
            else message
            for message in self._messages
        ]
        self._logs[topic] = log + 1

    def ends(self, topic: str) -> dict[int, int]:
        """Each partition's high watermark. Raises TimeoutError."""
        return self.eventually(
            self._readers[topic].ends, f"the ends of the topic {topic}"
        )

    def await_publisher(self) -> None:
        """Wait until the embedded engine publishes to the topic that there is.

        One that was created again lacks what is published. Raises TimeoutError.
        """
        topic_id = self.eventually(self._topic_ids, "the topics' ids")["checkouts"]
        self.eventually(
            lambda: (
                self.execute(
                    "select distinct topic_id from {schema}.checkouts_published"
                )
                == [(topic_id,)]
            ),
            "the publisher at the topic checkouts that there is",
        )

    def forget(self, topic: str, lost: Mapping[int, range]) -> None:
        """Forget messages that no engine has seen, by partition and offset."""
        self._messages = [
            message
            for message in self.messages()
            if (message.topic, message.log) != (topic, self._logs[topic])
            or message.offset not in lost.get(message.partition, ())
        ]

    def await_partitions(self, topic: str, partitions: int) -> None:
        """Wait until what is published goes to so many. Raises TimeoutError."""
        name = self.stack.topic_prefix + topic
        self.eventually(
            lambda: (
                len(self._producer.list_topics(name, 10).topics[name].partitions)
                == partitions
            ),
            f"{partitions} partitions of {topic}",
        )

    def published(self) -> dict[str, bytes]:
        """Return the last message of each key of the topic `checkouts`."""
        for message in self._readers["checkouts"].read(self.patience):
            key = (_as_bytes(message.key()) or b"").decode()
            value = _as_bytes(message.value())
            if value is None:
                self._published.pop(key, None)
            else:
                self._published[key] = value
        return self._published

    def checkouts(self) -> list[dict[str, Any]]:
        """Return the rows of `checkouts`."""
        with self.database.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("select * from checkouts").fetchall()

    def reference(self) -> oracle.Reference:
        """Return the reference data as the tables have it now."""
        users, products = (
            [
                dict(zip(columns, row, strict=True))
                for row in self._rows_of(self._sources, table, columns)
            ]
            for table, columns in _REFERENCE.items()
        )
        return oracle.Reference.of_rows(users, products)

    def rows_of(self, relation: str, columns: Iterable[str]) -> list[Row]:
        """Return these columns of a relation's rows, in no order."""
        return self._rows_of(self.stack.schema_name, relation, columns)

    def keys_of(self, topic: str) -> list[bytes]:
        """The keys of the topic's messages that the engine's source has."""
        raw = sql.Identifier(self._sources, f"raw_{topic}")
        statement = sql.SQL("select event_key from ({messages}) as messages").format(
            messages=live_messages(self.engine, raw)
        )
        return [
            bytes(key)
            for (key,) in self._connect().execute(statement)
            if key is not None
        ]

    def snapshot(
        self,
        relations: Iterable[str] = oracle.COLUMNS,
        *,
        whole_millisecond: bool = False,
    ) -> Snapshot:
        """Return what relations hold at one moment, in the contract's columns.

        With ``whole_millisecond`` at one that an event's time can equal: it is
        waited for. Raises TimeoutError, psycopg.Error.
        """
        connection = self._connect()
        deadline = time.monotonic() + self.patience
        try:
            connection.execute(self.engine.begin)
            while whole_millisecond and self.engine.has_microseconds:
                if self._moment().microsecond % 1000 == 0:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError("no transaction began on a whole millisecond")
                connection.execute("rollback")
                connection.execute(self.engine.begin)
            rows = {name: self.rows_of(name, self.columns(name)) for name in relations}
            # Asked for last: Materialize takes the moment from the first relation
            return Snapshot(self._moment(), rows)
        finally:
            with suppress(psycopg.OperationalError):
                connection.execute("rollback")

    def columns(self, relation: str) -> tuple[str, ...]:
        """The columns of a relation that this engine can know."""
        columns = oracle.COLUMNS[relation]
        if relation == "pipeline_health" and not self.engine.has_progress:
            return columns[: columns.index("newest_kafka_time")]
        return columns

    def differences(self) -> list[Difference]:
        """Return in what the settled pipeline differs from the oracle.

        All relations at one moment, and the topic `checkouts`: none where it is
        right. What may be behind the moment has until it is not.
        """
        deadline = time.monotonic() + self.patience
        while True:
            found = self._differences_now()
            late = all(time_dependent(difference.relation) for difference in found)
            if not (found and late and self.engine.may_be_behind):
                return found
            if time.monotonic() > deadline:
                return found

    def sql_differences(self) -> dict[str, list[verify.Example]]:
        """Return the rows in which a relation differs from what its model's plain SQL
        makes of the raw tables.

        On the embedded engine; unlike `differences`, in the middle of the stream too.
        """
        with verify.snapshot(self.stack.database_url, self.stack.schema_name) as (
            connection,
            models,
        ):
            return {
                finding.relation: finding.examples
                for finding in verify.recompute(connection, models)
                if finding.differing
            }

    def dbt(
        self, *arguments: str, project: Path = PROJECT
    ) -> subprocess.CompletedProcess[str]:
        """Run dbt on the embedded engine; each project has a target folder."""
        return run_dbt(
            *arguments,
            directory=project,
            environment={
                **os.environ,
                **postgres_environment(self.stack.database_url),
                "FIRSTCLICK_SCHEMA": self.stack.schema_name,
                "FIRSTCLICK_TOPIC_PREFIX": self.stack.topic_prefix,
                "DBT_TARGET_PATH": str(self.stack.home / "target" / project.name),
                "DBT_LOG_PATH": str(self.stack.home / "logs"),
            },
        )

    def _differences_now(self) -> list[Difference]:
        reference = self.reference()
        snapshot = self.snapshot()
        expected: dict[str, list[Row]] = {}
        for name, rows in oracle.relations(
            self.messages(), reference, snapshot.now
        ).items():
            width = len(self.columns(name))
            expected[name] = [row[:width] for row in rows]
        lasting = {
            name: rows for name, rows in expected.items() if not time_dependent(name)
        }
        return [
            *compare(
                lasting, snapshot.rows, {name: self.columns(name) for name in lasting}
            ),
            *self.time_dependent_differences(
                expected["stg_clicks"], expected["checkouts"], snapshot
            ),
            *self._differences_of_topic(expected["checkouts"]),
        ]

    def time_dependent_differences(
        self, stg_clicks: Iterable[Row], checkouts: Iterable[Row], snapshot: Snapshot
    ) -> list[Difference]:
        """Return in what the relations that depend on the moment differ from the
        oracle's at the snapshot's, or each at one shortly before where that may be.
        """
        events = (
            [oracle.Click(*row) for row in stg_clicks],
            [oracle.Checkout(*row) for row in checkouts],
        )
        expected = oracle.time_dependent(*events, snapshot.now)
        differences = compare(expected, snapshot.rows, oracle.COLUMNS)
        for earlier in self._moments.before(snapshot.now) if self._moments else []:
            if not differences:
                break
            expected = oracle.time_dependent(*events, earlier)
            differences = [
                difference
                for difference in differences
                if compare(
                    {difference.relation: expected[difference.relation]},
                    snapshot.rows,
                    oracle.COLUMNS,
                )
            ]
        return differences

    def eventually(self, condition: Callable[[], Value], what: str) -> Value:
        """Wait until a condition is true, and return its value.

        A server that does not answer is waited for as well. Raises TimeoutError.
        """
        deadline = time.monotonic() + self.patience
        reason = ""
        while True:
            try:
                if value := condition():
                    return value
                reason = ""
            except (psycopg.OperationalError, KafkaException) as error:
                reason = f" ({error})"
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {self.patience:.0f} s: {what}{reason}")
            time.sleep(_POLL)

    @property
    def _sources(self) -> str:
        return self.engine.sources_of(self.stack.schema_name)

    def _rows_of(self, schema: str, relation: str, columns: Iterable[str]) -> list[Row]:
        query = sql.SQL("select {} from {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.Identifier(schema, relation),
        )
        return [tuple(map(_in_utc, row)) for row in self._connect().execute(query)]

    def _differences_of_topic(self, checkouts: list[Row]) -> list[Difference]:
        expected = [
            (key, *value.values())
            for key, value in oracle.checkout_messages(checkouts).items()
        ]

        def differences() -> list[Difference]:
            found = [_topic_row(*item) for item in self.published().items()]
            return compare(
                {"topic checkouts": expected},
                {"topic checkouts": found},
                {"topic checkouts": TOPIC_COLUMNS},
            )

        if not self.engine.has_progress:
            with suppress(TimeoutError):
                self.eventually(lambda: not differences(), "all changes published")
        return differences()

    def _has_applied(self, ends: dict[tuple[str, str | None, int], int]) -> bool:
        applied = {
            (topic, topic_id, number): offset
            for topic, topic_id, number, offset in self.execute(
                "select topic, topic_id, kafka_partition, next_offset"
                " from {schema}.kafka_offsets"
            )
        }
        return all(applied.get(at, 0) >= end for at, end in ends.items())

    def _topic_ids(self) -> dict[str, str | None]:
        prefix = self.stack.topic_prefix
        names = [prefix + topic for topic in self._readers]
        found = describe_topics(self._admin, names, self.patience)
        return {name.removeprefix(prefix): topic.id for name, topic in found.items()}

    def _new_reader(self, topic: str) -> TopicReader:
        return TopicReader(self.stack.kafka, self.stack.topic_prefix + topic)

    def _new_producer(self) -> Producer:
        return self.stack.kafka.producer(
            {"message.max.bytes": 4_000_000, "linger.ms": 2}
        )

    def _publish_last_messages(self) -> set[tuple[str, int, int]]:
        last: set[tuple[str, int, int]] = set()

        def note(error: KafkaError | None, message: KafkaMessage) -> None:
            if error is not None:
                raise KafkaException(error)
            topic = message.topic()
            number, offset = message.partition(), message.offset()
            assert topic is not None and number is not None and offset is not None
            last.add((topic.removeprefix(self.stack.topic_prefix), number, offset))

        for topic in EVENTS:
            for number in self._readers[topic].ends():
                self._producer.produce(
                    self.stack.topic_prefix + topic,
                    b"not an event",
                    f"last of partition {number}".encode(),
                    number,
                    on_delivery=note,
                )
        self._producer.flush(self.patience)
        return last

    def _moment(self) -> datetime:
        [(now,)] = self._connect().execute(self.engine.now).fetchall()
        moment: datetime = _in_utc(now)
        return moment

    def _connect(self) -> psycopg.Connection[Row]:
        if self._connection is None or self._connection.broken:
            self._disconnect()
            path = f"-c search_path={self.stack.schema_name}"
            self._connection = psycopg.connect(
                self.stack.database_url,
                autocommit=True,
                connect_timeout=10,
                options=path if self.engine.name == "embedded" else None,
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_REJECTIONS: LiteralString = (
    "select topic, kafka_partition, kafka_offset from {schema}.rejections"
)

_REFERENCE = {
    "users": ("user_id", "gender"),
    "products": (
        *("product_id", "product_name", "category", "brand", "price"),
        "commission_rate",
    ),
}


def _as_bytes(data: bytes | str | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data


def _in_utc(value: Any) -> Any:
    # Materialize's timestamps may be without a zone
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


@lru_cache(100_000)
def _topic_row(key: str, value: bytes) -> Row:
    """A message of `checkouts` as a row, its decimals in the oracle's form."""
    fields = json.loads(value)
    if not isinstance(fields, dict) or set(fields) != set(oracle.Checkout._fields):
        return (key, value, *[None] * (len(TOPIC_COLUMNS) - 2))
    for name in ("total_cost", "profit"):
        if isinstance(fields[name], str):
            with suppress(InvalidOperation):
                fields[name] = oracle.in_json(Decimal(fields[name]))
    return (key, *(fields[name] for name in oracle.Checkout._fields))
