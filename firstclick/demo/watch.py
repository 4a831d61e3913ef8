"""Watch the database from outside, by queries that anybody could send.

Freshness here is the time from a message's arrival in Kafka (the timestamp that the
broker gave it) until a query returns that the message is in the tables. All relations
have it by then, because the same transaction updates them. Every message that the
connector stores while we watch is counted, including those that waited because the
database was down.

The query is sent every 10 ms, or after a pause of three times its own duration. The
time until the next query is part of the figure, so freshness is never understated.
Kafka's clock and ours must agree.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from firstclick.core.database import connect
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import one_line
from firstclick.demo.answers import Answers, ask
from firstclick.demo.freshness import Freshness

PACE_SECONDS = 5.0
"""The period over which events a second are averaged."""

_PROBE_SECONDS = 0.01
"""The shortest pause between two queries for freshness."""
_ANSWER_SECONDS = 0.5
"""The shortest pause between two queries for the insights."""
_PROBE_IDLE, _ANSWER_IDLE = 3, 9
"""A pause is at least this many times as long as the query before it, so that watching
takes little of the database's time.
"""

_RETRY_SECONDS = 0.5
"""The pause before another attempt to connect."""
_SILENT_SECONDS = 2.0
"""A query without an answer for this long means that PostgreSQL doesn't answer."""
_NO_HEARTBEAT_SECONDS = 5.0
"""Without a heartbeat for this long, Kafka or the connector counts as away.

The connector compares its offsets with Kafka's every second, but not within a batch.
"""

_PROBE = """
with seen as (
    select topic, kafka_partition, next_offset
    from unnest(%s::text[], %s::integer[], %s::bigint[])
        as seen (topic, kafka_partition, next_offset)
)
select
    kafka_offsets.topic,
    kafka_offsets.kafka_partition,
    kafka_offsets.next_offset,
    kafka_offsets.high_watermark,
    extract(epoch from clock_timestamp() - kafka_offsets.checked_at)::float8 as silent,
    fresh.kafka_time,
    fresh.messages
from kafka_offsets
left join seen using (topic, kafka_partition)
left join lateral (
    select extract(epoch from kafka_time)::float8 as kafka_time, count(*) as messages
    from base_clicks
    where
        kafka_offsets.topic = 'clicks'
        and base_clicks.kafka_partition = kafka_offsets.kafka_partition
        and base_clicks.kafka_offset >= seen.next_offset
        and base_clicks.kafka_offset < kafka_offsets.next_offset
    group by 1
    union all
    select extract(epoch from kafka_time)::float8 as kafka_time, count(*) as messages
    from int_purchases_validated
    where
        kafka_offsets.topic = 'purchases'
        and int_purchases_validated.kafka_partition = kafka_offsets.kafka_partition
        and int_purchases_validated.kafka_offset >= seen.next_offset
        and int_purchases_validated.kafka_offset < kafka_offsets.next_offset
    group by 1
) as fresh on true
"""

Offsets = dict[tuple[str, int], int]
"""The offset of the next message, by topic (without prefix) and partition."""


@dataclass(frozen=True)
class Away:
    """Why nothing new can be shown, and for how many seconds."""

    reason: str
    seconds: float


@dataclass(frozen=True)
class Snapshot:
    """Everything that a view shows.

    ``messages`` were stored since ``begin``, the first of them ``seconds`` ago;
    ``pace`` is how many per second lately; ``waiting`` are in Kafka but not in the
    tables yet. Percentiles are in milliseconds: ``p50`` and ``p99`` of the last minute,
    ``overall`` of all time.
    """

    seconds: float
    messages: int
    pace: float
    waiting: int
    p50: int | None
    p99: int | None
    overall: tuple[int | None, ...]
    answers: Answers | None
    away: Away | None


class Watch:
    """Two sessions that watch the database, as a context manager."""

    def __init__(self, stack: Pipeline) -> None:
        self._stack = stack
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seen: Offsets = {}
        self._waiting = 0
        self._answers: Answers | None = None
        self._asked = 0.0
        self._away: dict[str, tuple[str, float]] = {}
        self._pending: float | None = None
        self._silent_since = math.inf
        self.begin()
        self._threads = [
            threading.Thread(target=self._keep, args=(work,), name=name, daemon=True)
            for name, work in (("probe", self._probe), ("ask", self._ask))
        ]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2)

    def begin(self) -> None:
        """Start counting from zero."""
        with self._lock:
            self._began: float | None = None
            self._messages = 0
            self._freshness = Freshness()
            self._counts = deque([(time.monotonic(), 0)])

    def snapshot(self) -> Snapshot:
        """Return the current state."""
        with self._lock:
            now = time.monotonic()
            while len(self._counts) > 1 and self._counts[1][0] <= now - PACE_SECONDS:
                self._counts.popleft()
            since, messages = self._counts[0]
            p50, p99 = self._freshness.last_minute(now, 0.5, 0.99)
            return Snapshot(
                seconds=now - (self._began or now),
                messages=self._messages,
                pace=(self._messages - messages) / max(now - since, 1.0),
                waiting=self._waiting,
                p50=p50,
                p99=p99,
                overall=self._freshness.overall(0.5, 0.99),
                answers=self._answers,
                away=self._absence(now),
            )

    @property
    def is_ready(self) -> bool:
        """True once both sessions have had their first answer."""
        with self._lock:
            return bool(self._seen) and self._answers is not None

    def has_seen(self, offsets: Offsets) -> bool:
        """Return whether tables and answers have all messages before these offsets."""
        with self._lock:
            return all(self._seen.get(at, 0) >= next for at, next in offsets.items())

    def answered_since(self, moment: float) -> bool:
        """Return whether the answers were queried after this ``time.monotonic()``."""
        with self._lock:
            return self._asked >= moment

    def _absence(self, now: float) -> Away | None:
        away = list(self._away.values())
        if self._pending is not None and now - self._pending > _SILENT_SECONDS:
            away.append(("PostgreSQL does not answer", self._pending))
        if now - self._silent_since > _NO_HEARTBEAT_SECONDS and not away:
            away.append(("Kafka or the connector is away", self._silent_since))
        if not away:
            return None
        reason, since = min(away, key=lambda each: each[1])
        return Away(reason, now - since)

    def _keep(self, work: Callable[[psycopg.Connection[Any]], None]) -> None:
        name = threading.current_thread().name
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    work(connection)
            except psycopg.OperationalError:
                self._is_away(name, "PostgreSQL is away")
            except psycopg.Error as error:
                self._is_away(name, f"PostgreSQL: {one_line(error)}")
            self._stop.wait(_RETRY_SECONDS)

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[Any]]:
        with connect(
            self._stack.database_url,
            autocommit=True,
            application_name="firstclick demo",
            connect_timeout=5,
        ) as connection:
            connection.execute(
                sql.SQL("set search_path to {}").format(
                    sql.Identifier(self._stack.schema_name)
                )
            )
            connection.execute("set statement_timeout to '30s'")
            yield connection

    def _is_away(self, name: str, reason: str) -> None:
        with self._lock:
            since = self._away.get(name, (reason, time.monotonic()))[1]
            self._away[name] = reason, since
            self._pending = None

    def _probe(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            self._pending = started = time.monotonic()
            seen = [(*at, offset) for at, offset in self._seen.items()]
            columns = [list(column) for column in zip(*seen, strict=True)]
            rows = connection.execute(_PROBE, columns or [[], [], []]).fetchall()
            self._note(rows, time.time())
            taken = time.monotonic() - started
            self._stop.wait(max(_PROBE_SECONDS, _PROBE_IDLE * taken))

    def _ask(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            answers = ask(connection)
            with self._lock:
                self._answers = answers
                self._asked = started
                self._away.pop("ask", None)
            taken = time.monotonic() - started
            self._stop.wait(max(_ANSWER_SECONDS, _ANSWER_IDLE * taken))

    def _note(self, rows: list[tuple[Any, ...]], arrived: float) -> None:
        with self._lock:
            now = time.monotonic()
            offsets: Offsets = {}
            waiting: Offsets = {}
            silent = math.inf
            for topic, partition, offset, watermark, age, kafka_time, messages in rows:
                offsets[topic, partition] = offset
                silent = min(silent, age)
                waiting[topic, partition] = max(0, watermark - offset)
                if kafka_time is not None:
                    self._freshness.add(now, arrived - kafka_time, messages)
            self._messages += sum(
                max(0, offset - self._seen.get(at, offset))
                for at, offset in offsets.items()
            )
            if self._began is None and self._messages:
                self._began = now
            self._seen.update(offsets)
            self._pending = None
            self._away.pop("probe", None)
            self._silent_since = now - silent if rows else math.inf
            self._waiting = sum(waiting.values())
            if now - self._counts[-1][0] > 0.1:
                self._counts.append((now, self._messages))
