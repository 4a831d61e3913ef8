"""How far each partition was read, and in which log.

An offset means nothing without the log that it belongs to. So for each partition, the
table kafka_offsets stores the topic's id and a digest of the last message read, beside
the next offset.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from firstclick.workers.connector.batch import PartitionId
from firstclick.workers.connector.tables import MICROSECONDS, Tables

STORED = """
select topic, kafka_partition, next_offset, topic_id, last_offset, last_digest,
    (extract(epoch from newest_kafka_time) * 1000000)::bigint - 946684800000000
from {schema}.kafka_offsets
"""

NEXT_OFFSETS = "select topic, kafka_partition, next_offset from {schema}.kafka_offsets"

ADD = """
insert into {schema}.kafka_offsets
    (topic, kafka_partition, next_offset, high_watermark, checked_at, topic_id)
values (%s, %s, %s, %s, clock_timestamp(), %s)
"""

NAME = "update {schema}.kafka_offsets set topic_id = %s where topic = %s"

REWIND = """
update {schema}.kafka_offsets
set next_offset = %s, last_offset = null, last_digest = null
where topic = %s and kafka_partition = %s
"""

FORGET = """
delete from {schema}.kafka_offsets where topic = %s
returning lost_messages, lost_at
"""

COUNT_LOST = """
update {schema}.kafka_offsets
set
    lost_messages = coalesce(lost_messages, 0) + %s,
    lost_at = coalesce(%s, clock_timestamp())
where topic = %s and kafka_partition = %s
"""

BLOCKS = "select pg_relation_size(%s::regclass) / current_setting('block_size')::bigint"

FREE_PARTITIONS = "select least(0, min(kafka_partition)) - 1 from {table}"

SET_ASIDE = """
update {table}
set kafka_partition = %(free)s - kafka_partition
where
    ctid >= %(first)s::tid
    and ctid < %(end)s::tid
    and kafka_partition >= 0
    and (%(partition)s::int4 is null or kafka_partition = %(partition)s)
    and kafka_offset >= %(offset)s
"""

SET_ASIDE_BLOCKS = 1_000
"""Blocks per transaction: 8 MB of a table, which is 10,000 to 50,000 messages."""

MESSAGES = f"""
select kafka_offset, event_key, {MICROSECONDS}
from {{table}}
where kafka_partition = %s and kafka_offset >= %s and kafka_offset < %s
order by kafka_offset desc
limit %s
"""


@dataclass(frozen=True)
class StoredOffset:
    """A partition's row of kafka_offsets."""

    next_offset: int
    topic_id: str | None
    """Kafka's id of the topic; None if an older version of First Click wrote the row,
    or if the brokers have no topic ids."""
    last_offset: int | None
    """The offset of the last message read; None if unknown, as after a rewind."""
    last_digest: bytes | None
    """The ``digest`` of that message."""
    newest_time: int | None
    """Kafka's latest timestamp, in microseconds since 2000."""


@dataclass(frozen=True)
class StoredMessage:
    """The parts of a stored message that identify it in Kafka."""

    offset: int
    key: bytes | None
    time: int
    """Kafka's timestamp, in microseconds since 2000."""


class Offsets:
    """The table kafka_offsets, and the stored messages before its offsets.

    Call the methods that change rows in a transaction, except ``set_aside``, which
    opens transactions itself.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def stored(self) -> dict[PartitionId, StoredOffset]:
        """Return the stored offset of each partition."""
        rows = self._run(STORED).fetchall()
        return {(topic, number): StoredOffset(*at) for topic, number, *at in rows}

    def add(
        self,
        topic: str,
        partition: int,
        offset: int,
        high_watermark: int,
        topic_id: str | None,
    ) -> None:
        """Insert a new partition, to be read from ``offset``."""
        self._run(ADD, topic, partition, offset, high_watermark, topic_id)

    def name(self, topic: str, topic_id: str | None) -> None:
        """Store the id of the topic that the offsets belong to."""
        self._run(NAME, topic_id, topic)

    def rewind(self, topic: str, partition: int, offset: int) -> None:
        """Set a partition back, so that it is read again from ``offset``."""
        self._run(REWIND, offset, topic, partition)

    def forget(self, topic: str) -> tuple[int, datetime | None]:
        """Delete a topic's offsets.

        Returns how many of its messages were lost, and when that was last noticed.
        """
        rows = self._run(FORGET, topic).fetchall()
        return (
            sum(lost or 0 for lost, _ in rows),
            max((at for _, at in rows if at is not None), default=None),
        )

    def count_lost(
        self, topic: str, partition: int, messages: int, at: datetime | None = None
    ) -> None:
        """Add messages that Kafka deleted before they were read to the count of lost.

        ``at`` is when that was noticed; None means now.
        """
        self._run(COUNT_LOST, messages, at, topic, partition)

    def set_aside(self, topic: str, partition: int | None, offset: int) -> int:
        """Mark messages as part of a log that Kafka no longer has; return how many.

        The messages are those of one partition, or of all if ``partition`` is None,
        from ``offset`` on. They stay in the table, under negative partition numbers
        that no other message has, and count as older than any new message. This takes
        several transactions; after an interruption, call it again.
        """
        table = self._tables.sql("{table}", topic)
        ((blocks,),) = self._run(BLOCKS, table.as_string()).fetchall()
        ((free,),) = self._run(FREE_PARTITIONS, of=topic).fetchall()
        count = 0
        for first in range(0, blocks, SET_ASIDE_BLOCKS):
            where = {
                "free": free,
                "first": f"({first},0)",
                "end": f"({first + SET_ASIDE_BLOCKS},0)",
                "partition": partition,
                "offset": offset,
            }
            with self._tables.transaction():
                count += self._tables.connection.execute(
                    self._tables.sql(SET_ASIDE, topic), where
                ).rowcount
        return count

    def messages(
        self, topic: str, partition: int, first: int, end: int, limit: int | None
    ) -> list[StoredMessage]:
        """Return stored messages with offsets from ``first`` to before ``end``.

        The greatest offsets come first. Returns at most ``limit`` messages, or all of
        them if it is None.
        """
        rows = self._run(MESSAGES, partition, first, end, limit, of=topic)
        return [StoredMessage(*row) for row in rows]

    def _run(
        self, statement: LiteralString, *parameters: object, of: str = ""
    ) -> psycopg.Cursor[Any]:
        return self._tables.connection.execute(
            self._tables.sql(statement, of), parameters
        )
