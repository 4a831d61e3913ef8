"""The status of a stack: processes, offsets compared with Kafka's, freshness."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row, scalar_row

from firstclick.core.cluster import Admin, Cluster
from firstclick.core.database import connect
from firstclick.core.errors import ServerError
from firstclick.core.home import Home, State
from firstclick.core.pipeline import Pipeline, find
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.operate.liveness import check_processes
from firstclick.operate.repair import stopped_topics
from firstclick.servers.topics import problems
from firstclick.verify.triggers import trigger_problems
from firstclick.workers.connector.offsets import NEXT_OFFSETS
from firstclick.workers.connector.source import TOPICS

_SILENT_SECONDS = 30
"""The connector compares its offsets with Kafka's every second; if it hasn't for this
long, it may have stopped.
"""
_STALE_SECONDS = 30
"""A topic with unread messages that lags by more than this is behind."""
_LOOK_SECONDS = 3.0
"""How long something that seems to have stopped gets to make progress."""
_POLL_SECONDS = 0.1
_TIMEOUT = 10
"""Seconds for a connection or a request to Kafka or to the database."""

Positions = dict[tuple[str, int], int]
"""The offset of the next message, by topic and partition."""


class Process(msgspec.Struct, frozen=True):
    """A process of the stack."""

    name: str
    """The name of the process and of its log."""
    pid: int
    """The process id; if it does not run, the last one."""
    running: bool
    """Whether it runs."""
    restarts: int
    """How often the supervisor has started it again since `firstclick up`."""


@dataclass(frozen=True)
class Partition:
    """How far a partition has been read; offsets are those of the next message."""

    topic: str
    """The topic, without a prefix."""
    partition: int
    """The partition."""
    in_tables: int | None
    """The offset up to which the tables have its messages; null before the first."""
    in_kafka: int | None
    """The offset up to which Kafka has messages; null if Kafka does not answer."""
    lag: int | None
    """The difference: how many messages are still to be read."""


@dataclass(frozen=True)
class Topic:
    """A row of `pipeline_health`."""

    topic: str
    """The topic, without a prefix."""
    accepted: int
    """Accepted messages of the last 48 hours."""
    rejected: int
    """Rejected messages of the last 48 hours. `rejected_events` has the reasons."""
    newest_event_time: datetime | None
    """The latest event time of an accepted message; null before the first."""
    newest_kafka_time: datetime | None
    """When Kafka appended the newest message that was read; null before the first."""
    lag_messages: int | None
    """How many messages were still to be read when the connector last asked Kafka."""
    freshness_seconds: float | None
    """How many seconds the answers of queries are behind Kafka."""
    lost_messages: int | None
    """Messages that Kafka deleted before First Click read them; null if the engine
    can't know."""


class Status(msgspec.Struct):
    """The output of ``firstclick status``; ``--json`` prints exactly this.

    ``problems`` make the stack unhealthy, ``warnings`` don't.
    """

    healthy: bool
    """True if there are no problems. Then a message that you send now is soon in the
    answers of queries."""
    target: str
    """The engine: `embedded`, `materialize` or `risingwave`."""
    home: str
    """The directory of the pipeline."""
    phase: str
    """`stopped`, `starting`, `ready` or `stopping`."""
    kafka: str | None = None
    """Kafka's address; null if nothing runs."""
    postgres: str | None = None
    """PostgreSQL's address; null if nothing runs."""
    processes: list[Process] = []
    """The processes that `firstclick up` keeps running; none for a streaming engine."""
    partitions: list[Partition] = []
    """How far each partition has been read."""
    topics: list[Topic] = []
    """The rows of `pipeline_health`."""
    unpublished_checkouts: int | None = None
    """How many changed checkouts the publisher still has to send; null if unknown."""
    problems: list[str] = []
    """One line for each problem, for example that a process does not run."""
    warnings: list[str] = []
    """One line for each thing that works but needs your attention."""


def status(settings: Settings) -> Status:
    """Check everything that a home's stack consists of. Raises HomeError."""
    state = find(settings.home)
    if state is None:
        problem = f"nothing runs in {settings.home}: start it with `firstclick up`"
        return Status(
            *(False, settings.target, str(settings.home), "stopped"), problems=[problem]
        )
    found = Status(
        *(False, settings.target, str(settings.home), state.phase),
        kafka=state.bootstrap_servers,
        processes=[
            Process(name, child.process.pid, child.running, child.restarts)
            for name, child in state.children.items()
        ],
    )
    if state.phase != "ready":
        found.problems.append(f"the stack is {state.phase}")
        return found
    check_processes(Home(settings.home), state, found)
    cluster = Cluster(state.bootstrap_servers or "", state.kafka_security)
    project = Path(state.project) if state.project else PROJECT
    watermarks = _ask_kafka(cluster, state.topic_prefix, project, found)
    _ask_postgres(state, found, watermarks)
    found.healthy = not found.problems
    return found


def engine_status(settings: Settings, pipeline: Pipeline) -> Status:
    """Check a streaming engine and its Kafka."""
    found = Status(
        *(False, pipeline.target, str(settings.home), "ready"),
        kafka=pipeline.kafka.servers,
        postgres=_address(pipeline.database_url),
    )
    watermarks = _ask_kafka(
        pipeline.kafka, pipeline.topic_prefix, pipeline.project, found
    )
    found.partitions = [
        Partition(*key, None, watermark, None)
        for key, watermark in sorted(watermarks.items())
    ]
    try:
        stopped = stopped_topics(pipeline) if pipeline.target == "materialize" else []
        found.problems += [
            # Cause: A message without a key stops a source of Materialize. Kafka keeps
            #   new messages meanwhile.
            # Remedy: Run `firstclick repair`. See [Deploy to
            #   Materialize](../how-to/deploy-to-materialize.md).
            f"{topic}: a message without a key has stopped it, and all that is derived "
            "from it: run `firstclick repair`"
            for topic in stopped
        ]
        if not stopped:
            with connect(
                pipeline.database_url, target=pipeline.target, connect_timeout=_TIMEOUT
            ) as connection:
                found.topics = _health(connection, pipeline.schema_name)
    except (psycopg.Error, ServerError) as error:
        found.problems.append(f"{pipeline.target}: {' '.join(str(error).split())}")
    found.healthy = not found.problems
    return found


def _address(database_url: str) -> str:
    given = conninfo_to_dict(database_url)
    return f"{given.get('host')}:{given.get('port', 5432)}"


def _ask_kafka(
    cluster: Cluster, prefix: str, project: Path, found: Status
) -> Positions:
    admin = Admin(cluster)
    client = admin.client
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    names = {prefix + topic: topic for topic in TOPICS}
    try:
        topics = client.list_topics(timeout=_TIMEOUT).topics
        found.problems += [
            # Cause: Somebody deleted it, or `KAFKA_BOOTSTRAP_SERVERS` or
            #   `FIRSTCLICK_TOPIC_PREFIX` have other values than before.
            # Remedy: `firstclick down` and `firstclick up` create it.
            f"the topic {name} is not there, expected it: create it, as `firstclick "
            "down` and `firstclick up` do"
            for name in [prefix + topic for topic in (*TOPICS, "checkouts")]
            if name not in topics
        ]
        offsets = client.list_offsets(
            {
                TopicPartition(name, partition): latest
                for name in names
                if name in topics
                for partition in topics[name].partitions
            },
            request_timeout=_TIMEOUT,
        )
        found.warnings += [
            f"topic {problem.topic} {problem.problem}"
            for problem in problems(client, prefix, project)
        ]
        return {
            (names[partition.topic], partition.partition): future.result().offset
            for partition, future in offsets.items()
        }
    except KafkaException as error:
        found.problems.append(
            f"Kafka does not answer on {cluster.servers}: {admin.reason(error)}"
        )
        return {}


@dataclass(frozen=True)
class _Look:
    """The state of the database at one moment."""

    positions: Positions
    compared: dict[tuple[str, int], datetime]
    """When the connector last compared each partition with Kafka."""
    now: datetime
    topics: list[Topic]
    """The rows of `pipeline_health`."""
    oldest_change: int | None
    """The id of the oldest change that is not published yet."""

    def silent(self, partitions: Iterable[tuple[str, int]]) -> float:
        """Return the seconds since the connector compared offsets with Kafka's.

        Of several partitions, the one that was compared longest ago counts.
        """
        ages = [
            # A time in the future counts as old too: somebody set the clock back
            abs((self.now - self.compared[at]).total_seconds())
            for at in partitions
            if at in self.compared
        ]
        return max(ages, default=0.0)

    @property
    def behind(self) -> list[Topic]:
        return [
            topic
            for topic in self.topics
            if topic.lag_messages and (topic.freshness_seconds or 0) > _STALE_SECONDS
        ]


def _ask_postgres(state: State, found: Status, watermarks: Positions) -> None:
    assert state.database_url is not None
    found.postgres = _address(state.database_url)
    schema = state.schema_name
    try:
        with connect(
            state.database_url, autocommit=True, connect_timeout=_TIMEOUT
        ) as connection:
            if state.servers_only:
                return
            look = _look(connection, schema)
            _judge(connection, schema, look, found, watermarks)
            found.problems += [
                # Cause: Somebody disabled, dropped or changed a trigger that keeps the
                #   models up to date.
                # Remedy: Run `dbt run`. See [Repair rows](../how-to/repair-rows.md).
                f"{problem}, so rows may be wrong: run `dbt run`, which computes them "
                "again"
                for problem in trigger_problems(connection, schema)
            ]
            found.topics = look.topics
            found.warnings += [
                f"Kafka deleted {count:,} {topic} before they were read, last noticed "
                f"at {at:%Y-%m-%d %H:%M:%S} UTC: have them sent again, and set the "
                "count back as the runbook says"
                for topic, count, at in _lost(connection, schema)
            ]
            found.unpublished_checkouts = (
                connection.cursor(row_factory=scalar_row)
                .execute(
                    sql.SQL("select count(*) from {}.checkouts_changes").format(
                        sql.Identifier(schema)
                    )
                )
                .fetchone()
            )
    except psycopg.Error as error:
        found.problems.append(f"PostgreSQL: {' '.join(str(error).split())}")
        return
    for key in sorted(look.positions.keys() | watermarks.keys()):
        position, watermark = look.positions.get(key), watermarks.get(key)
        lag = None
        if watermark is not None:
            lag = max(0, watermark - (position or 0))
        found.partitions.append(Partition(*key, position, watermark, lag))


def _judge(
    connection: psycopg.Connection,
    schema: str,
    look: _Look,
    found: Status,
    watermarks: Positions,
) -> None:
    """Add a problem for everything that makes no progress between two looks.

    A single look isn't enough: a connector that is behind may be catching up.
    """
    partitions = watermarks.keys() or look.compared.keys()
    unread = watermarks.keys() - look.positions.keys()
    is_silent = look.silent(partitions) > _SILENT_SECONDS
    if not (is_silent or unread or look.behind or look.oldest_change is not None):
        return
    log = f"see {found.home}/logs/connector.log"
    deadline = time.monotonic() + _LOOK_SECONDS
    while True:
        again = _look(connection, schema)
        reads = again.positions != look.positions
        publishes = again.oldest_change != look.oldest_change
        compares = all(
            look.silent([at]) <= _SILENT_SECONDS
            or again.compared.get(at) != look.compared.get(at)
            for at in partitions
        )
        unread &= watermarks.keys() - again.positions.keys()
        if time.monotonic() >= deadline or not (
            (is_silent and not compares)
            or unread
            or (look.behind and not reads)
            or (look.oldest_change is not None and not publishes)
        ):
            break
        time.sleep(_POLL_SECONDS)
    behind = " and ".join(
        f"{topic.lag_messages:,} {topic.topic}" for topic in look.behind
    )
    if behind and not reads:
        found.problems.append(
            # Cause: The connector can't read a batch of messages, or waits for a
            #   transaction that holds the lock of the pipeline's writers.
            # Remedy: `firstclick logs connector` names the batch or the session. See
            #   [Data is not fresh](../how-to/runbook.md#data-is-not-fresh).
            f"the connector reads nothing, but is {behind} behind: {log}"
        )
    elif behind:
        found.warnings.append(f"the connector is catching up: {behind} behind")
    if is_silent and not compares:
        found.problems.append(
            f"the connector compared with Kafka {look.silent(partitions):.0f} s ago, "
            f"expected a second: {log}"
        )
    found.problems += [
        f"the connector does not read {topic} {partition}: {log}"
        for topic, partition in sorted(unread)
    ]
    if look.oldest_change is not None and not publishes:
        found.problems.append(
            # Cause: Kafka refuses the publisher's messages, or it waits for another
            #   publisher to end.
            # Remedy: Look at `firstclick logs publisher`.
            "the publisher publishes nothing, but checkouts have changed: see "
            f"{found.home}/logs/publisher.log"
        )


def _look(connection: psycopg.Connection, schema: str) -> _Look:
    name = sql.Identifier(schema)
    compared = connection.execute(
        sql.SQL(
            "select topic, kafka_partition, checked_at from {}.kafka_offsets"
        ).format(name)
    ).fetchall()
    [(now, oldest_change)] = connection.execute(
        sql.SQL(
            "select clock_timestamp(), min(change_id) from {}.checkouts_changes"
        ).format(name)
    ).fetchall()
    return _Look(
        _positions(connection, name),
        {(topic, partition): at for topic, partition, at in compared},
        now,
        _health(connection, schema),
        oldest_change,
    )


def _health(connection: psycopg.Connection, schema: str) -> list[Topic]:
    query = sql.SQL(
        "select topic, accepted, rejected, newest_event_time, newest_kafka_time,"
        " lag_messages, freshness_seconds::float8 as freshness_seconds, lost_messages"
        " from {}.pipeline_health order by topic"
    ).format(sql.Identifier(schema))
    return connection.cursor(row_factory=class_row(Topic)).execute(query).fetchall()


def _lost(
    connection: psycopg.Connection, schema: str
) -> list[tuple[str, int, datetime]]:
    """Return the topics of which Kafka deleted messages unread, how many, and when."""
    return connection.execute(
        sql.SQL(
            "select topic, sum(lost_messages), max(lost_at) from {}.kafka_offsets"
            " where lost_messages > 0 group by topic order by topic"
        ).format(sql.Identifier(schema))
    ).fetchall()


def _positions(connection: psycopg.Connection, schema: sql.Identifier) -> Positions:
    return {
        (topic, partition): offset
        for topic, partition, offset in connection.execute(
            sql.SQL(NEXT_OFFSETS).format(schema=schema)
        )
    }
