"""The connector's side of PostgreSQL: writes messages together with their offsets."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from confluent_kafka import Message
from psycopg import sql
from psycopg.errors import LockNotAvailable

from firstclick.core.waiting import Stop
from firstclick.workers.connector.batch import (
    FIRST_TIME,
    LAST_TIME,
    LONGEST_INDEXED_KEY,
    POSTGRES_EPOCH,
    Position,
    Progress,
    Row,
    TopicBatch,
    digest,
    indexed_key,
    is_newer,
)
from firstclick.workers.connector.binary import encode

FIRST_MICROSECOND = FIRST_TIME * 1000 - POSTGRES_EPOCH
LAST_MICROSECOND = LAST_TIME * 1000 - POSTGRES_EPOCH
"""The earliest and the latest time of a message, in microseconds since 2000."""

# Waits at most a second for the lock, so that the connector can react to a signal and
# log that it waits
BEGIN = """
begin;
set local lock_timeout to '1s';
select {maintenance}.lock_writers();
set local lock_timeout to default
"""

INDEXED_KEY = f"""
case
    when octet_length(event_key) <= {LONGEST_INDEXED_KEY} then event_key
    else sha256(event_key) || substr(event_key, 1, {LONGEST_INDEXED_KEY + 1 - 32})
end
"""
"""The expression of the index on message keys. PostgreSQL only uses the index if both
expressions are the same, apart from white space."""

MICROSECONDS = """
(extract(epoch from kafka_time) * 1000000)::bigint - 946684800000000
"""

STORED = f"""
select {INDEXED_KEY}, kafka_partition, kafka_offset, {MICROSECONDS}
from {{table}}
where {INDEXED_KEY} = any(%b)
"""

DELETED = f"""
select event_key, kafka_partition, kafka_offset, {MICROSECONDS}
from {{schema}}.kafka_tombstones
where topic = %b and event_key = any(%b)
"""

REMEMBER_DELETIONS = """
insert into {schema}.kafka_tombstones
    (topic, event_key, kafka_partition, kafka_offset, kafka_time)
select
    %b,
    new.event_key,
    new.kafka_partition,
    new.kafka_offset,
    timestamptz '2000-01-01 00:00:00+00'
        + new.microseconds * interval '1 microsecond'
from
    unnest(%b::bytea[], %b::int4[], %b::int8[], %b::int8[]) as new
    (event_key, kafka_partition, kafka_offset, microseconds)
on conflict (topic, event_key) do update set
    kafka_partition = excluded.kafka_partition,
    kafka_offset = excluded.kafka_offset,
    kafka_time = excluded.kafka_time
"""

FORGET_DELETIONS = """
delete from {schema}.kafka_tombstones
where
    topic = %b
    and kafka_time < timestamptz '2000-01-01 00:00:00+00'
        + %b::int8 * interval '1 microsecond'
"""

TOPICS_WITH_DELETIONS = "select distinct topic from {schema}.kafka_tombstones"

EXISTING_OFFSETS = """
select kafka_partition, kafka_offset
from {table}
inner join unnest(%b::int4[], %b::int8[]) as new (kafka_partition, kafka_offset)
    using (kafka_partition, kafka_offset)
where event_key is null
"""

DELETE = f"delete from {{table}} where {INDEXED_KEY} = any(%b)"

UPDATE = f"""
update {{table}} as stored
set
    payload = new.payload,
    kafka_partition = new.kafka_partition,
    kafka_offset = new.kafka_offset,
    kafka_time = timestamptz '2000-01-01 00:00:00+00'
        + new.microseconds * interval '1 microsecond'
from
    unnest(%b::bytea[], %b::bytea[], %b::int4[], %b::int8[], %b::int8[]) as new
    (indexed_key, payload, kafka_partition, kafka_offset, microseconds)
where {INDEXED_KEY} = new.indexed_key
"""

COPY = """
copy {table} (event_key, payload, kafka_partition, kafka_offset, kafka_time)
from stdin (format binary)
"""

COPY_TYPES = ["bytea", "bytea", "int4", "int8", "int8"]
"""The last one is a timestamp, which the binary format writes as microseconds since
2000."""

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
    last_offset = coalesce(read.last_offset, stored.last_offset),
    last_digest = coalesce(read.last_digest, stored.last_digest),
    checked_at = clock_timestamp() - %b * interval '1 second'
from
    unnest(
        %b::text[], %b::int4[], %b::int8[], %b::int8[],
        %b::int8[], %b::int8[], %b::int8[], %b::bytea[]
    ) as read
    (
        topic, kafka_partition, expected, next_offset,
        high_watermark, microseconds, last_offset, last_digest
    )
where
    stored.topic = read.topic
    and stored.kafka_partition = read.kafka_partition
    and stored.next_offset = read.expected
"""


class Fenced(Exception):
    """Somebody else changed kafka_offsets since the connector read it."""


class Tables:
    """The tables that the connector reads and writes, in one session.

    Commits in this session don't wait for the disk (``synchronous_commit`` is off).
    That is safe here: a batch's rows and offsets are in one transaction, so if
    PostgreSQL crashes and loses the last transactions, the connector reads their
    messages from Kafka again.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        schema: str,
        stop: Stop,
        log: logging.Logger,
    ) -> None:
        self.connection = connection
        self.topics_with_deletions: set[str] = set()
        """Topics with remembered tombstones, which may be newer than a message that
        arrives later from another partition."""
        self._stop = stop
        self._log = log
        self._names = {
            "schema": sql.Identifier(schema),
            "maintenance": sql.Identifier(f"{schema}_maintenance"),
        }
        connection.execute("set synchronous_commit to off")
        # Batches are small: compiling a statement would cost more than it saves
        connection.execute("set jit to off")

    def sql(self, statement: LiteralString, topic: str = "") -> sql.Composed:
        """Insert the schemas' names, and the name of the topic's raw table."""
        table = sql.SQL("{}.{}").format(
            self._names["schema"], sql.Identifier(f"raw_{topic}")
        )
        return sql.SQL(statement).format(**self._names, table=table)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin a transaction with the writers' lock, and commit it after the block.

        If the block raises, the transaction is rolled back. Raises Stopped if a signal
        arrives before the lock is free.
        """
        self._begin()
        try:
            yield
        except BaseException:
            if not self.connection.broken:
                self.connection.rollback()
            raise
        self.connection.commit()

    def _begin(self) -> None:
        said = False
        while True:
            try:
                self.connection.execute(self.sql(BEGIN))
                return
            except LockNotAvailable:
                self.connection.rollback()
                if not said:
                    self._log.info("waiting for another writer, dbt perhaps")
                    said = True
                self._stop.wait(0)

    def load_deletions(self) -> None:
        """Load the names of the topics that have remembered tombstones."""
        rows = self.connection.execute(self.sql(TOPICS_WITH_DELETIONS)).fetchall()
        self.topics_with_deletions = {topic for (topic,) in rows}

    def forget_deletions(self, topic: str, before: int = LAST_MICROSECOND) -> None:
        """Delete the remembered tombstones that Kafka stamped before a time.

        ``before`` is in microseconds since 2000. Call it in a transaction.
        """
        self._execute(FORGET_DELETIONS, [topic, before])

    def advance(
        self, progress: Iterable[tuple[str, int, Progress]], age: float
    ) -> None:
        """Store how far the partitions were read. Call it in a transaction.

        ``age`` is how many seconds ago Kafka reported the high watermarks. Raises
        Fenced if a stored offset is no longer the one that the connector last wrote.
        """
        rows = [
            (
                *(topic, number, at.stored, at.reached, at.high_watermark),
                *(at.newest_time, *_identity(at.last)),
            )
            for topic, number, at in progress
        ]
        if not rows:
            return
        columns = [list(column) for column in zip(*rows, strict=True)]
        if self._execute(ADVANCE, [age, *columns]).rowcount != len(rows):
            raise Fenced

    def forget_plans(self) -> None:
        """Analyze the tables and make PostgreSQL plan the triggers' statements again.

        Autovacuum analyzes a new table only after about ten seconds. Until then,
        PostgreSQL would make its plans without statistics.
        """
        self.connection.execute(self.sql("select {maintenance}.analyze_tables()"))
        self.connection.execute("discard plans")

    def write(
        self,
        batches: Mapping[str, TopicBatch],
        progress: Mapping[str, Mapping[int, Progress]],
    ) -> None:
        """Upsert and delete rows of the raw tables. Call it in a transaction."""
        for topic, batch in batches.items():
            rows = self._update(batch.latest, topic) if batch.latest else []
            gone = [row for row in rows if row[1] is None]
            if gone:
                keys = [indexed_key(row[0] or b"") for row in gone]
                self._execute(DELETE, [keys], topic)
                self._remember(keys, gone, topic, progress[topic])
                rows = [row for row in rows if row[1] is not None]
            if batch.keyless:
                rows += self._new_offsets(batch.keyless, topic)
            if rows:
                self._copy(rows, topic)

    def _execute(
        self, statement: LiteralString, parameters: list[Any], topic: str = ""
    ) -> psycopg.Cursor:
        # Not prepared: the best plan depends on the current size of table and arrays
        return self.connection.cursor(binary=True).execute(
            self.sql(statement, topic), parameters, prepare=False
        )

    def _update(self, latest: Mapping[bytes, Row], topic: str) -> list[Row]:
        """Update the rows whose keys exist; return the new rows and the tombstones.

        Ignores messages that are older than the stored message or the remembered
        tombstone with the same key.
        """
        keys = list(latest)
        stored = self._positions(STORED, [keys], topic)
        known = stored
        if topic in self.topics_with_deletions:
            # A stored row is newer than any remembered tombstone of its key, so it wins
            known = self._positions(DELETED, [topic, keys]) | stored
        if not known:
            return list(latest.values())
        others: list[Row] = []
        changed: list[Row] = []
        for key, row in latest.items():
            if key in known and not is_newer(row[2:], known[key]):
                continue
            exists = key in stored and row[1] is not None
            if exists:
                changed.append((key, *row[1:]))
            else:
                others.append(row)
        if changed:
            columns = [list(column) for column in zip(*changed, strict=True)]
            self._execute(UPDATE, columns, topic)
        return others

    def _positions(
        self, statement: LiteralString, parameters: list[Any], topic: str = ""
    ) -> dict[bytes, Position]:
        rows = self._execute(statement, parameters, topic).fetchall()
        return {key: (partition, at, time) for key, partition, at, time in rows}

    def _remember(
        self,
        keys: list[bytes],
        tombstones: list[Row],
        topic: str,
        partitions: Mapping[int, Progress],
    ) -> None:
        """Remember the tombstones that an older message could still follow.

        Such a message is in another partition, not read yet. Its timestamp is no
        earlier than that of the newest message read there, so only later tombstones
        need to be remembered.
        """
        reached = {
            here: min(
                (
                    FIRST_MICROSECOND if at.newest_time is None else at.newest_time
                    for number, at in partitions.items()
                    if number != here
                ),
                default=LAST_MICROSECOND,
            )
            for here in partitions
        }
        kept = [
            (key, *row[2:])
            for key, row in zip(keys, tombstones, strict=True)
            if row[4] >= reached[row[2]]
        ]
        if kept:
            columns = [list(column) for column in zip(*kept, strict=True)]
            self._execute(REMEMBER_DELETIONS, [topic, *columns])
            self.topics_with_deletions.add(topic)

    def _new_offsets(self, rows: list[Row], topic: str) -> list[Row]:
        """Return the rows without a key that the table doesn't have yet."""
        columns = [[row[2] for row in rows], [row[3] for row in rows]]
        existing = set(self._execute(EXISTING_OFFSETS, columns, topic).fetchall())
        return [row for row in rows if (row[2], row[3]) not in existing]

    def _copy(self, rows: list[Row], topic: str) -> None:
        with self.connection.cursor().copy(self.sql(COPY, topic)) as copy:
            copy.write(encode(rows))


def _identity(last: Message | None) -> tuple[int | None, bytes | None]:
    return (None, None) if last is None else (last.offset(), digest(last))
