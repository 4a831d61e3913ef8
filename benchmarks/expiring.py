"""The cost of expiring old messages: deleting rows or dropping partitions."""

import tempfile
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any, LiteralString

from psycopg import Connection, Cursor, connect, sql

from benchmarks.copy_baseline import batches
from benchmarks.findings import Section
from firstclick.core.settings import Settings
from firstclick.operate import stack
from firstclick.workers.connector.batch import Row
from firstclick.workers.connector.binary import encode
from firstclick.workers.connector.source import MOST_MESSAGES
from firstclick.workers.connector.tables import COPY, DELETE, STORED, UPDATE

HOURS = 48
"""How many hours of messages a table keeps; with partitions, one for each hour."""

CORRECTED = 0.01
"""The share of clicks that repeat one of the last ``KEPT_FOR_LATER`` messages."""
KEPT_FOR_LATER = 200_000

COLUMNS: LiteralString = """
    event_key bytea,
    payload bytea not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    kafka_time timestamptz not null
"""

WHOLE = f"""
create table {{table}} (
    {COLUMNS},
    unique (event_key),
    primary key (kafka_partition, kafka_offset)
) with (autovacuum_enabled = off)
"""

PARTITIONED = (
    f"create table {{table}} ({COLUMNS}) partition by range (kafka_time)",
    "create index on {table} (event_key)",
    "create index on {table} (kafka_partition, kafka_offset)",
)

PARTITION = """
create table {partition} partition of {table}
for values from ({begin}) to ({end}) with (autovacuum_enabled = off)
"""

SIZE = """
select sum(pg_total_relation_size(oid))::bigint from pg_class
where relkind = 'r' and starts_with(relname, 'raw_' || %b)
"""

POSTGRES_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
HOUR_OF_KAFKA = 3_600_000_000
"""An hour in microseconds, the unit of PostgreSQL's binary timestamps."""


def expiring(quick: bool, say: Callable[[str], None]) -> Section:
    """Upsert and expire hours of messages in two ways, and compare their cost.

    The first way is a table like raw_clicks: its key is unique, and expired rows are
    deleted by their keys, then vacuumed. The second way has a partition for each hour,
    dropped when it expires. No index can be unique across partitions, so each upsert
    looks for the message's key in all of them. Both tables first fill up with 48 hours
    of messages. Then, hour by hour, the same number of messages is upserted in batches
    and expires; one in a hundred replaces an earlier message. No model reads these
    tables.
    """
    section = Section("expiring")
    hours, size = (3, 1) if quick else (24, 4)
    home = Path(tempfile.mkdtemp(prefix="firstclick-bench-"))
    settings = Settings.load().isolated(home)
    try:
        with (
            stack.up(settings, servers_only=True) as started,
            connect(started.pipeline.database_url, autocommit=True) as connection,
        ):
            connection.execute("set synchronous_commit to off")
            ways = [Deleted(connection), Dropped(connection)]
            messages = _messages(Random(1))
            for hour in range(HOURS + hours):
                if hour == HOURS:
                    say(f"{HOURS * size * MOST_MESSAGES:,} messages to begin with")
                arrived = [list(islice(messages, MOST_MESSAGES)) for _ in range(size)]
                # Alternating, so that neither way always runs first
                for way in ways if hour % 2 else reversed(ways):
                    way.pass_hour(hour, arrived)
    finally:
        rmtree(home)
    events = hours * size * MOST_MESSAGES
    for way in ways:
        name = way.name
        written, expired = (1e6 * sum(spent[-hours:]) / events for spent in way.seconds)
        section.add(f"{name}: written", written, "µs/event")
        section.add(f"{name}: expired", expired, "µs/event")
        section.add(f"{name}: both", written + expired, "µs/event")
        section.add(f"{name}: space before anything expired", way.sizes[0] / 1e6, "MB")
        section.add(f"{name}: space in the end", way.sizes[-1] / 1e6, "MB")
        section.series[name] = {
            "seconds_to_write": [round(spent, 4) for spent in way.seconds[0]],
            "seconds_to_expire": [round(spent, 4) for spent in way.seconds[1]],
            "bytes": way.sizes,
        }
    return section


class Way(ABC):
    """A way to store and expire an hour of messages at a time."""

    def __init__(self, connection: Connection) -> None:
        self.seconds: tuple[list[float], list[float]] = [], []
        """How long each hour took to write, and how long to expire."""
        self.sizes: list[int] = []
        """The table's size with indexes, in bytes, at each hour from the 48th on."""
        self._connection = connection
        self.name = type(self).__name__.lower()
        self._names = {"table": sql.Identifier(f"raw_{self.name}")}
        self._hours: deque[set[bytes]] = deque()
        self._make()

    def pass_hour(self, hour: int, arrived: list[list[Row]]) -> None:
        """Write the batches of an hour; once 48 hours are stored, expire the oldest."""
        self._begin_hour(hour)
        keys: set[bytes] = set()
        start = time.perf_counter()
        for rows in arrived:
            latest = {row[0]: (*row[:4], hour * HOUR_OF_KAFKA) for row in rows}
            rows = list(latest.values())
            with self._connection.transaction():
                self._upsert(rows)
            keys.update(row[0] for row in rows if row[0] is not None)
        self.seconds[0].append(time.perf_counter() - start)
        for older in self._hours:
            older -= keys
        self._hours.append(keys)
        start = time.perf_counter()
        if len(self._hours) > HOURS:
            self._expire(hour - HOURS, list(self._hours.popleft()))
        self.seconds[1].append(time.perf_counter() - start)
        if len(self._hours) == HOURS:
            self.sizes.append(self._size())

    @abstractmethod
    def _make(self) -> None: ...

    @abstractmethod
    def _begin_hour(self, hour: int) -> None:
        """Prepare the table for the messages of an hour."""

    @abstractmethod
    def _replace(self, rows: list[Row]) -> None:
        """Replace the stored rows that have the same keys."""

    @abstractmethod
    def _expire(self, hour: int, keys: list[bytes]) -> None:
        """Delete the messages of an hour; ``keys`` are the ones that it still holds."""

    def _size(self) -> int:
        row = self._execute(SIZE, [self.name]).fetchone()
        assert row is not None
        return int(row[0])

    def _upsert(self, rows: list[Row]) -> None:
        found = self._execute(STORED, [[row[0] for row in rows]]).fetchall()
        existing = {key for key, *_ in found}
        if existing:
            self._replace([row for row in rows if row[0] in existing])
        self._copy([row for row in rows if row[0] not in existing])

    def _copy(self, rows: list[Row]) -> None:
        copy = sql.SQL(COPY).format(**self._names)
        with self._connection.cursor().copy(copy) as copying:
            copying.write(encode(rows))

    def _execute(
        self,
        statement: LiteralString,
        parameters: list[Any] | None = None,
        **names: sql.Composable,
    ) -> Cursor:
        query = sql.SQL(statement).format(**self._names, **names)
        cursor = self._connection.cursor(binary=True)
        return cursor.execute(query, parameters, prepare=False)


class Deleted(Way):
    """A table like raw_clicks, vacuumed at the end of each hour."""

    def _make(self) -> None:
        self._execute(WHOLE)

    def _begin_hour(self, hour: int) -> None:
        pass

    def _replace(self, rows: list[Row]) -> None:
        self._execute(UPDATE, [list(column) for column in zip(*rows, strict=True)])

    def _expire(self, hour: int, keys: list[bytes]) -> None:
        for begin in range(0, len(keys), MOST_MESSAGES):
            self._execute(DELETE, [keys[begin : begin + MOST_MESSAGES]])
        self._execute("vacuum {table}")


class Dropped(Way):
    """A table with a partition for each hour of Kafka's time."""

    def _make(self) -> None:
        for statement in PARTITIONED:
            self._execute(statement)

    def _begin_hour(self, hour: int) -> None:
        begin, end = (
            sql.Literal(POSTGRES_BEGIN + timedelta(hours=each))
            for each in (hour, hour + 1)
        )
        self._execute(PARTITION, partition=_partition(hour), begin=begin, end=end)

    def _replace(self, rows: list[Row]) -> None:
        self._execute(DELETE, [[row[0] for row in rows]])
        self._copy(rows)

    def _expire(self, hour: int, keys: list[bytes]) -> None:
        self._execute("drop table {partition}", partition=_partition(hour))


def _partition(hour: int) -> sql.Identifier:
    return sql.Identifier(f"raw_dropped_{hour}")


def _messages(random: Random) -> Iterator[Row]:
    """Yield clicks endlessly, a share of ``CORRECTED`` of them a second time."""
    earlier: deque[Row] = deque(maxlen=KEPT_FOR_LATER)
    for batch in batches():
        for row in batch["clicks"]:
            yield row
            earlier.append(row)
            if random.random() < CORRECTED:
                key, payload, *_ = random.choice(earlier)
                yield (key, payload, row[2], -row[3] - 1, row[4])
