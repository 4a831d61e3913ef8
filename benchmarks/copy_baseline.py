"""The cost of the pipeline, compared with a bare COPY of the same rows."""

import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median

from psycopg import Connection, sql

from benchmarks.findings import Section
from benchmarks.shop_events import messages
from benchmarks.stage import Stage, staged
from firstclick.core.waiting import stoppable
from firstclick.workers.connector.batch import POSTGRES_EPOCH, Progress, Row, TopicBatch
from firstclick.workers.connector.binary import encode
from firstclick.workers.connector.offsets import Offsets
from firstclick.workers.connector.source import MOST_MESSAGES, TOPICS
from firstclick.workers.connector.tables import COPY, Tables

MOST_TIMES = 10
DENSITY = 1_000
"""Events per second of the shop's time."""

_PARTITION = 1_000_000
"""A partition that Kafka doesn't have, so that the stack's connector ignores it."""

BARE = """
create schema bare;
create table bare.raw_clicks (
    event_key bytea,
    payload bytea,
    kafka_partition integer,
    kafka_offset bigint,
    kafka_time timestamptz
);
create table bare.raw_purchases (like bare.raw_clicks)
"""


def copy(quick: bool, say: Callable[[str], None]) -> Section:
    """Time the connector's transaction against a bare COPY of the same rows.

    One session writes each batch of 5,000 events both ways, in alternating order, over
    TCP to the same server, without waiting for the disk at commit. The time counts from
    BEGIN to the answer to COMMIT and includes encoding the rows:

    - pipeline: the connector's own code. It looks for keys that exist already, copies
      into raw_clicks and raw_purchases with their indexes, fires every trigger, updates
      every model and stores the offsets.
    - bare: COPY of the same rows (the messages' keys, payloads, offsets and times) into
      two tables without indexes, constraints or triggers. The tables are committed
      beforehand: PostgreSQL may skip the WAL for a COPY into a table that the same
      transaction creates.

    Kafka's part isn't included. The publisher runs at the same time, and its load on
    the machine affects both.
    """
    section = Section("copy")
    rounds, held = (10, 20) if quick else (60, 100)
    with staged() as stage, stage.connect("writer") as connection:
        writer = _Writer(connection, stage)
        stream = batches()
        say(f"{held * MOST_MESSAGES:,} events to begin with")
        for number, batch in enumerate(islice(stream, held), 1):
            writer.pipeline(batch)
            # The connector forgets its plans, too, each time that the rows have doubled
            if number.bit_count() == 1:
                writer.forget_plans()
        say(f"{rounds} batches of {MOST_MESSAGES:,} events, both ways")
        ways: list[tuple[str, Callable[[dict[str, list[Row]]], float]]] = [
            ("bare", writer.bare),
            ("pipeline", writer.pipeline),
        ]
        seconds: dict[str, list[float]] = {name: [] for name, _ in ways}
        cpu = dict.fromkeys(seconds, 0.0)
        for number, batch in enumerate(islice(stream, rounds)):
            for name, write in ways if number % 2 else reversed(ways):
                before = stage.cpu_seconds()["PostgreSQL, writer"]
                seconds[name].append(write(batch))
                cpu[name] += stage.cpu_seconds()["PostgreSQL, writer"] - before
    of_event = 1e6 / MOST_MESSAGES
    bare, pipeline = (median(seconds[name]) for name, _ in ways)
    section.add("bare COPY, median", bare * of_event, "µs/event")
    section.add("pipeline, median", pipeline * of_event, "µs/event")
    section.add(
        "pipeline by bare COPY",
        pipeline / bare,
        "times",
        target=f"≤ {MOST_TIMES}",
        met=pipeline / bare <= MOST_TIMES,
    )
    for name, used in cpu.items():
        section.series[f"{name}_microseconds_per_event"] = [
            round(value * of_event, 2) for value in seconds[name]
        ]
        section.add(
            f"{name}, CPU of PostgreSQL's session",
            used * of_event / rounds,
            "µs/event",
        )
    return section


class _Writer:
    """A writer that stores a batch in either way, and returns the seconds it took."""

    def __init__(self, connection: Connection, stage: Stage) -> None:
        log = logging.getLogger(__name__)
        with stoppable() as stop:
            self._tables = Tables(connection, stage.stack.schema_name, stop, log)
        self._connection = connection
        self._offsets = dict.fromkeys(TOPICS, 0)
        connection.execute(BARE)
        offsets = Offsets(self._tables)
        with self._tables.transaction():
            for topic in TOPICS:
                offsets.add(topic, _PARTITION, 0, 0, None)

    def pipeline(self, batch: dict[str, list[Row]]) -> float:
        changes = {
            topic: TopicBatch({row[0]: row for row in rows if row[0] is not None})
            for topic, rows in batch.items()
        }
        progress = {
            topic: {_PARTITION: Progress(self._offsets[topic], end, end, rows[-1][4])}
            for topic, rows in batch.items()
            for end in [rows[-1][3] + 1]
        }
        start = time.perf_counter()
        with self._tables.transaction():
            self._tables.write(changes, progress)
            self._tables.advance(
                (
                    (topic, number, at)
                    for topic, partitions in progress.items()
                    for number, at in partitions.items()
                ),
                0.0,
            )
        seconds = time.perf_counter() - start
        self._offsets = {topic: rows[-1][3] + 1 for topic, rows in batch.items()}
        return seconds

    def forget_plans(self) -> None:
        """Make PostgreSQL plan the next statements for the tables' current sizes."""
        self._tables.forget_plans()

    def bare(self, batch: dict[str, list[Row]]) -> float:
        start = time.perf_counter()
        with self._connection.transaction():
            for topic, rows in batch.items():
                statement = sql.SQL(COPY).format(
                    table=sql.Identifier("bare", f"raw_{topic}")
                )
                with self._connection.cursor().copy(statement) as copying:
                    copying.write(encode(rows))
        return time.perf_counter() - start


def batches() -> Iterator[dict[str, list[Row]]]:
    """Yield the shop's messages by topic, in batches as large as the connector's."""
    stream = messages(time.time() - 3600, DENSITY, seed=1)
    offsets = dict.fromkeys(TOPICS, 0)
    while True:
        batch: dict[str, list[Row]] = {topic: [] for topic in TOPICS}
        for message in islice(stream, MOST_MESSAGES):
            offset = offsets[message.topic]
            offsets[message.topic] += 1
            kafka_time = message.at * 1000 - POSTGRES_EPOCH
            batch[message.topic].append(
                (message.key, message.payload, _PARTITION, offset, kafka_time)
            )
        yield batch
