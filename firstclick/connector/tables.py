"""The connector's side of PostgreSQL: messages in, offsets with them."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable

from firstclick.connector.batch import Progress, Row, TopicBatch
from firstclick.connector.binary import encode
from firstclick.worker import Stop

BEGIN = """
begin;
set local lock_timeout to '1s';
select {maintenance}.serialise();
set local lock_timeout to default
"""

EXISTING_KEYS = "select event_key from {table} where event_key = any(%b)"

EXISTING_OFFSETS = """
select kafka_partition, kafka_offset
from {table}
inner join unnest(%b::int4[], %b::int8[]) as new (kafka_partition, kafka_offset)
    using (kafka_partition, kafka_offset)
where event_key is null
"""

DELETE = "delete from {table} where event_key = any(%b)"

UPDATE = """
update {table} as stored
set
    payload = new.payload,
    kafka_partition = new.kafka_partition,
    kafka_offset = new.kafka_offset,
    kafka_time = timestamptz '2000-01-01 00:00:00+00'
        + new.microseconds * interval '1 microsecond'
from
    unnest(%b::bytea[], %b::bytea[], %b::int4[], %b::int8[], %b::int8[]) as new
    (event_key, payload, kafka_partition, kafka_offset, microseconds)
where stored.event_key = new.event_key
"""

COPY = """
copy {table} (event_key, payload, kafka_partition, kafka_offset, kafka_time)
from stdin (format binary)
"""

COPY_TYPES = ["bytea", "bytea", "int4", "int8", "int8"]
"""The last is a time as the binary format has it, microseconds since 2000."""

OFFSETS = "select topic, kafka_partition, next_offset from {schema}.kafka_offsets"

ADD_OFFSET = """
insert into {schema}.kafka_offsets
    (topic, kafka_partition, next_offset, high_watermark, checked_at)
values (%s, %s, %s, %s, clock_timestamp())
"""

ADVANCE = """
update {schema}.kafka_offsets as stored
set
    next_offset = read.next_offset,
    high_watermark = read.high_watermark,
    newest_kafka_time = greatest(
        stored.newest_kafka_time,
        timestamptz '2000-01-01 00:00:00+00'
            + read.microseconds * interval '1 microsecond'
    ),
    checked_at = clock_timestamp() - %b * interval '1 second'
from
    unnest(%b::text[], %b::int4[], %b::int8[], %b::int8[], %b::int8[], %b::int8[])
    as read
    (topic, kafka_partition, expected, next_offset, high_watermark, microseconds)
where
    stored.topic = read.topic
    and stored.kafka_partition = read.kafka_partition
    and stored.next_offset = read.expected
"""


class Fenced(Exception):
    """Someone else changed kafka_offsets since they were read."""


class Tables:
    """What the connector reads and writes, in a session of its own.

    The session does not wait for the disk at commit (``synchronous_commit`` is off).
    That is safe here: the rows and the offsets of a batch are in one transaction, so
    where a crash of PostgreSQL's loses its last transactions, their messages are read
    again from Kafka.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        schema: str,
        stop: Stop,
        log: logging.Logger,
    ) -> None:
        self._connection = connection
        self._stop = stop
        self._log = log
        self._names = {
            "schema": sql.Identifier(schema),
            "maintenance": sql.Identifier(f"{schema}_maintenance"),
        }
        connection.execute("set synchronous_commit to off")
        connection.execute("set jit to off")

    def _sql(self, statement: LiteralString, topic: str = "") -> sql.Composed:
        table = sql.SQL("{}.{}").format(
            self._names["schema"], sql.Identifier(f"raw_{topic}")
        )
        return sql.SQL(statement).format(**self._names, table=table)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock that the pipeline's writers share, then commit.

        Raises worker.Stopped when a signal comes before the lock does.
        """
        self._begin()
        try:
            yield
        except BaseException:
            if not self._connection.broken:
                self._connection.rollback()
            raise
        self._connection.commit()

    def _begin(self) -> None:
        said = False
        while True:
            try:
                self._connection.execute(self._sql(BEGIN))
                return
            except LockNotAvailable:
                self._connection.rollback()
                if not said:
                    self._log.info("waiting for another writer, dbt perhaps")
                    said = True
                self._stop.wait(0)

    def offsets(self) -> dict[tuple[str, int], int]:
        """Return the next offset to read of each topic and partition."""
        rows = self._connection.execute(self._sql(OFFSETS)).fetchall()
        return {(topic, partition): offset for topic, partition, offset in rows}

    def add_offset(
        self, topic: str, partition: int, offset: int, high_watermark: int
    ) -> None:
        """Note where to begin with a new partition; within a transaction."""
        self._connection.execute(
            self._sql(ADD_OFFSET), [topic, partition, offset, high_watermark]
        )

    def advance(
        self, progress: Iterable[tuple[str, int, Progress]], age: float
    ) -> None:
        """Store how far partitions were read; within a transaction.

        ``age`` is how many seconds ago Kafka's high watermarks were taken.
        Raises Fenced when one of the stored offsets is not what it was.
        """
        rows = [
            (topic, number, at.stored, at.reached, at.high_watermark, at.newest_time)
            for topic, number, at in progress
        ]
        if not rows:
            return
        columns = [list(column) for column in zip(*rows, strict=True)]
        if self._execute(ADVANCE, [age, *columns]).rowcount != len(rows):
            raise Fenced

    def forget_plans(self) -> None:
        """Have the triggers' statements planned anew, for the tables as they are."""
        self._connection.execute("discard plans")

    def write(self, batches: Mapping[str, TopicBatch]) -> None:
        """Bring the tables of messages up to date; within a transaction."""
        for topic, batch in batches.items():
            rows = [row for row in batch.latest.values() if row[1] is not None]
            if len(rows) < len(batch.latest):
                tombstones = [
                    key for key, row in batch.latest.items() if row[1] is None
                ]
                self._execute(DELETE, [tombstones], topic)
            if rows:
                rows = self._update(rows, topic)
            if batch.keyless:
                rows += self._new_offsets(batch.keyless, topic)
            if rows:
                self._copy(rows, topic)

    def _execute(
        self, statement: LiteralString, parameters: list[Any], topic: str = ""
    ) -> psycopg.Cursor:
        # Not prepared: the best plan depends on how large table and arrays are now.
        return self._connection.cursor(binary=True).execute(
            self._sql(statement, topic), parameters, prepare=False
        )

    def _update(self, rows: list[Row], topic: str) -> list[Row]:
        """Update the rows whose keys exist; returns the others."""
        keys = list(map(itemgetter(0), rows))
        found = self._execute(EXISTING_KEYS, [keys], topic).fetchall()
        if not found:
            return rows
        existing = {key for (key,) in found}
        changed = [row for row in rows if row[0] in existing]
        columns = [list(column) for column in zip(*changed, strict=True)]
        self._execute(UPDATE, columns, topic)
        return [row for row in rows if row[0] not in existing]

    def _new_offsets(self, rows: list[Row], topic: str) -> list[Row]:
        """Return the rows without a key that are not in the table from before."""
        columns = [[row[2] for row in rows], [row[3] for row in rows]]
        existing = set(self._execute(EXISTING_OFFSETS, columns, topic).fetchall())
        return [row for row in rows if (row[2], row[3]) not in existing]

    def _copy(self, rows: list[Row], topic: str) -> None:
        with self._connection.cursor().copy(self._sql(COPY, topic)) as copy:
            copy.write(encode(rows))
