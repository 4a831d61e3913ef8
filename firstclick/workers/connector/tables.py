"""The connector's side of PostgreSQL: messages in, offsets with them."""

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
"""Between them is every message's time, in microseconds since 2000."""

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
"""As the index has it, letter by letter but for white space."""

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
"""The last is a time as the binary format has it, microseconds since 2000."""

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
        self.connection = connection
        self.topics_with_deletions: set[str] = set()
        """Those that had some when last seen: what is read may be older than one."""
        self._stop = stop
        self._log = log
        self._names = {
            "schema": sql.Identifier(schema),
            "maintenance": sql.Identifier(f"{schema}_maintenance"),
        }
        connection.execute("set synchronous_commit to off")
        connection.execute("set jit to off")

    def sql(self, statement: LiteralString, topic: str = "") -> sql.Composed:
        """Put in the schemas' names, and that of the topic's table of messages."""
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
        """See which topics have deletions that older messages may come after."""
        rows = self.connection.execute(self.sql(TOPICS_WITH_DELETIONS)).fetchall()
        self.topics_with_deletions = {topic for (topic,) in rows}

    def forget_deletions(self, topic: str, before: int = LAST_MICROSECOND) -> None:
        """Forget the deletions that Kafka stamped earlier; within a transaction.

        ``before`` is in microseconds since 2000.
        """
        self._execute(FORGET_DELETIONS, [topic, before])

    def advance(
        self, progress: Iterable[tuple[str, int, Progress]], age: float
    ) -> None:
        """Store how far partitions were read; within a transaction.

        ``age`` is how many seconds ago Kafka's high watermarks were taken.
        Raises Fenced when one of the stored offsets is not what it was.
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
        """Have the triggers' statements planned again, for the tables as they are now.

        Autovacuum analyzes a new table within some ten seconds; until then PostgreSQL
        would plan without knowing anything of what it holds.
        """
        self.connection.execute(self.sql("select {maintenance}.analyze_tables()"))
        self.connection.execute("discard plans")

    def write(
        self,
        batches: Mapping[str, TopicBatch],
        progress: Mapping[str, Mapping[int, Progress]],
    ) -> None:
        """Bring the tables of messages up to date; within a transaction."""
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
        # Not prepared: the best plan depends on how large table and arrays are now.
        return self.connection.cursor(binary=True).execute(
            self.sql(statement, topic), parameters, prepare=False
        )

    def _update(self, latest: Mapping[bytes, Row], topic: str) -> list[Row]:
        """Update the rows whose keys exist; returns the others, and tombstones.

        Left out is what is older than what is known of its key.
        """
        keys = list(latest)
        stored = self._positions(STORED, [keys], topic)
        known = stored
        if topic in self.topics_with_deletions:
            # What is stored came after any deletion that is remembered of its key
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
        """Keep the tombstones that an older message may come after.

        That is one of another partition, not read yet: it was stamped no earlier than
        the newest message that was read there.
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
        """Return the rows without a key that are not in the table from before."""
        columns = [[row[2] for row in rows], [row[3] for row in rows]]
        existing = set(self._execute(EXISTING_OFFSETS, columns, topic).fetchall())
        return [row for row in rows if (row[2], row[3]) not in existing]

    def _copy(self, rows: list[Row], topic: str) -> None:
        with self.connection.cursor().copy(self.sql(COPY, topic)) as copy:
            copy.write(encode(rows))


def _identity(last: Message | None) -> tuple[int | None, bytes | None]:
    return (None, None) if last is None else (last.offset(), digest(last))
