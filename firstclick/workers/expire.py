"""Retention: deletes expired events by sending a tombstone to Kafka for each of them.

The relation expired_events lists the expired events, the same on every engine. After a
tombstone, the engine removes the event and everything derived from it, and Kafka's
compaction removes the message. If a pass finds an event again before its tombstone has
arrived, it sends a second one, which changes nothing. So you may interrupt a pass, or
run several at a time.

If the engine is behind, the next pass waits until the tombstones of the last one have
arrived: sending them again and again would keep the engine behind. Run this module as
``python -m firstclick.workers.expire``.
"""

import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import psycopg
from psycopg import sql

from firstclick.core.database import connect
from firstclick.core.durations import hours_of_messages
from firstclick.core.errors import ServerError
from firstclick.core.metrics import ExpireMetrics, left
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import Backoff, Stop, one_line, stoppable
from firstclick.workers.topic import NotDelivered, Topic
from firstclick.workers.worker import main

TOPICS = ("clicks", "purchases")

EVERY_SECONDS = 60.0
"""From the start of one pass to the start of the next."""

BATCH = 5_000
"""How many tombstones are sent before waiting until Kafka has acknowledged them."""

EXPIRED = "select topic, event_id, hexadecimal_key from {schema}.expired_events"

MARKS = 100
"""How many keys, the last ones of each topic, represent all that a pass deleted."""

LEFT = """
select exists (
    select 1 from {schema}.expired_events
    where event_id = any(%s) or hexadecimal_key = any(%s)
)
"""

COUNTED = "select topic, count(*) from {schema}.expired_events group by topic"

KEYLESS = """
delete from {table}
where event_key is null and kafka_time < now() - %s * interval '1 hour'
"""


@dataclass(frozen=True)
class Expired:
    """The number of expired events by topic."""

    clicks: int
    purchases: int

    def __str__(self) -> str:
        return f"{self.clicks:,} clicks and {self.purchases:,} purchases"


class Pace:
    """When the next pass is due, and the keys that represent the last one."""

    def __init__(self, every: float) -> None:
        self._every = self._patience = every
        self._begun = 0.0
        self.marks: dict[str, deque[str | bytes]] = {}

    def begin(self) -> None:
        """Note that a pass begins, and forget the keys of the last one."""
        self._begun = time.monotonic()
        self.marks = {topic: deque(maxlen=MARKS) for topic in TOPICS}

    @property
    def until_next(self) -> float:
        """Seconds until the next pass may begin."""
        return max(0.0, self._begun + self._every - time.monotonic())

    def waits(self, are_left: bool) -> bool:
        """Return whether to let the engine catch up before the next pass.

        ``are_left`` says whether it still has events that the last pass deleted. The
        wait is bounded, because their tombstones may be lost, and doubles each time:
        for example 1, 2 and 4 minutes, so that few tombstones are sent twice.
        """
        if not are_left:
            self._patience = self._every
            return False
        if time.monotonic() < self._begun + self._patience:
            return True
        self._patience *= 2
        return False


class Expirer:
    """A database session, and producers for both topics."""

    def __init__(
        self, connection: psycopg.Connection, pipeline: Pipeline, stop: Stop
    ) -> None:
        self._connection = connection
        self._stop = stop
        self._names = {
            "schema": sql.Identifier(pipeline.schema_name),
            "maintenance": sql.Identifier(f"{pipeline.schema_name}_maintenance"),
        }
        self._pipeline = pipeline
        self._topics = {topic: Topic(pipeline, topic, stop) for topic in TOPICS}

    def count(self) -> Expired:
        """Count the events that a pass would delete."""
        rows = self._connection.execute(sql.SQL(COUNTED).format(**self._names))
        return Expired(**(dict.fromkeys(TOPICS, 0) | dict(rows.fetchall())))

    def are_left(self, marks: Mapping[str, Iterable[str | bytes]]) -> bool:
        """Return whether the engine still has an expired event with one of these keys.

        ``marks`` has the keys by topic.
        """
        keys = [key for of_topic in marks.values() for key in of_topic]
        if not keys:
            return False
        row = self._connection.execute(
            sql.SQL(LEFT).format(**self._names),
            [
                [key for key in keys if isinstance(key, str)],
                [key.hex() for key in keys if isinstance(key, bytes)],
            ],
        ).fetchone()
        return row == (True,)

    def run(self, marks: Mapping[str, deque[str | bytes]] | None = None) -> Expired:
        """Send a tombstone for each expired event, and return how many that were.

        The keys are streamed, so memory is bounded. They are also appended to
        ``marks``, by topic. Raises NotDelivered, psycopg.Error and Stopped.
        """
        sent = Counter[str]()
        waiting: dict[str, list[str | bytes]] = {topic: [] for topic in TOPICS}
        for topic, key in self._keys():
            waiting[topic].append(key)
            if len(waiting[topic]) == BATCH:
                self._delete(topic, waiting[topic])
                waiting[topic] = []
            sent[topic] += 1
            if marks is not None:
                marks[topic].append(key)
        for topic, keys in waiting.items():
            self._delete(topic, keys)
        if self._pipeline.target == "embedded":
            self._forget_keyless()
        return Expired(**{topic: sent[topic] for topic in TOPICS})

    def _forget_keyless(self) -> None:
        """Delete messages without a key that are older than Kafka's retention.

        A tombstone needs a key, so it can't delete them from the embedded engine's
        tables.
        """
        with self._connection.transaction():
            self._connection.execute(
                sql.SQL("select {maintenance}.lock_writers()").format(**self._names)
            )
            for topic in TOPICS:
                table = sql.Identifier(self._pipeline.schema_name, f"raw_{topic}")
                self._connection.execute(
                    sql.SQL(KEYLESS).format(table=table),
                    [hours_of_messages(self._pipeline.project)],
                )

    def _keys(self) -> Iterator[tuple[str, str | bytes]]:
        with self._connection.cursor() as cursor:
            statement = sql.SQL(EXPIRED).format(**self._names)
            for topic, event_id, key in cursor.stream(statement, size=1_000):
                yield topic, bytes.fromhex(key) if event_id is None else event_id

    def _delete(self, topic: str, keys: list[str | bytes]) -> None:
        if keys:
            self._topics[topic].send((key, None) for key in keys)


@contextmanager
def expirer(pipeline: Pipeline, stop: Stop) -> Iterator[Expirer]:
    """Connect to the database for the duration of the block. Raises psycopg.Error."""
    with connect(
        pipeline.database_url,
        target=pipeline.target,
        autocommit=True,
        application_name="firstclick expire",
        connect_timeout=5,
    ) as connection:
        yield Expirer(connection, pipeline, stop)


def expire_once(pipeline: Pipeline, *, dry_run: bool = False) -> Expired:
    """Delete the expired events, or only count them if ``dry_run`` is set.

    Raises ServerError if Kafka or the database fails.
    """
    try:
        with stoppable() as stop, expirer(pipeline, stop) as session:
            return session.count() if dry_run else session.run()
    except (psycopg.Error, NotDelivered) as error:
        raise ServerError(
            f"nothing more can be expired: {one_line(error)}; see that the pipeline "
            "runs and its models are deployed, and run it again"
        ) from error


def expire(
    pipeline: Pipeline, stop: Stop, log: logging.Logger, every: float = EVERY_SECONDS
) -> None:
    """Delete the expired events each ``every`` seconds, until a signal arrives.

    Errors are logged and retried. Raises Stopped if the signal arrives during a wait.
    """
    metrics = ExpireMetrics()
    failures = Backoff("retention", log, pipeline.metrics)
    pace = Pace(every)
    with left(metrics.registry, pipeline.metrics, "expire"):
        while not stop.requested:
            try:
                with expirer(pipeline, stop) as session:
                    while not stop.requested:
                        stop.wait(pace.until_next)
                        if pace.waits(session.are_left(pace.marks)):
                            stop.wait(every)
                            continue
                        pace.begin()
                        expired = session.run(pace.marks)
                        failures.succeeded()
                        metrics.tombstones.labels("clicks").inc(expired.clicks)
                        metrics.tombstones.labels("purchases").inc(expired.purchases)
                        metrics.passed.set_to_current_time()
                        if expired.clicks or expired.purchases:
                            log.info("expired %s", expired, extra=asdict(expired))
            except (psycopg.Error, NotDelivered) as error:
                pace = Pace(every)
                stop.wait(failures.failed(error))


if __name__ == "__main__":
    sys.exit(main("expire", expire))
